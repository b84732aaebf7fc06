/** An agent of the SDK against a Core that says wrong things: it works on, or ends with 1 and a reason; it never crashes. */
import { expect, test } from "vitest";
import { encodeFrame } from "../../packages/protocol/src/frame.ts";
import { found, randomNumbers, seed, times } from "../support/counts.ts";
import { chanceOf, damaged, mutated } from "../support/mutations.ts";
import { AGENT_ID, ScriptedCore } from "../support/scripted-core.ts";

const FRAMES = times({ suite: 1_000, soak: 20_000 });
const TOOLS = `
  echo: tool(any, (input) => input),
  streams: tool(any, async (input, { stream }) => { await stream({ json: input }); return {}; }),
  asks: tool(any, (input, { call }) => call("com.example.other/any", input, { timeoutMs: 50 })),
  throws: tool(any, () => { throw new ToolError("my.code", "because"); }),`;
const CRASH = /unhandled|uncaught|node:internal|RangeError|TypeError|heap/i;
const random = randomNumbers();
const chance = chanceOf(random);
const { below, one } = chance;

function message(): Record<string, unknown> {
  const payloads = {
    "core.welcome": { session_id: "ses", accepted_version: 1, server: { core_version: "0", instance_id: "x" } },
    "core.tool.call": {
      call_id: `c${below(50)}`,
      tool_id: `${AGENT_ID}/${one("echo", "streams", "asks", "throws", "nowhere")}`,
      input: { a: [1, { b: null }] },
    },
    "core.tool.cancel": { call_id: `c${below(50)}`, deadline_ms: below(50) },
    "core.tool.result": { call_id: `c${below(50)}`, status: "succeeded", output: { a: 1 } },
    "core.tool.stream": { call_id: "c1", seq: 1, channel: "stdout", data: { text: "x" } },
    "core.tools.registered": { registered: [], rejected: [{ tool_id: "x", error: { code: "a.b", message: "m" } }] },
    "core.ping": {},
    "core.error": {},
    "core.unheard_of": { a: 1 },
    "agent.hello": {},
  };
  const type = one(...(Object.keys(payloads) as (keyof typeof payloads)[]));
  return { v: 1, type, id: `core-${below(1e9)}`, ts: new Date().toISOString(), payload: payloads[type] };
}

/** Bytes for the wire; true with them when a decoder may rightly end the connection. */
function frame(): { bytes: Uint8Array; isBroken: boolean } {
  const text = JSON.stringify(random() < 0.6 ? mutated(chance, message(), 1) : message()) ?? "null";
  if (random() < 0.99) return { bytes: encodeFrame([Buffer.from(text)]), isBroken: !text.startsWith("{") };
  return { bytes: damaged(chance, text), isBroken: true };
}

test(
  `${FRAMES} mutated frames end an agent with a reason or not at all (seed ${seed})`,
  { timeout: 3_600_000 },
  async () => {
    let sent = 0;
    let agents = 0;
    while (sent < FRAMES) {
      const core = await ScriptedCore.welcoming(TOOLS);
      agents += 1;
      let isEnded = false;
      void core.end.then(() => (isEnded = true));
      for (let inOne = 0; inOne < 500 && sent < FRAMES && !isEnded; inOne += 1) {
        const { bytes, isBroken } = frame();
        core.raw(bytes);
        sent += 1;
        if (isBroken && random() < 0.9) break;
        if (inOne % 50 === 0) await new Promise(setImmediate);
      }
      // Whatever was said: the agent answers a last call, or it has ended, or a frame was cut and it waits for the rest.
      core.call("last", "echo", { sound: true });
      const isAnswered = core.result("last").then(
        () => true,
        () => false,
      );
      await Promise.race([isAnswered, core.end, new Promise((go) => setTimeout(go, 1_500))]);
      core.signal("SIGTERM");
      const { exitCode, stderr } = await core.end;
      core.dispose();
      expect([0, 1], `seed ${seed}: ${stderr}`).toContain(exitCode);
      expect(stderr.replaceAll(/a tool failed: .*/g, ""), `seed ${seed}`).not.toMatch(CRASH);
      if (exitCode === 1) expect(stderr).toContain("the session ended: ");
    }
    found("mutated frames sent to agents of the SDK", `${sent} frames, ${agents} agents, no crash`);
  },
);
