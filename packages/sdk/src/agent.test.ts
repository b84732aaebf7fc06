/** An agent of the SDK, as a process of its own, against a Core that is a script. */
import { describe, expect, test } from "vitest";
import { agentProgram, AGENT_ID, ScriptedCore } from "../../../tests/support/scripted-core.ts";
import { defineAgent, tool } from "./index.ts";

const failed = (code: string, message: unknown = expect.any(String)): unknown =>
  expect.objectContaining({ status: "failed", error: expect.objectContaining({ code, message }) as unknown });

describe("a call", { timeout: 60_000 }, () => {
  test("has one result, whatever its handler does", async () => {
    const core = await ScriptedCore.welcoming(`
      add: tool(any, ({ a, b }) => ({ sum: a + b })),
      nothing: tool(any, () => undefined),
      big_int: tool(any, () => ({ n: 1n })),
      cycle: tool(any, () => { const o = {}; o.o = o; return o; }),
      deep: tool(any, () => { let o = {}; for (let i = 0; i < 100; i += 1) o = { o }; return o; }),
      to_json: tool(any, () => ({ toJSON() { throw new Error("no") } })),
      large: tool(any, () => ({ text: "x".repeat(3_200_000) })),
      on_purpose: tool(any, () => { throw new ToolError("my.code", "because", { why: "so" }); }),
      odd_error: tool(any, () => { throw new ToolError("Not A Code", "x".repeat(5_000), { n: 1n }); }),
      stray: tool(any, () => { throw new Error("/secret/path"); }),
      no_error: tool(any, () => { throw Object.create(null); }),
      evil: tool(any, () => { throw { get stack() { throw 1 }, toString() { throw 2 } }; }),
      rejects: tool(any, async () => { await null; throw undefined; }),
      late: tool(any, (_, { stream, log }) => { setTimeout(() => { void stream("late"); log("late"); }, 10); return {}; }),
    `);
    expect(await core.called("1", "add", { a: 2, b: 3 })).toMatchObject({ status: "succeeded", output: { sum: 5 } });
    for (const name of ["nothing", "big_int", "cycle", "deep", "to_json"])
      expect([name, await core.called(name, name)]).toEqual([name, failed("tool.invalid_output")]);
    expect(await core.called("2", "large")).toEqual(
      failed("tool.output_too_large", "the output is over 3145728 bytes"),
    );
    expect(await core.called("3", "on_purpose")).toMatchObject({
      error: { code: "my.code", message: "because", details: { why: "so" } },
    });
    expect(await core.called("4", "odd_error")).toEqual(failed("tool.failed", "x".repeat(2_000)));
    // SECURITY: "a stray error says nothing of itself".
    for (const name of ["stray", "no_error", "evil", "rejects"])
      expect(await core.called(name, name)).toEqual(failed("tool.failed", "the tool failed; the agent's log says why"));
    for (const name of ["nowhere", "constructor", "__proto__"])
      expect(await core.called(`no ${name}`, name)).toEqual(failed("tool.not_found"));
    await core.called("5", "late");
    expect(await core.called("6", "add", { a: 1, b: 1 })).toMatchObject({ output: { sum: 2 } });
    expect(core.said.filter(({ type }) => type === "agent.tool.stream")).toEqual([]);
    core.signal("SIGTERM");
    const { exitCode, stderr } = await core.end;
    expect([exitCode, stderr.includes("/secret/path")]).toEqual([0, true]);
    core.dispose();
  });

  test("echoes its ids and streams in order, in pieces that fit", async () => {
    const core = await ScriptedCore.welcoming(`
      count: tool(any, async (_, { stream, log }) => {
        await stream("1"); await stream({ json: { two: 2 } }, "partial_result"); log("3");
        await stream("a".repeat(262143) + "\u{1f30a}" + "b");
        const refused = [];
        for (const bad of [["x", "nowhere"], [5], [{ json: 1n }], [{ json: "x".repeat(1100000) }]])
          await stream(...bad).catch((error) => refused.push(error.code ?? error.name));
        void stream("x", "nowhere");
        return { refused };
      }),
    `);
    core.send(
      "core.tool.call",
      { call_id: "c", tool_id: `${AGENT_ID}/count`, input: {} },
      { request_id: "r", correlation_id: "co", causation_id: "ca" },
    );
    const ids = { request_id: "r", correlation_id: "co", causation_id: "ca" };
    const result = await core.result("c");
    expect(result).toMatchObject({ ...ids, payload: { status: "succeeded" } });
    expect(result.payload["output"]).toEqual({
      refused: ["TypeError", "TypeError", "tool.invalid_output", "tool.output_too_large"],
    });
    const chunks = core.said.filter(({ type }) => type === "agent.tool.stream");
    for (const chunk of chunks) expect(chunk).toMatchObject(ids);
    expect(chunks.map(({ payload }) => payload["seq"])).toEqual([1, 2, 3, 4, 5]);
    expect(chunks.map(({ payload }) => payload["channel"])).toEqual([
      "stdout",
      "partial_result",
      "log",
      "stdout",
      "stdout",
    ]);
    const texts = chunks.slice(3).map(({ payload }) => (payload["data"] as { text: string }).text);
    expect(texts.map((text) => text.length)).toEqual([262_143, 3]);
    core.dispose();
  });

  test("is canceled by its signal, and without its handler's help", async () => {
    const core = await ScriptedCore.welcoming(`
      obeys: tool(any, (_, { signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)))),
      ignores: tool(any, (_, { stream }) => stream("begun").then(() => new Promise(() => {}))),
      finishes: tool(any, (_, { signal }) => new Promise((resolve) => signal.addEventListener("abort", () => resolve({ all: "the same" })))),
    `);
    for (const name of ["obeys", "finishes", "ignores"]) core.call(name, name);
    await core.until(({ type }) => type === "agent.tool.stream");
    for (const call_id of ["obeys", "finishes", "ignores", "unknown"])
      core.send("core.tool.cancel", { call_id, reason: "enough", deadline_ms: 200 });
    for (const name of ["obeys", "ignores"])
      expect((await core.result(name)).payload).toMatchObject({
        status: "canceled",
        error: { code: "tool.canceled", message: "enough" },
      });
    expect((await core.result("finishes")).payload).toMatchObject({ status: "succeeded" });
    const acks = core.said.filter(({ type }) => type === "agent.tool.cancel_ack");
    expect(acks.map(({ payload }) => payload["accepted"])).toEqual([true, true, true, false]);
    core.dispose();
  });

  test("the session token leaves with the hello alone", async () => {
    const core = await ScriptedCore.welcoming(`
      returns: tool(any, () => ({ ...process.env, [process.env.OPENSENTIENCE_SESSION_TOKEN]: 1 })),
      streams: tool(any, async (_, { stream }) => { await stream("it is " + process.env.OPENSENTIENCE_SESSION_TOKEN); return {}; }),
      throws: tool(any, () => { const token = process.env.OPENSENTIENCE_SESSION_TOKEN; throw new ToolError("my.code", token, { token }); }),
      asks: tool(any, (_, { call }) => { void call("a/b", { token: process.env.OPENSENTIENCE_SESSION_TOKEN }); return {}; }),
    `);
    expect(await core.called("1", "returns")).toMatchObject({
      output: { OPENSENTIENCE_SESSION_TOKEN: "[redacted]", "[redacted]": 1 },
    });
    for (const name of ["streams", "throws", "asks"]) await core.called(name, name);
    const [hello, ...others] = core.said;
    expect(hello?.payload["session_token"]).toBe(core.token);
    expect(others.length).toBeGreaterThan(5);
    expect(JSON.stringify(others)).not.toContain(core.token);
    core.dispose();
  });
});

describe("a call to another agent", { timeout: 60_000 }, () => {
  test("gives the output, a ToolError, or ends with its signal, its time or Core", async () => {
    const core = await ScriptedCore.welcoming(
      `ask: tool(any, ask), never: tool(any, (_, { call }) => call("com.example.other/never", {}).catch((error) => { console.error("told", error.code); throw error; }))`,
      `const told = (promise) => promise.then((output) => ({ output }), (error) => ({ code: error.code, message: error.message, details: error.details }));
       const ask = async (_, { call }) => ({ all: await Promise.all([
         told(call("com.example.other/good", { n: 1 }, { idempotencyKey: "again" })),
         told(call("com.example.other/bad", {})),
         told(call("com.example.other/aborted", {}, { signal: AbortSignal.timeout(20) })),
         told(call("com.example.other/before", {}, { signal: AbortSignal.abort() })),
         told(call("com.example.other/input", { n: 1n })),
         told(call("com.example.other/large", { text: "x".repeat(1_100_000) })),
         told(call("com.example.other/time", {}, { timeoutMs: -1 })),
         told(call("com.example.other/key", {}, { idempotencyKey: "" })),
         told(call("com.example.other/odd", {}, { timeout: 5 })),
       ]) });`,
    );
    core.call("1", "ask");
    const asked = async (tool: string): Promise<string> => {
      const said = await core.until(
        ({ type, payload }) => type === "agent.tool.call" && payload["tool_id"] === `com.example.other/${tool}`,
      );
      expect(said["request_id"]).toBe("1");
      expect(said.payload["idempotency_key"]).toBe(tool === "good" ? "again" : undefined);
      return String(said.payload["call_id"]);
    };
    core.send("core.tool.result", { call_id: await asked("good"), status: "succeeded", output: { m: 2 } });
    const error = { code: "tool.permission_denied", message: "no", details: { permission: "x" } };
    core.send("core.tool.result", { call_id: await asked("bad"), status: "failed", error });
    const aborted = await asked("aborted");
    await core.until(({ type, payload }) => type === "agent.tool.cancel" && payload["call_id"] === aborted);
    core.send("core.tool.result", { call_id: aborted, status: "succeeded", output: "too late" });
    core.send("core.tool.result", { call_id: "unknown", status: "succeeded" });
    const { output } = (await core.result("1")).payload as { output: { all: { code?: string }[] } };
    expect(output.all.slice(0, 2)).toEqual([{ output: { m: 2 } }, error]);
    expect(output.all.slice(2).map(({ code }) => code)).toEqual([
      "tool.canceled",
      "tool.canceled",
      "tool.invalid_input",
      "tool.input_too_large",
      "tool.invalid_input",
      "tool.invalid_input",
      undefined,
    ]);
    expect(output.all.at(-1)).toMatchObject({
      message: 'call() has no option "timeout"; it takes timeoutMs, signal, idempotencyKey',
    });
    core.call("2", "never");
    await core.until(
      ({ type, payload }) => type === "agent.tool.call" && payload["tool_id"] === "com.example.other/never",
    );
    core.hangUp();
    expect(await core.end).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining("the session ended") as unknown,
    });
    core.dispose();
  });
});

describe("the end", { timeout: 60_000 }, () => {
  test("SIGTERM cancels what is under way, sends the results, runs onStop and ends with 0", async () => {
    const core = await ScriptedCore.start(
      agentProgram("").replace(
        "tools: {",
        `onStop: () => console.error("saved"), tools: {
          obeys: tool(any, (_, { signal, stream }) => stream("begun").then(() => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))))),
          ignores: tool(any, () => new Promise(() => {})),`,
      ),
    );
    await core.until(({ type }) => type === "agent.hello");
    core.welcome();
    for (const name of ["ignores", "obeys"]) core.call(name, name);
    await core.until(({ type }) => type === "agent.tool.stream");
    core.signal("SIGTERM");
    expect(await core.end).toEqual({ exitCode: 0, stderr: "saved\n" });
    for (const name of ["ignores", "obeys"])
      expect((await core.result(name)).payload).toMatchObject({
        status: "canceled",
        error: { message: "the agent stops" },
      });
    core.dispose();
  });

  test.each([
    ["a lost connection", (core: ScriptedCore) => core.hangUp(), "Core closed the connection"],
    [
      "a goodbye",
      (core: ScriptedCore) => {
        core.send("core.goodbye", { reason: "the run ends" });
        core.raw(Buffer.alloc(4));
      },
      "the run ends",
    ],
    ["a frame of nothing", (core: ScriptedCore) => core.raw(Buffer.alloc(4)), "a frame announces no bytes"],
    ["a huge frame", (core: ScriptedCore) => core.raw(Buffer.alloc(4, 0xff)), "announces 4294967295 bytes"],
    ["no JSON", (core: ScriptedCore) => core.raw(Buffer.from([0, 0, 0, 1, 0x7b])), "not JSON"],
  ])("%s ends the process with 1 and says why", async (_what, act, why) => {
    const core = await ScriptedCore.welcoming("");
    act(core);
    expect(await core.end).toEqual({ exitCode: 1, stderr: expect.stringContaining(why) as unknown });
    core.dispose();
  });

  test("what Core says that is not understood is answered, but for answers, and not before the welcome", async () => {
    const core = await ScriptedCore.start(agentProgram("echo: tool(any, (input) => input)"));
    await core.until((said) => said.type === "agent.hello");
    core.send("core.from_the_future", {});
    core.welcome();
    await core.until((said) => said.type === "agent.heartbeat");
    core.send("core.from_the_future", {}, { in_reply_to: "agent-1" });
    core.send("core.tool.call", { call_id: "", tool_id: 1 });
    core.send("core.from_the_future", {});
    await core.called("last", "echo");
    expect(core.said.filter(({ type }) => type === "agent.error")).toMatchObject([
      { in_reply_to: "core-4", payload: {}, error: { code: "protocol.invalid_envelope" } },
      { in_reply_to: "core-5", payload: {}, error: { code: "protocol.unknown_type" } },
    ]);
    core.dispose();
  });

  test("a refused hello says why, a rejected tool too", async () => {
    const core = await ScriptedCore.start(agentProgram("one: tool(any, () => ({}))"));
    await core.until(({ type }) => type === "agent.hello");
    // Before the welcome nothing else counts, and after it no second one.
    core.call("early", "one");
    core.welcome();
    const rejected = [{ tool_id: "x/one", error: { code: "tool.invalid_schema", message: "bad" } }];
    core.send("core.tools.registered", { registered: [], rejected });
    core.welcome();
    expect(await core.called("1", "one")).toMatchObject({ status: "succeeded" });
    expect(core.said.filter(({ type }) => type === "agent.tools.register")).toHaveLength(1);
    expect(core.said.some(({ payload }) => payload["call_id"] === "early")).toBe(false);
    core.hangUp();
    expect((await core.end).stderr).toContain("Core does not take the tool x/one: bad (tool.invalid_schema)");
    core.dispose();

    const other = await ScriptedCore.start(agentProgram(""));
    await other.until(({ type }) => type === "agent.hello");
    const server = { core_version: "0", instance_id: "x" };
    other.send("core.welcome", { server }, { error: { code: "protocol.unauthorized", message: "not good" } });
    expect(await other.end).toEqual({
      exitCode: 1,
      stderr: expect.stringContaining("refused the agent: not good") as unknown,
    });
    other.dispose();
  });
});

describe("a Core that overdoes it", { timeout: 60_000 }, () => {
  test("gets 256 calls at once worked on, the others refused, and each one result", async () => {
    const core = await ScriptedCore.welcoming(
      `wait: tool(any, (_, { signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))))`,
    );
    for (let call = 0; call < 3_000; call += 1) core.call(`c${call}`, "wait");
    core.call("c0", "wait");
    expect((await core.result("c2999")).payload).toEqual(failed("limit.inflight"));
    for (let call = 0; call < 256; call += 1)
      core.send("core.tool.cancel", { call_id: `c${call}`, deadline_ms: 1_000 });
    await core.result("c255");
    const results = core.said
      .filter(({ type }) => type === "agent.tool.result")
      .map(({ payload }) => payload["call_id"]);
    expect([results.length, new Set(results).size]).toEqual([3_000, 3_000]);
    core.dispose();
  });

  test("and never reads: who waits for room waits, who does not is stopped, memory stays bounded", async () => {
    const core = await ScriptedCore.welcoming(
      `
      waits: tool(any, async (_, { stream }) => { for (;;) await stream("x".repeat(100_000)); }),
      floods: tool(any, async (_, { stream }) => {
        const ends = []; for (let i = 0; i < 400; i += 1) ends.push(stream("x".repeat(100_000)));
        const codes = (await Promise.allSettled(ends)).map((end) => end.reason?.code);
        throw new ToolError("my.codes", String(new Set(codes).has("limit.stream")));
      }),
      large: tool(any, () => ({ text: "x".repeat(3_000_000) })),
    `,
      `setInterval(() => { if (process.memoryUsage.rss() > 500e6) { console.error("too much memory"); process.exit(9); } }, 20);`,
    );
    core.call("w", "waits");
    await core.until(({ type }) => type === "agent.tool.stream");
    core.pause();
    core.call("f", "floods");
    for (let call = 0; call < 40; call += 1) core.call(`l${call}`, "large");
    expect(await core.end).toEqual({
      exitCode: 1,
      stderr: expect.stringContaining("Core does not read its socket") as unknown,
    });
    core.dispose();
  });
});

describe("defineAgent", () => {
  const any = { description: "Any.", inputSchema: { type: "object" } };

  test("refuses what Core would refuse", () => {
    for (const name of ["Add", "1st", "a-b", "", "x".repeat(65)])
      expect(() => defineAgent({ version: "1.0.0", tools: { [name]: tool(any, () => ({})) } })).toThrow(/no tool name/);
    const schema = { enum: ["x".repeat(70_000)] };
    expect(() =>
      defineAgent({ version: "1.0.0", tools: { a: tool({ ...any, inputSchema: schema }, () => ({})) } }),
    ).toThrow(/65536/);
    expect(() =>
      defineAgent({ version: "1.0.0", tools: { a: tool({ ...any, inputSchema: { const: 1n } }, () => ({})) } }),
    ).toThrow(/no JSON/);
  });

  test("refuses options that are not known, by their name, and what is missing", () => {
    const made = (about: Record<string, unknown>): unknown => tool(about as typeof any, () => ({}));
    expect(() => made({ ...any, sideEffects: "none" })).toThrow(
      'tool() has no option "sideEffects"; it takes description, inputSchema, outputSchema, permissions',
    );
    expect(() => made({ inputSchema: {} })).toThrow("tool() needs a description, a text");
    expect(() => made({ description: "x" })).toThrow("tool() takes as inputSchema a JSON Schema, an object");
    expect(() => made({ ...any, outputSchema: [] })).toThrow("tool() takes as outputSchema a JSON Schema, an object");
    expect(() => tool(any, undefined as never)).toThrow("takes a function");
    const odd = { version: "1.0.0", tools: {}, name: "x" };
    expect(() => defineAgent(odd)).toThrow('defineAgent() has no option "name"; it takes version, tools, onStop');
  });

  test("gives a handler's input its type", () => {
    const typed = tool<{ a: number }>(any, ({ a }, { signal }) => ({ doubled: a * 2, isAborted: signal.aborted }));
    expect(typed.description).toBe("Any.");
  });
});
