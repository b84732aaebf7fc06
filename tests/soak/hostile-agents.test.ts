/**
 * Agents that flood the socket of their run, with a bystander beside them: an agent with the SDK, which is called all the
 * while. Core's memory stays, the bystander is quick, and the operator is answered.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { AuditEventJson } from "@opensentience/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Peer } from "../../packages/core/src/conformance/peer.ts";
import type { ControlClient } from "../../packages/core/src/cli/control-client.ts";
import { encodeFrame } from "../../packages/protocol/src/frame.ts";
import { controlOf } from "../support/control-of.ts";
import { type CoreHome, eventually, EXAMPLES, gitRepository, newHome } from "../support/core-home.ts";
import { answer as expectAnswer, Speaker } from "../support/core-transcript.ts";
import { found, times } from "../support/counts.ts";

const BYSTANDER = "org.opensentience.examples.hello-tools";
const PERMISSIONS = ["hello_world", "sleep"].map((tool) => `tool:invoke:${BYSTANDER}/${tool}`);
/** What is read and answered is garbage that the engine collects when it likes; 32 MiB may wait to be read. */
const MAX_RISE_MEBI = 128;
/** As much as tells a median. */
const LEAST_CALLS = 20;
/** How much larger than in the suite the floods of a soak are. */
const LARGER = times({ suite: 1, soak: 5 });
/** How long Core may take for all of a flood, on a machine that has other things to do. */
const OVER_MS = 40_000 * LARGER;
/** What a call may take in a flood: so many times what it took before, and this much more on a busy machine. */
const SLOWER = 10;
const GRACE_MS = 300;
const STATUS_MS = 2_000;

let home: CoreHome;
let control: ControlClient;
let corePid = 0;
let hostile: Speaker;
/** It reads nothing of what it asked for, and of its second frame only the beginning comes: their bounds pass meanwhile. */
let mute: Speaker;
let stalling: Speaker;

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
  mute = await Speaker.install(home, "com.example.mute");
  const peer = await mute.open();
  peer.stopReading();
  peer.write(frames(4_000, unknown));
  stalling = await Speaker.install(home, "com.example.stalling");
  (await stalling.open()).write(Buffer.concat([frames(1, unknown), frames(1, unknown).subarray(0, 40)]));
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

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** Calls of the bystander, one after the other, until `isEnough`; how long each took, in ms. */
async function callsUntil(isEnough: (calls: number) => boolean): Promise<number[]> {
  const took: number[] = [];
  while (!isEnough(took.length)) took.push(await timedMs(() => callBystander()));
  return took;
}

function residentMebi(): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${corePid}/status`, "utf8"))?.[1]) / 1024;
}

/** Runs the attack beside calls of the bystander; `over` says when Core has had all of it. */
async function besides(what: string, attack: () => void, over: () => Promise<unknown>): Promise<void> {
  const idleMs = median(await callsUntil((calls) => calls >= LEAST_CALLS));
  const before = residentMebi();
  attack();
  let isOver = false;
  const whole = over().finally(() => (isOver = true));
  const [took, statusMs] = await Promise.all([
    callsUntil((calls) => isOver && calls >= LEAST_CALLS),
    timedMs(() => control.call("get_status", {})),
  ]);
  await whole;
  const risen = residentMebi() - before;
  expect(median(took), "the bystander's call, in ms").toBeLessThan(idleMs * SLOWER + GRACE_MS);
  expect(statusMs, "core status, in ms").toBeLessThan(STATUS_MS);
  expect(risen, "MiB").toBeLessThan(MAX_RISE_MEBI);
  found(
    what,
    `${took.length} calls of a bystander, all answered, in ${(median(took) / idleMs).toFixed(1)} times the time of an idle Core ` +
      `(median; the longest ${Math.max(...took).toFixed(0)} ms); memory +${Math.max(risen, 0).toFixed(0)} MiB`,
  );
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

/** Answered with a refusal that repeats the id. */
const unknown = (index: number): Record<string, unknown> => ({
  type: "agent.unheard_of",
  id: String(index).padStart(190, "0"),
  payload: {},
});
/** For calls that nobody made. */
const stray = (index: number): Record<string, unknown> => ({
  type: "agent.tool.result",
  payload: { call_id: `nobody-${index}`, status: "succeeded", output: "x".repeat(200) },
});

/** Waits until Core has read everything that the agent has sent so far. */
async function readUpTo(peer: Peer): Promise<void> {
  peer.send({ type: "agent.tools.unregister", id: "last", payload: { tool_ids: [] } });
  const answer = await peer.waitFor(
    () => peer.heard.find(({ message }) => message?.["in_reply_to"] === "last"),
    OVER_MS,
  );
  if (answer === undefined) throw new Error("Core has not read all of it");
}

async function dropped(runId: string): Promise<unknown[]> {
  const { items } = await home.json<{ items: AuditEventJson[] }>(["audit", "list", "--type", "agent.message_dropped"]);
  return items.filter((event) => event.subject_id === runId).map(({ metadata }) => metadata?.["reason"]);
}

/** Why the speaker's run is over; waits for that. */
async function endOf({ agentId, runId }: Speaker): Promise<string | null> {
  return await eventually(
    async () => {
      const { run } = await control.call("get_agent", { params: { agent_id: agentId } });
      return run?.run_id === runId && run.stopped_at !== null ? run.reason : undefined;
    },
    `the end of ${agentId}`,
    OVER_MS,
  );
}

test("a flood of registrations leaves others quick", async () => {
  const peer = await hostile.open();
  const count = 600 * LARGER;
  const flood = frames(count, registration);
  await besides(
    `a flood of ${count} registrations by an agent`,
    () => peer.write(flood),
    () =>
      eventually(
        () => peer.heard.length >= count + 2,
        () => `every registration to be answered, not ${peer.heard.length}`,
        OVER_MS,
      ),
  );
  expect(peer.ended).toBeUndefined();
  const { items } = await home.json<{ items: unknown[] }>(["tools", "list", "--agent", hostile.agentId]);
  expect(items).toHaveLength(1);
});

test("a flood of calls that are not allowed leaves others quick, and each is refused", async () => {
  const peer = await hostile.open();
  const count = 5_000 * LARGER;
  const flood = frames(count, call);
  await besides(
    `a flood of ${count} calls by an agent that may not make them`,
    () => peer.write(flood),
    () =>
      eventually(
        () => peer.heard.length >= count + 2,
        () => `every call to be answered, not ${peer.heard.length}`,
        OVER_MS,
      ),
  );
  expect(peer.ended).toBeUndefined();
  const codes = peer.heard.slice(2).map(({ message }) => (message?.["payload"] as Payload)?.error?.code);
  // How many are under way at once depends on how much Core reads in a row.
  expect(codes.filter((code) => code !== "tool.permission_denied" && code !== "limit.inflight")).toEqual([]);
  expect(codes).toContain("tool.permission_denied");
});

test("a flood of answers to calls that nobody made leaves others quick, and is recorded once", async () => {
  const peer = await hostile.open();
  const count = 50_000 * LARGER;
  const flood = frames(count, stray);
  await besides(
    `a flood of ${count} answers to calls that nobody made`,
    () => peer.write(flood),
    () => readUpTo(peer),
  );
  expect(peer.ended).toBeUndefined();
  expect(await dropped(hostile.runId)).toEqual(["unknown_call"]);
});

test("an agent that floods and never reads is ended before Core holds much for it, and others are quick", async () => {
  const peer = await hostile.open();
  peer.stopReading();
  const count = 90_000 * LARGER;
  const flood = frames(count, unknown);
  await besides(
    `${count} messages of an agent that never reads the refusals`,
    () => peer.write(flood),
    () => endOf(hostile),
  );
  expect(await endOf(hostile)).toBe("its session ended: it does not read its socket");
  expect(await dropped(hostile.runId)).toEqual(["protocol.unknown_type"]);
});

test("a schema that would be checked later is checked at once, and Core goes on", async () => {
  const peer = await hostile.open();
  const schema = { $async: true, type: "object", required: ["a"] };
  const tool = { tool_id: `${hostile.agentId}/later`, name: "l", description: "L.", input_schema: schema };
  peer.send({ type: "agent.tools.register", payload: { tools: [tool] } });
  await expectAnswer(peer, { type: "core.tools.registered", payload: { registered: [tool.tool_id] } });
  const refused = control.call("call_tool", {
    params: { agent_id: hostile.agentId, tool_name: "later" },
    body: { input: {} },
  });
  await expect(refused).rejects.toMatchObject({ code: "tool.invalid_input" });
  expect(await home.corePid()).toBe(corePid);
  await callBystander();
});

test("large inputs that come together end no agent that reads", async () => {
  const callee = await Speaker.install(home, "com.example.callee");
  const caller = await Speaker.install(home, "com.example.caller", ["tools"], [`tool:invoke:${callee.agentId}/say`]);
  const [reader, peer] = [await callee.open(), await caller.open()];
  const input = { text: "x".repeat(1_000_000) };
  const many = Array.from({ length: 40 }, (_, index) => `large-${index}`);
  for (const call_id of many)
    peer.send({ type: "agent.tool.call", payload: { call_id, tool_id: `${callee.agentId}/say`, input } });
  const callsHeard = (): string[] =>
    reader.heard.flatMap(({ message }) => (message?.["type"] === "core.tool.call" ? [callIdOf(message)] : []));
  const answered = new Set<string>();
  await eventually(
    () => {
      for (const call_id of callsHeard().filter((one) => !answered.has(one))) {
        answered.add(call_id);
        reader.send({ type: "agent.tool.result", payload: { call_id, status: "succeeded", output: 1 } });
      }
      return peer.heard.length >= many.length + 2;
    },
    () => `every call to be answered, not ${peer.heard.length - 2}`,
  );
  const outcomes = peer.heard.slice(2).map(({ message }) => message?.["payload"] as Payload);
  const codes = new Set(outcomes.map((outcome) => outcome?.error?.code));
  expect([...codes].filter((code) => code !== undefined && code !== "limit.inflight")).toEqual([]);
  expect(answered.size).toBeGreaterThan(0);
  expect([reader.ended, peer.ended]).toEqual([undefined, undefined]);
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

test("an agent that never reads is ended, with its reason", async () => {
  expect(await endOf(mute)).toBe("its session ended: it does not read its socket");
  expect(await dropped(mute.runId)).toEqual(["protocol.unknown_type"]);
});

test("an agent that stalls in the middle of a frame is ended, with its reason", async () => {
  expect(await endOf(stalling)).toBe("its session ended: a frame did not end in time");
});

const callIdOf = (message: Record<string, unknown>): string =>
  String((message["payload"] as Record<string, unknown>)["call_id"]);
type Payload = { error?: { code: string } | null } | undefined;
