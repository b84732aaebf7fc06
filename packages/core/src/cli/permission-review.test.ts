import type { AgentDetailJson, DriftJson, PermissionJson } from "@opensentience/protocol";
import { describe, expect, test } from "vitest";
import { approvedByFlag } from "./commands/agents-enable.ts";
import { Style } from "./format.ts";
import { review } from "./permission-review.ts";

const plain = new Style({ color: false });

function permission(name: string, rest: Partial<PermissionJson> = {}): PermissionJson {
  return {
    permission: name,
    meaning: `meaning of ${name}`,
    risk: null,
    enforcement: "advisory",
    approved: false,
    ...rest,
  };
}

function agent(rest: Partial<AgentDetailJson>): AgentDetailJson {
  const base = {
    agent_id: "a.b",
    name: "A",
    version: "1.0.0",
    install_path: "/x",
    manifest_hash: "f".repeat(64),
    source_commit: null,
    approval: null,
    drift: null,
    next_step: null,
  };
  return { ...base, requested_permissions: [], ...rest } as AgentDetailJson;
}

function drift(rest: Partial<DriftJson["diff"]>, narrowing: boolean): DriftJson {
  const permissions = { added: [], removed: [], widened: [], narrowed: [] };
  return {
    next_step: "opensentience agents enable org.example.agent",
    layers: ["permissions"],
    narrowing,
    diff: {
      permissions,
      entrypoint: null,
      commit: null,
      fields: [],
      files: { added: [], removed: [], changed: [] },
      ...rest,
    },
  };
}

/** Answers each question with the next line; what was shown is kept. */
function asker(answers: string[]) {
  const shown: string[] = [];
  const ask = (question: string): Promise<string> => {
    shown.push(question);
    const answer = answers.shift();
    return answer === undefined
      ? Promise.reject(new Error(`no answer left for: ${question}`))
      : Promise.resolve(answer);
  };
  return {
    shown,
    left: answers,
    asker: {
      show: (text: string) => void shown.push(text),
      ask,
      confirm: async (question: string) => (await ask(question)) === "y",
      confirmByKey: async (question: string) => (await ask(question)) === "key y",
    },
  };
}

describe("review", () => {
  const three = agent({
    requested_permissions: [permission("x:a", { risk: "can do much" }), permission("x:b"), permission("x:c")],
  });

  test("asks for each permission with meaning, hold and risk, no by default", async () => {
    const { asker: prompt, shown } = asker(["y", "", "maybe", "n", "y"]);
    expect(await review(prompt, plain, three)).toEqual(["x:a"]);
    const text = shown.join("\n");
    expect(text).toContain("meaning of x:a");
    expect(text).toContain("not held");
    expect(text).toContain("can do much");
    expect(text).toContain("1 of 3 permissions");
  });

  test("all takes what remains, quit approves nothing, the last question decides", async () => {
    expect(await review(asker(["n", "a", "y"]).asker, plain, three)).toEqual(["x:b", "x:c"]);
    expect(await review(asker(["y", "q"]).asker, plain, three)).toBeUndefined();
    expect(await review(asker(["a", ""]).asker, plain, three)).toBeUndefined();
  });

  test("an agent that requests nothing still needs the last answer", async () => {
    expect(await review(asker(["y"]).asker, plain, agent({}))).toEqual([]);
  });

  test("a change that only narrows passes with one key", async () => {
    const moved = drift(
      { permissions: { added: [], removed: ["x:c"], widened: [], narrowed: [{ from: "fs:/a/**", to: "fs:/a/b" }] } },
      true,
    );
    const narrowed = agent({
      approval: {
        approval_id: "apr_1",
        status: "active",
        approved_permissions: ["fs:/a/**", "x:c"],
        approved_at: "",
        approved_by: "",
        expires_at: null,
        unsandboxed: false,
      },
      requested_permissions: [permission("fs:/a/b"), permission("x:never")],
      drift: moved,
    });
    const { asker: prompt, shown, left } = asker(["key y"]);
    expect(await review(prompt, plain, narrowed)).toEqual(["fs:/a/b"]);
    expect(left).toEqual([]);
    expect(shown.join("\n")).toContain("narrowed: fs:/a/** -> fs:/a/b");
  });

  test("any other change is shown and then reviewed in full", async () => {
    const moved = drift(
      {
        permissions: { added: ["x:new"], removed: [], widened: [], narrowed: [] },
        entrypoint: { from: "a", to: "b\u001b[2J" },
      },
      false,
    );
    const { asker: prompt, shown } = asker(["y", "y"]);
    expect(await review(prompt, plain, agent({ requested_permissions: [permission("x:new")], drift: moved }))).toEqual([
      "x:new",
    ]);
    expect(shown.join("\n")).toContain("+ permission x:new");
    expect(shown.join("\n")).toContain("entrypoint: a -> b");
    expect(shown.join("\n")).not.toContain("\u001b");
  });
});

describe("--approve", () => {
  test("takes lists, repeated values, and a requested permission that holds a comma", () => {
    const requested = agent({
      requested_permissions: [permission("fs:read:/a,b"), permission("x:a"), permission("x:b")],
    });
    expect(approvedByFlag(requested, ["x:a, x:b", "fs:read:/a,b", "x:a"])).toEqual(["x:a", "x:b", "fs:read:/a,b"]);
    expect(approvedByFlag(requested, ["x:a,other:z"])).toEqual(["x:a", "other:z"]);
  });
});
