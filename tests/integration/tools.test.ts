/** Tools of real agents through the command line: what is listed, called, streamed, canceled, refused and recorded. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { AgentDetailJson, AuditEventJson, ToolCallJson, ToolDetailJson } from "@opensentience/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CoreHome, eventually, EXAMPLES, type Files, gitRepository, newHome } from "../support/core-home.ts";
import { manifestText } from "../support/small-agent.ts";
import { Following, onTerminal, typeNextStep } from "../support/terminal.ts";

const HELLO = "org.opensentience.examples.hello-tools";
const CALLER = "com.example.caller";
const STRICT = "com.example.strict";
const SDK = join(EXAMPLES, "hello-tools/opensentience-sdk.js");

let home: CoreHome;
beforeAll(async () => {
  home = await newHome({ settings: { "runtime.call_idle_ms": 20_000 } });
  const repository = await gitRepository("hello", { copyOf: join(EXAMPLES, "hello-tools") });
  await running(HELLO, repository.url, 5);
}, 120_000);
afterAll(() => home.dispose());

async function running(agentId: string, url: string, tools: number): Promise<void> {
  await home.json(["agents", "install", url, "--allow-local"]);
  await home.json(["agents", "build", agentId, "--yes"]);
  await home.json(["agents", "enable", agentId, "--all"]);
  await started(agentId, tools);
}

async function started(agentId: string, tools: number): Promise<void> {
  await home.json(["agents", "run", agentId]);
  const isThere = async (): Promise<boolean> =>
    (await home.json<{ items: unknown[] }>(["tools", "list", "--agent", agentId])).items.length === tools;
  await eventually(isThere, `the tools of ${agentId}`);
}

function toolAgent(agentId: string, program: string, permissions: string[] = []): Files {
  return {
    "opensentience.agent.json": manifestText(agentId, {
      entrypoint: { type: "command", value: "node", args: ["main.mjs"] },
      capabilities: ["tools"],
      permissions,
    }),
    "main.mjs": `import { defineAgent, tool } from "./opensentience-sdk.mjs";
      const any = { description: "Any.", inputSchema: { type: "object" } };
      defineAgent({ version: "1.0.0", tools: { ${program} } }).run();`,
    "opensentience-sdk.mjs": readFileSync(SDK, "utf8"),
  };
}

const call = (tool: string, input: unknown, more: string[] = []): Promise<ToolCallJson> =>
  home.json(["tools", "call", `${HELLO}/${tool}`, "--input", JSON.stringify(input), ...more], { codes: [0, 1, 130] });

/** A call that goes on until the test ends it; resolves when the agent works on it. */
async function underWay(tool: string, input: unknown, more: string[] = ["--json"]): Promise<Following> {
  const before = await routed(tool);
  const following = new Following(home, [
    "tools",
    "call",
    `${HELLO}/${tool}`,
    "--input",
    JSON.stringify(input),
    ...more,
  ]);
  await eventually(async () => (await routed(tool)) > before, `the call of ${tool}`);
  return following;
}

async function routed(tool: string): Promise<number> {
  return (await events("tool.call_routed")).filter((event) => event.subject_id === `${HELLO}/${tool}`).length;
}

async function events(type: string): Promise<AuditEventJson[]> {
  return (await home.json<{ items: AuditEventJson[] }>(["audit", "list", "--type", type, "--limit", "500"])).items;
}

describe("tools", { timeout: 120_000 }, () => {
  test("are listed and shown, with their agent's health", async () => {
    const listed = await home.cli(["tools", "list"]);
    expect(listed.stdout).toMatch(new RegExp(`${HELLO}/hello_world +ok +Greets`));
    const shown = await home.cli(["tools", "info", "hello_world"]);
    expect(shown.stdout).toContain('"greeting"');
    expect(shown.stderr).toContain(`hello_world is ${HELLO}/hello_world`);
    const info = await home.cli(["agents", "info", "hello-tools"]);
    expect(info.stdout).toMatch(/health +ok/);
    expect(info.stdout).toMatch(/session +ses_/);
    expect(info.stdout).toContain(`${HELLO}/stream_counter`);
    expect((await home.cli(["agents", "ps"])).stdout).toMatch(/HEALTH[\s\S]*running +ok/);
    const { run } = await home.json<AgentDetailJson>(["agents", "info", HELLO]);
    expect(run).toMatchObject({ health: "ok", session_id: expect.stringMatching(/^ses_/) as unknown });
  });

  test("are called with JSON, a file and stdin, by their short name too", async () => {
    expect(await call("hello_world", { name: "Ada" })).toMatchObject({
      status: "succeeded",
      output: { greeting: "Hello, Ada!" },
    });
    const piped = await home.json(["tools", "call", "hello-tools/hello_world", "--input", "-"], {
      input: '{"name":"Bo"}',
    });
    expect(piped).toMatchObject({ output: { greeting: "Hello, Bo!" }, tool_id: `${HELLO}/hello_world` });
    const manifest = join(EXAMPLES, "hello-tools/opensentience.agent.json");
    const filed = await home.cli(["tools", "call", `${HELLO}/hello_world`, "--input", `@${manifest}`]);
    expect([filed.code, JSON.parse(filed.stdout)]).toEqual([0, { greeting: "Hello, Hello tools!" }]);
  });

  test("are refused with what was meant", async () => {
    const near = await home.fails(["tools", "call", `${HELLO}/helo_world`]);
    expect(near).toMatchObject({
      code: 3,
      error: { code: "tool.not_found", next_step: `opensentience tools info ${HELLO}/hello_world` },
    });
    const invalid = await home.fails(["tools", "call", `${HELLO}/sleep`, "--input", '{"ms":"long"}']);
    expect(invalid).toMatchObject({
      code: 1,
      error: { code: "tool.invalid_input", details: { issues: [{ path: "/ms", rule: "type" }] } },
    });
    expect(invalid.error.message).toBe(`the input breaks the tool's schema: "ms" must be an integer, not a string`);
    for (const input of ["nothing", "[]", "@/nowhere", '"x"'])
      expect(await home.fails(["tools", "call", `${HELLO}/sleep`, "--input", input])).toMatchObject({
        code: 2,
        error: { code: "usage.invalid" },
      });
    const absent = await home.fails(["tools", "call", "com.example.absent/x"]);
    expect(absent).toMatchObject({
      code: 3,
      error: { code: "agent.not_found", next_step: "opensentience agents list" },
    });
    const misspelt = await home.fails(["tools", "call", `${HELLO.replace("hello", "helo")}/hello_world`]);
    expect(misspelt.error).toMatchObject({
      code: "tool.not_found",
      next_step: `opensentience tools info ${HELLO}/hello_world`,
    });
  });

  test("that fail, take too long or answer too much say so", async () => {
    expect(await call("invalid_input", {})).toMatchObject({ status: "failed", error: { code: "hello.refused" } });
    const people = await home.cli(["tools", "call", `${HELLO}/invalid_input`]);
    expect(people).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringMatching(
        `this tool refuses every input \\(hello.refused\\)\nnext: opensentience agents logs ${HELLO} --run run_\\S+\n$`,
      ) as unknown,
    });
    expect(await call("sleep", { ms: 60_000 }, ["--timeout", "1"])).toMatchObject({
      status: "failed",
      error: { code: "tool.timeout" },
    });
    expect(await call("large_output", { bytes: 4_000_000 })).toMatchObject({
      error: { code: "tool.output_too_large" },
    });
    expect(String((await call("large_output", { bytes: 3_000_000 })).output).length).toBeGreaterThan(0);
    expect(await call("hello_world", {})).toMatchObject({ status: "succeeded" });
  });

  test("stream to stderr, or as lines of JSON with the result last", async () => {
    const args = ["tools", "call", `${HELLO}/stream_counter`, "--input", '{"to":3}', "--stream"];
    const people = await home.cli(args);
    expect([people.stderr.endsWith("1\n2\n3\n"), JSON.parse(people.stdout)]).toEqual([true, { counted: 3 }]);
    const lines = await home.jsonLines<Record<string, unknown>>(args);
    expect(lines.slice(0, 3)).toEqual(
      [1, 2, 3].map((seq) => ({ stream: { seq, channel: "stdout", text: `${seq}\n` } })),
    );
    expect(lines[3]).toMatchObject({ result: { status: "succeeded", output: { counted: 3 } } });
    expect(lines).toHaveLength(4);
  });

  test("are canceled by Ctrl-C, which says so, also on a terminal", async () => {
    const following = await underWay("sleep", { ms: 600_000 }, []);
    expect(await following.interrupt()).toMatchObject({
      code: 130,
      stdout: "",
      stderr: expect.stringMatching(/the call of .*\/sleep is canceled/) as unknown,
    });
    const args = ["tools", "call", `${HELLO}/stream_counter`, "--input", '{"to":1000000,"pause_ms":50}', "--stream"];
    const lines = new Following(home, [...args, "--json"]);
    await lines.until(/"seq":3/);
    const left = await lines.interrupt();
    expect([left.code, JSON.parse(left.stdout.trimEnd().split("\n").at(-1) ?? "")]).toEqual([
      130,
      { result: expect.objectContaining({ status: "canceled", call_id: null }) as unknown },
    ]);
    const { code, text } = await onTerminal(home, args, [{ when: /^3$/m, type: "\u0003" }]);
    expect([code, text]).toEqual([130, expect.stringMatching(/the call of .* is canceled/)]);
    const isRecorded = async (): Promise<boolean> =>
      (await events("tool.call_completed")).filter(({ metadata }) => metadata?.["status"] === "canceled").length >= 3;
    await eventually(isRecorded, "the three canceled calls to be recorded");
  });

  test("leave a pair of records per call, and nothing of its content", async () => {
    await call("hello_world", { name: "content-that-nobody-records" });
    const pairs = async (): Promise<boolean> => {
      const [begun, done] = [await events("tool.call_routed"), await events("tool.call_completed")];
      const of = (rows: AuditEventJson[]): string[] => rows.map(({ metadata }) => String(metadata?.["call_id"])).sort();
      return begun.length > 5 && JSON.stringify(of(begun)) === JSON.stringify(of(done));
    };
    await eventually(pairs, "a completed record for each routed one");
    const all = JSON.stringify(await home.jsonLines(["audit", "export"]));
    expect([all.includes("content-that-nobody-records"), all.includes("input_digest")]).toEqual([false, true]);
    const [done] = await events("tool.call_completed");
    const [begun] = await events("tool.call_routed");
    expect(done).toMatchObject({ causation_id: begun?.event_id, outcome: "ok", subject_type: "tool" });
  });
});

test("a tool says which field is wrong, and how to call it", { timeout: 120_000 }, async () => {
  const strict = `{ description: "Strict.", inputSchema: { type: "object", required: ["text", "mode"], additionalProperties: false,
      properties: { text: { type: "string" }, mode: { enum: ["it's", "b"] }, n: { type: "integer", maximum: 9 } } },
      outputSchema: { type: "object", required: ["sum"], properties: { sum: { type: "number" } } } }`;
  const program = `strict: tool(${strict}, ({ n }) => (n === 1 ? { secret: "hunter2hunter2" } : { sum: 1 })),
    long: tool({ description: "x".repeat(4001), inputSchema: { type: "object" } }, () => 1),
    odd: tool({ description: "Odd.", inputSchema: { properties: { a: { type: "text" } } } }, () => 1),`;
  const repository = await gitRepository("strict", toolAgent(STRICT, program));
  await running(STRICT, repository.url, 1);
  const id = `${STRICT}/strict`;
  const wrong = await home.cli(["tools", "call", id, "--input", '{"txt":"hunter2","n":12}']);
  expect(wrong).toMatchObject({ code: 1, stdout: "" });
  expect(wrong.stderr.split("\n").slice(0, 5)).toEqual([
    '  "text" is missing; it must be a string',
    '  "mode" is missing',
    '  "txt" is not expected; known: "text", "mode", "n"',
    '  "n" must be at most 9',
    `error: the input breaks the tool's schema: "text" is missing; it must be a string (and 3 more) (tool.invalid_input)`,
  ]);
  expect(wrong.stderr).not.toContain("hunter2");
  const { error } = await home.fails(["tools", "call", id, "--input", '{"mode":"b","txt":1}']);
  expect(error.details["issues"]).toEqual([
    { path: "/text", rule: "required", message: '"text" is missing; it must be a string' },
    { path: "/txt", rule: "additionalProperties", message: '"txt" is not expected; known: "text", "mode", "n"' },
  ]);
  const answered = await home.cli(["tools", "call", id, "--input", '{"text":"x","mode":"b","n":1}']);
  const { run_id: run } = await home.json<ToolDetailJson>(["tools", "info", id]);
  expect(answered.stderr).toBe(
    `error: failed: the output breaks the tool's schema: "sum" is missing; it must be a number (tool.invalid_output)\nnext: opensentience agents logs ${STRICT} --run ${run}\n`,
  );
  // What the agent sent and Core did not take, as the agent's author reads it.
  const log = (await home.cli(["agents", "logs", STRICT])).stdout;
  expect(log).toContain(
    `${STRICT}/long: "description" breaks its rule: Too big: expected string to have <=4000 characters (tool.invalid_id)`,
  );
  expect(log).toMatch(
    /\/odd: "input_schema": the schema is not JSON Schema 2020-12: type at \/properties\/a is no type/,
  );
});

test("a tool's suggested call is one word of the shell, and works", { timeout: 120_000 }, async () => {
  const info = await home.cli(["tools", "info", `${STRICT}/strict`]);
  const next = /^next: (.+)$/m.exec(info.stderr)?.[1] ?? "";
  expect(next).toBe(
    String.raw`opensentience tools call com.example.strict/strict --input '{"text":"x","mode":"it\u0027s"}'`,
  );
  expect(await typeNextStep(home, next)).toContain('"sum": 1');
  expect((await home.json<ToolDetailJson>(["tools", "info", `${HELLO}/hello_world`])).next_step).toBe(
    `opensentience tools call ${HELLO}/hello_world`,
  );
});

test("one agent calls another's tool only with the permission", { timeout: 120_000 }, async () => {
  const program = `ask: tool(any, async ({ tool: id, input, key }, { call }) => ({ answer: await call(id, input, key && { idempotencyKey: key }) })),
    text: tool(any, () => "\\u001b[31mred\\u202e <b>\\r\\u0000"),`;
  const permission = `tool:invoke:${HELLO}/hello_world`;
  const repository = await gitRepository("caller", toolAgent(CALLER, program, [permission]));
  await running(CALLER, repository.url, 2);
  const ask = (tool: string): Promise<ToolCallJson> => {
    const input = JSON.stringify({ tool: `${HELLO}/${tool}`, input: { name: "agent" } });
    return home.json(["tools", "call", "caller/ask", "--input", input], { codes: [0, 1] });
  };
  expect(await ask("hello_world")).toMatchObject({ output: { answer: { greeting: "Hello, agent!" } } });
  expect(await ask("invalid_input")).toMatchObject({ status: "failed", error: { code: "tool.permission_denied" } });
  const byAgent = (await events("tool.call_routed")).filter(({ actor_type }) => actor_type === "agent");
  expect(byAgent).toEqual([expect.objectContaining({ actor_id: CALLER, subject_id: `${HELLO}/hello_world` })]);
  // With a key the same act is done once, however often it is asked for.
  const before = await routed("hello_world");
  const input = JSON.stringify({ tool: `${HELLO}/hello_world`, input: { name: "once" }, key: "k1" });
  const answers = await Promise.all([1, 2].map(() => home.json(["tools", "call", "caller/ask", "--input", input])));
  expect(answers).toMatchObject([1, 2].map(() => ({ output: { answer: { greeting: "Hello, once!" } } })));
  expect(await routed("hello_world")).toBe(before + 1);
  // What a tool answers is text, whatever it holds.
  const { stdout } = await home.cli(["tools", "call", `${CALLER}/text`]);
  expect(stdout).toBe(String.raw`\x1b[31mred\u202e <b>\r\x00` + "\n");
});

test("an agent without the permission hears the same of every tool, there or not", { timeout: 120_000 }, async () => {
  for (const tool of [`${HELLO}/invalid_input`, `${HELLO}/none_such`, "org.example.nobody/none_such"]) {
    const input = JSON.stringify({ tool, input: {} });
    const answer = await home.json<ToolCallJson>(["tools", "call", "caller/ask", "--input", input], { codes: [0, 1] });
    expect(answer).toMatchObject({
      status: "failed",
      error: { code: "tool.permission_denied", message: `${CALLER} has no approval for tool:invoke:${tool}` },
    });
  }
});

test("a call ends at once when its agent goes or loses its approval", { timeout: 120_000 }, async () => {
  const stopped = await underWay("sleep", { ms: 600_000 });
  const pid = (await home.json<{ items: { agent_id: string; pid: number }[] }>(["agents", "ps"])).items.find(
    ({ agent_id }) => agent_id === HELLO,
  )?.pid;
  process.kill(pid ?? 0, "SIGKILL");
  const ended = await Promise.race([stopped.end(), delay(10_000)]);
  expect(ended).toMatchObject({ code: 1 });
  expect(JSON.parse(ended?.lines.join("\n") ?? "")).toMatchObject({
    status: "failed",
    error: { code: "tool.agent_unavailable" },
  });
  const isOver = async (): Promise<boolean> =>
    (await home.json<AgentDetailJson>(["agents", "info", HELLO])).run?.status === "crashed";
  await eventually(isOver, "the run to be over");
  // An agent that needs it says so, and the next step is to run the one that is missing, not to read this one's log.
  const input = JSON.stringify({ tool: `${HELLO}/hello_world`, input: {} });
  const needing = ["tools", "call", `${CALLER}/ask`, "--input", input];
  const said = `(tool.agent_unavailable)\nnext: opensentience agents`;
  expect((await home.cli(needing)).stderr).toContain(`${said} run ${HELLO}\n`);
  expect((await home.fails(["tools", "call", `${HELLO}/hello_world`])).error.code).toBe("tool.agent_unavailable");

  await started(HELLO, 5);
  const revoked = await underWay("sleep", { ms: 600_000 });
  await home.json(["agents", "revoke", HELLO]);
  const after = await revoked.end();
  await eventually(
    async () => (await home.cli(needing)).stderr.includes(`${said} enable ${HELLO}\n`),
    "enable to be next",
  );
  expect(after.code).not.toBe(0);
  expect(JSON.parse(after.lines.join("\n"))).toMatchObject({
    status: expect.stringMatching(/failed|canceled/) as unknown,
  });
});
