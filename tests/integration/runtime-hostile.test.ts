/**
 * Agents that flood the socket of their run, with a bystander beside them: an agent with the SDK, which is called all the
 * while. Core's memory stays, the bystander is quick, and the operator is answered.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ControlClient } from "../../packages/core/src/cli/control-client.ts";
import { encodeFrame } from "../../packages/protocol/src/frame.ts";
import { controlOf } from "../support/control-calls.ts";
import { type CoreHome, eventually, EXAMPLES, gitRepository, newHome } from "../support/core-home.ts";
import { answer as expectAnswer, Speaker } from "../support/core-transcript.ts";

const BYSTANDER = "org.opensentience.examples.hello-tools";
const PERMISSIONS = ["hello_world", "sleep"].map((tool) => `tool:invoke:${BYSTANDER}/${tool}`);
/** Compiling leaves garbage that the engine collects when it likes: 600 schemas cost 44 to 73 MiB, some of it kept. */
const MAX_RISE_MEBI = 128;
/** What a call may take in a flood: so many times what it took before, and this much more on a busy machine. */
const SLOWER = 10;
const GRACE_MS = 300;
const STATUS_MS = 2_000;

let home: CoreHome;
let control: ControlClient;
let corePid = 0;
let hostile: Speaker;

beforeAll(async () => {
  home = await newHome({
    settings: { "runtime.heartbeat_interval_ms": 60_000, "runtime.calls_per_minute": 1_000_000 },
  });
  const { url } = await gitRepository("hello", { copyOf: join(EXAMPLES, "hello-tools") });
  await home.json(["agents", "install", url, "--allow-local"]);
  await home.json(["agents", "build", BYSTANDER, "--yes"]);
  await home.json(["agents", "enable", BYSTANDER, "--all"]);
  await home.json(["agents", "run", BYSTANDER]);
  hostile = await Speaker.install(home, "com.example.hostile", ["tools"], PERMISSIONS);
  control = await controlOf(home);
  corePid = await home.corePid();
  await eventually(async () => (await callBystander().catch(() => undefined)) !== undefined, "the bystander's tools");
}, 120_000);
afterAll(() => home.dispose());

function callBystander(): Promise<unknown> {
  return control.call("call_tool", { params: { agent_id: BYSTANDER, tool_name: "hello_world" }, body: { input: {} } });
}

async function timedMs(act: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await act();
  return performance.now() - startedMs;
}

/** Of a row of calls of the bystander, in ms. */
async function medianMs(calls: number): Promise<number> {
  const took: number[] = [];
  for (let count = 0; count < calls; count += 1) took.push(await timedMs(() => callBystander()));
  return took.toSorted((a, b) => a - b)[Math.floor(calls / 2)] ?? Number.NaN;
}

function residentMebi(): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${corePid}/status`, "utf8"))?.[1]) / 1024;
}

/** Runs the attack beside calls of the bystander; `over` says when Core has had all of it. */
async function besides(attack: () => void, over: () => Promise<unknown>): Promise<void> {
  const idleMs = await medianMs(40);
  const before = residentMebi();
  attack();
  const inFloodMs = await medianMs(20);
  const statusMs = await timedMs(() => control.call("get_status", {}));
  await over();
  expect(inFloodMs, "the bystander's call").toBeLessThan(idleMs * SLOWER + GRACE_MS);
  expect(statusMs, "core status").toBeLessThan(STATUS_MS);
  expect(residentMebi() - before, "MiB").toBeLessThan(MAX_RISE_MEBI);
}

const frames = (count: number, message: (index: number) => Record<string, unknown>): Buffer =>
  Buffer.concat(
    Array.from({ length: count }, (_, index) => {
      const whole = { v: 1, id: `flood-${index}`, ts: "2026-01-02T03:04:05.678Z", ...message(index) };
      return encodeFrame([Buffer.from(JSON.stringify(whole))]);
    }),
  );

const registration = (index: number): Record<string, unknown> => ({
  type: "agent.tools.register",
  payload: {
    replace: true,
    tools: [
      {
        tool_id: `${hostile.agentId}/t${index}`,
        name: "t",
        description: "Floods.",
        input_schema: {
          type: "object",
          properties: Object.fromEntries(
            Array.from({ length: 20 }, (_, at) => [`p${index}_${at}`, { type: "string" }]),
          ),
        },
      },
    ],
  },
});
/** Of a tool that it may not call. */
const call = (index: number): Record<string, unknown> => ({
  type: "agent.tool.call",
  payload: { call_id: `call-${index}`, tool_id: `${BYSTANDER}/large_output`, input: {} },
});

test("a flood of registrations leaves others quick", async () => {
  const peer = await hostile.open();
  const flood = frames(600, registration);
  await besides(
    () => peer.write(flood),
    () =>
      eventually(
        () => peer.heard.length >= 600 + 2,
        () => `every registration to be answered, not ${peer.heard.length}`,
        40_000,
      ),
  );
  expect(peer.ended).toBeUndefined();
  const { items } = await home.json<{ items: unknown[] }>(["tools", "list", "--agent", hostile.agentId]);
  expect(items).toHaveLength(1);
});

test("a flood of calls that are not allowed leaves others quick, and each is refused", async () => {
  const peer = await hostile.open();
  const flood = frames(5_000, call);
  await besides(
    () => peer.write(flood),
    () =>
      eventually(
        () => peer.heard.length >= 5_000 + 2,
        () => `every call to be answered, not ${peer.heard.length}`,
        40_000,
      ),
  );
  expect(peer.ended).toBeUndefined();
  const codes = peer.heard.slice(2).map(({ message }) => (message?.["payload"] as Payload)?.error?.code);
  expect(new Set(codes)).toEqual(new Set(["tool.permission_denied", "limit.inflight"]));
});

test("narrowing an approval ends the calls it allowed", async () => {
  const peer = await hostile.open();
  peer.send({
    type: "agent.tool.call",
    payload: { call_id: "long", tool_id: `${BYSTANDER}/sleep`, input: { ms: 600_000 } },
  });
  const routed = async (): Promise<boolean> => {
    const { items } = await home.json<{ items: { subject_id: string }[] }>([
      "audit",
      "list",
      "--type",
      "tool.call_routed",
    ]);
    return items.some(({ subject_id: toolId }) => toolId === `${BYSTANDER}/sleep`);
  };
  await eventually(routed, "the call to be under way");
  await home.json(["agents", "enable", hostile.agentId, "--approve", `tool:invoke:${BYSTANDER}/hello_world`]);
  await expectAnswer(peer, {
    type: "core.tool.result",
    payload: { call_id: "long", error: { code: "tool.permission_denied" } },
  });
});

type Payload = { error?: { code: string } | null } | undefined;
