/** Calls of an agent whose run is not what the next one will be: approved since its start, or over since the call. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { PsItemJson, ToolCallJson } from "@opensentience/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { controlOf } from "../support/control-of.ts";
import { type CoreHome, EXAMPLES, eventually, newHome } from "../support/core-home.ts";
import { smallAgentAt } from "../support/small-agent.ts";
import { typeNextStep } from "../support/terminal.ts";

const LATE = "env:read:LATE_VALUE";
const PROGRAM = `import { defineAgent, tool } from "./opensentience-sdk.js";
const any = { description: "Any.", inputSchema: { type: "object" } };
const value = () => process.env.LATE_VALUE ?? (() => { throw new Error("no value"); })();
console.log("began with", process.env.LATE_VALUE);
defineAgent({
  version: "1.0.0",
  tools: {
    declared: tool({ ...any, permissions: ["${LATE}"] }, async () => ({ value: value() })),
    undeclared: tool(any, async () => ({ value: value() })),
    dies: tool(any, async () => { console.log("dies now"); process.exit(3); }),
  },
}).run();
`;

let home: CoreHome;
beforeAll(async () => {
  home = await newHome({ env: { LATE_VALUE: "there" }, settings: { "restart.initial_ms": 1 } });
});
afterAll(() => home.dispose());

async function toolsAt(id: string): Promise<void> {
  await smallAgentAt(
    home,
    id,
    "built",
    {
      entrypoint: { type: "command", value: "node", args: ["main.js"] },
      capabilities: ["tools"],
      permissions: [LATE],
    },
    {
      "main.js": PROGRAM,
      "opensentience-sdk.js": readFileSync(join(EXAMPLES, "hello-tools/opensentience-sdk.js"), "utf8"),
    },
  );
}

const offered = async (id: string): Promise<void> => {
  const control = await controlOf(home);
  await eventually(
    async () => (await control.call("list_tools", { query: { agent: id } })).items.length === 3,
    `the tools of ${id}`,
  );
};

test("a tool that needs what was approved after the start is refused, and one that fails for it says so", async () => {
  const id = "com.example.late";
  await toolsAt(id);
  await home.cli(["agents", "enable", id, "--approve", ""]);
  await home.json(["agents", "run", id]);
  await offered(id);
  // Not approved at all: no restart would help.
  const { error: before } = await home.fails(["tools", "call", `${id}/declared`]);
  expect(before).toMatchObject({ code: "tool.permission_denied", next_step: `opensentience agents enable ${id}` });
  const { stderr: unapproved } = await home.cli(["tools", "call", `${id}/undeclared`]);
  expect(unapproved).toContain(`it asked for and was not given ${LATE} (opensentience agents enable ${id})\n`);
  await home.json(["agents", "enable", id, "--all"]);
  const next = `opensentience agents restart ${id}`;
  const { code, error } = await home.fails(["tools", "call", `${id}/declared`]);
  expect([code, error.code, error.next_step]).toEqual([4, "tool.permission_denied", next]);
  expect(error.message).toBe(`${LATE} was approved after ${id} was started, which lacks it until it is restarted`);
  const { stderr } = await home.cli(["tools", "call", `${id}/undeclared`]);
  expect(stderr).toContain(`until it is restarted, this run lacks ${LATE}\nnext: ${next}\n`);
  await typeNextStep(home, next);
  await offered(id);
  for (const name of ["declared", "undeclared"])
    expect(await home.json(["tools", "call", `${id}/${name}`])).toMatchObject({ output: { value: "there" } });
  await home.json(["agents", "stop", id]);
});

test("a call that its run did not live through names the log of that run, also once another one runs", async () => {
  const id = "com.example.dies";
  await toolsAt(id);
  await home.json(["agents", "enable", id, "--all"]);
  const first = await home.json<PsItemJson>(["agents", "run", id, "--restart", "on-failure"]);
  await offered(id);
  const { stderr } = await home.cli(["tools", "call", `${id}/dies`]);
  const next = /^next: (.*)$/m.exec(stderr)?.[1] ?? "";
  expect(next).toBe(`opensentience agents logs ${id} --run ${first.run_id}`);
  await offered(id);
  const { run_id: second } = await home.json<ToolCallJson>(["tools", "call", `${id}/undeclared`]);
  expect(second).not.toBe(first.run_id);
  expect(await typeNextStep(home, next)).toContain("dies now");
  await home.json(["agents", "stop", id]);
});
