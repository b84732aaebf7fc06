/**
 * Core against an agent that says wrong things: it answers, drops, or ends that session with a reason. It never crashes, its
 * memory stays, and the calls of a bystander are answered all the while.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ControlClient } from "../../packages/core/src/cli/control-client.ts";
import type { Peer } from "../../packages/core/src/conformance/peer.ts";
import { encodeFrame } from "../../packages/protocol/src/frame.ts";
import { auditRows } from "../support/audit-rows.ts";
import { controlOf } from "../support/control-of.ts";
import { type CoreHome, eventually, EXAMPLES, gitRepository, newHome } from "../support/core-home.ts";
import { Speaker } from "../support/core-transcript.ts";
import { found, randomNumbers, seed, times } from "../support/counts.ts";
import { chanceOf, damaged, mutated } from "../support/mutations.ts";

const FRAMES = times({ suite: 5_000, soak: 100_000 });
const BYSTANDER = "org.opensentience.examples.hello-tools";
const PERMISSIONS = [`tool:invoke:${BYSTANDER}/hello_world`];
/** How the memory may stand at the end, against what it was after a fifth of the frames. */
const MOST_GROWTH = 1.25;
const AT_ONCE = 50;
const SETTLE_MS = 10_000;
/** Kinds of `agent.message_dropped`: each at most once per run. */
const KINDS = 9;

const chance = chanceOf(randomNumbers());
const { random, below, one } = chance;

let home: CoreHome;
let control: ControlClient;
let corePid = 0;
let fuzzer: Speaker;
/** Calls that Core handed to the fuzzer in this session. */
let callIds: string[] = [];

beforeAll(async () => {
  home = await newHome({
    settings: {
      "runtime.heartbeat_interval_ms": 60_000,
      "runtime.calls_per_minute": 10_000_000,
      "runtime.call_idle_ms": 2_000,
    },
  });
  const { url } = await gitRepository("hello", { copyOf: join(EXAMPLES, "hello-tools") });
  await home.json(["agents", "install", url, "--allow-local"]);
  await home.json(["agents", "build", BYSTANDER, "--yes"]);
  await home.json(["agents", "enable", BYSTANDER, "--all"]);
  await home.json(["agents", "run", BYSTANDER]);
  fuzzer = await Speaker.install(home, "com.example.fuzzer", ["tools"], PERMISSIONS);
  control = await controlOf(home);
  corePid = await home.corePid();
  await eventually(() => callBystander().catch(() => undefined), "the bystander's tools");
}, 120_000);
afterAll(() => home.dispose());

async function callBystander(): Promise<{ status: string; ms: number }> {
  const startedMs = performance.now();
  const params = { agent_id: BYSTANDER, tool_name: "hello_world" };
  const { status } = await control.call("call_tool", { params, body: { input: {} } });
  return { status, ms: performance.now() - startedMs };
}

function residentBytes(): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${corePid}/status`, "utf8"))?.[1]) * 1024;
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

function message(): Record<string, unknown> {
  const call_id = callIds.length > 0 && random() < 0.7 ? one(...callIds) : `call-${below(100)}`;
  const tool = {
    tool_id: `${fuzzer.agentId}/t${below(20)}`,
    name: "t",
    description: "Fuzzes.",
    input_schema: {
      type: "object",
      properties: { a: { $ref: "#/$defs/b" }, c: { type: "string", pattern: "^[a-z]+$" } },
      required: ["a"],
      $defs: {
        b: {
          anyOf: [
            { type: "integer", minimum: below(9) },
            { type: "array", uniqueItems: true },
          ],
        },
      },
    },
    output_schema: { type: "object" },
    permissions: [],
    tags: ["a"],
  };
  const payloads = {
    "agent.tools.register": { tools: [tool, mutated(chance, tool)], replace: random() < 0.5 },
    "agent.tools.unregister": { tool_ids: [tool.tool_id] },
    "agent.heartbeat": { session_id: fuzzer.sessionId, uptime_ms: 1, inflight_calls: 0, status: "ok" },
    "agent.tool.result": { call_id, status: "succeeded", output: { a: [1, { b: null }] } },
    "agent.tool.stream": { call_id, seq: 1 + below(3), channel: "stdout", data: { text: "x" } },
    "agent.tool.call": { call_id: `own-${below(100)}`, tool_id: `${BYSTANDER}/hello_world`, input: { name: "f" } },
    "agent.tool.cancel": { call_id: `own-${below(100)}`, reason: "no" },
    "agent.tool.cancel_ack": { call_id, accepted: true },
    "agent.pong": {},
    "agent.error": {},
    "agent.unheard_of": { a: 1 },
    "core.tool.call": { call_id, tool_id: "a.b/c", input: {} },
  };
  const type = one(...(Object.keys(payloads) as (keyof typeof payloads)[]));
  return { v: 1, type, id: `f-${below(1e9)}`, ts: "2026-01-02T03:04:05.678Z", payload: payloads[type] };
}

/** `ends`: the session may rightly be over behind it. */
function frame(): { bytes: Uint8Array; ends: boolean } {
  const body = JSON.stringify(random() < 0.7 ? mutated(chance, message(), 1) : message()) ?? "null";
  if (random() < 0.97) return { bytes: encodeFrame([Buffer.from(body)]), ends: !body.startsWith("{") };
  const bytes = damaged(chance, body);
  const ends = !isFrame(bytes);
  // Most damage ends a session, which takes a new run: what does not is at least as telling.
  return ends && random() < 0.9 ? frame() : { bytes, ends };
}

function isFrame(bytes: Uint8Array): boolean {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(4));
    const value: unknown = JSON.parse(text);
    return Buffer.from(bytes).readUInt32BE() === bytes.length - 4 && typeof value === "object" && value !== null;
  } catch {
    return false;
  }
}

/** Hellos that are wrong, on connections of their own; not so many that the socket takes no more, none with the run's token. */
async function wrongHellos(): Promise<void> {
  const hello = JSON.stringify(fuzzer.hello()).replace(fuzzer.token, () => fuzzer.token.toLowerCase());
  for (let count = below(4); count > 0; count -= 1) {
    const peer = fuzzer.connect();
    const whole = { v: 1, id: "h", ts: "2026-01-02T03:04:05.678Z", ...(JSON.parse(hello) as object) };
    const body = JSON.stringify(mutated(chance, whole, 1));
    peer.write(random() < 0.5 ? encodeFrame([Buffer.from(body)]) : damaged(chance, body));
    await peer.waitFor(() => peer.ended ?? peer.heard[0], 100);
    peer.destroy();
  }
}

/** A session, fuzzed until it is over or has had enough; how many frames it was sent, and whether it was ended. */
async function fuzzed(most: number): Promise<{ sent: number; isEnded: boolean }> {
  callIds = [];
  const peer = await fuzzer.open(() => wrongHellos());
  let sent = 0;
  while (sent < most && peer.ended === undefined) {
    const batch = Array.from({ length: Math.min(AT_ONCE, most - sent) }, () => frame());
    const isOver = batch.some(({ ends }) => ends);
    const body = { input: {}, timeout_ms: 1_000 };
    void control
      .call("call_tool", { params: { agent_id: fuzzer.agentId, tool_name: "say" }, body })
      .catch(() => undefined);
    for (const { bytes } of batch) peer.write(bytes);
    sent += batch.length;
    await settled(peer, isOver ? 200 : SETTLE_MS, isOver);
  }
  const isEnded = peer.ended !== undefined;
  peer.destroy();
  return { sent, isEnded };
}

/** Core has read everything; a cut frame keeps it waiting for the rest, which nobody needs to wait for. */
async function settled(peer: Peer, withinMs: number, mayEnd: boolean): Promise<void> {
  const id = `sync-${peer.heard.length}-${below(1e9)}`;
  peer.send({ type: "agent.tools.unregister", id, payload: { tool_ids: [] } });
  const answered = await peer.waitFor(
    () => peer.heard.findLast(({ message: heard }) => heard?.["in_reply_to"] === id),
    withinMs,
  );
  for (const { message: heard } of peer.heard.splice(0)) {
    const payload = heard?.["payload"] as { call_id?: string } | undefined;
    if (heard?.["type"] === "core.tool.call" && payload?.call_id !== undefined) callIds.push(payload.call_id);
  }
  callIds = callIds.slice(-20);
  if (answered === undefined && mayEnd) peer.destroy();
  else if (answered === undefined && peer.ended === undefined) throw new Error(`seed ${seed}: Core does not answer`);
}

test(`${FRAMES} mutated frames leave Core and others as they are (seed ${seed})`, { timeout: 3_600_000 }, async () => {
  const idle: number[] = [];
  for (let call = 0; call < 100; call += 1) idle.push((await callBystander()).ms);
  const meanwhile: number[] = [];
  let isOver = false;
  const calling = (async () => {
    while (!isOver) {
      const { status, ms } = await callBystander();
      if (status !== "succeeded") throw new Error(`seed ${seed}: the bystander's call ${status}`);
      meanwhile.push(ms);
      await delay(5);
    }
  })();
  // It is awaited below; until then the fuzzing may fail first.
  calling.catch(() => undefined);
  let [sent, sessions, ended, firstBytes] = [0, 0, 0, 0];
  while (sent < FRAMES) {
    const one = await fuzzed(Math.min(2_000, FRAMES - sent));
    sent += one.sent;
    sessions += 1;
    if (one.isEnded) ended += 1;
    if (firstBytes === 0 && sent > FRAMES / 5) firstBytes = residentBytes();
  }
  isOver = true;
  await calling;
  const growth = residentBytes() / firstBytes;
  expect(await home.corePid()).toBe(corePid);
  expect(growth, `seed ${seed}: Core's memory against that after a fifth`).toBeLessThan(MOST_GROWTH);
  expect(home.coreLog()).not.toMatch(/fatal|Error:|core\.internal/);
  expect(await home.json(["audit", "verify"])).toMatchObject({ status: "intact" });
  const perRun = new Map<string, number>();
  for (const { subject } of auditRows(home, "agent.message_dropped"))
    perRun.set(subject, (perRun.get(subject) ?? 0) + 1);
  expect(Math.max(...perRun.values())).toBeLessThanOrEqual(KINDS);
  found(
    "mutated frames sent to Core by an agent",
    `${sent} frames in ${sessions} sessions, ${ended} of them ended by it; ${meanwhile.length} calls of a bystander answered in ` +
      `${(median(meanwhile) / median(idle)).toFixed(1)} times the time of an idle Core; memory × ${growth.toFixed(2)}`,
  );
});
