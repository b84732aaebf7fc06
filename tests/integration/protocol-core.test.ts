/**
 * Core, spoken to by an agent that keeps no rule: what it answers, what it ends, what it records, and that neither another
 * agent nor the record sees anything of it. The transcripts are packages/protocol/conformance/core.json.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Peer } from "../../packages/core/src/conformance/peer.ts";
import { eventually, EXAMPLES, gitRepository, newHome, type CoreHome } from "../support/core-home.ts";
import { answer, barrier, CANARY, closed, CORE_CASES, Speaker } from "../support/core-transcript.ts";

const BYSTANDER = "org.opensentience.examples.hello-python";
const CASES = CORE_CASES.map((one) => [one.name, one] as const);
const casesOf = (state: string, ends: string): typeof CASES =>
  CASES.filter(([, one]) => one.state === state && one.ends === ends);

type Event = { subject_id: string; actor_id: string; severity: string; metadata: Record<string, unknown> };
type CallResult = { status: string; output?: unknown; error?: { code: string } | null };

let home: CoreHome;
let speaker: Speaker;
let bystander: { run_id: string };
/** Half a frame, sent at the start of this file: its bound passes while other things are tested. */
let stalled: { peer: Peer };

beforeAll(async () => {
  home = await newHome({
    settings: { "runtime.handshake_timeout_ms": 120_000, "runtime.heartbeat_interval_ms": 60_000 },
  });
  const { url } = await gitRepository("hello-python", { copyOf: join(EXAMPLES, "hello-python") });
  await home.json(["agents", "install", url, "--allow-local"]);
  await home.json(["agents", "build", BYSTANDER, "--yes"]);
  await home.json(["agents", "enable", BYSTANDER, "--all"]);
  bystander = await home.json(["agents", "run", BYSTANDER]);
  await eventually(bystanderAnswers, "the bystander to have its tools");
  speaker = await Speaker.install(home, "com.example.speaker");
  const staller = await Speaker.install(home, "com.example.staller");
  stalled = { peer: await staller.open() };
  stalled.peer.write(Buffer.from("000000107b22", "hex"));
});
afterAll(() => home.dispose());

async function bystanderAnswers(): Promise<boolean> {
  const { code } = await home.cli(["tools", "call", `${BYSTANDER}/hello_world`]);
  return code === 0;
}

/** Of all runs, oldest first. */
async function events(type: string): Promise<Event[]> {
  const { items } = await home.json<{ items: Event[] }>(["audit", "list", "--type", type, "--limit", "200"]);
  return items.reverse();
}

/** What was recorded as dropped for a run, in order. */
async function dropped(runId: string): Promise<string[]> {
  const all = await events("agent.message_dropped");
  return all.filter((event) => event.subject_id === runId).map(({ metadata }) => String(metadata["reason"]));
}

/** Codes of the refusals that were recorded for a run. */
async function refusals(runId: string): Promise<unknown[]> {
  const all = await events("agent.handshake_failed");
  return all.filter((event) => event.subject_id === runId).map(({ metadata }) => metadata["code"]);
}

describe("before the handshake", () => {
  test("every wrong first message is refused with its code, recorded once, and only its connection ends", async () => {
    await speaker.run();
    const cases = casesOf("waiting", "connection").map(([, one]) => one);
    expect(cases.length).toBeGreaterThanOrEqual(11);
    for (const one of cases) {
      const peer = await speaker.play(one, speaker.connect());
      await closed(peer);
      expect(
        peer.heard.filter(({ isUsed }) => !isUsed),
        one.name,
      ).toEqual([]);
    }
    expect(await refusals(speaker.runId)).toEqual(cases.map(({ recorded }) => recorded));
    const peer = speaker.connect();
    peer.send(speaker.hello());
    await answer(peer, { type: "core.welcome", error: "$absent" });
    peer.destroy();
  });

  test("a run whose socket was refused too often takes no more", async () => {
    await speaker.run();
    const [, wrong] = casesOf("waiting", "connection")[0] ?? [];
    if (wrong === undefined) throw new Error("no case");
    for (let count = 0; count < 16; count += 1) await closed(await speaker.play(wrong, speaker.connect()));
    const peer = speaker.connect();
    peer.send(speaker.hello());
    await closed(peer);
    expect(peer.heard).toEqual([]);
  });
});

test("a run's socket holds so many connections and no more", async () => {
  await speaker.run();
  const peers = Array.from({ length: 20 }, () => speaker.connect());
  const turnedAway = (): number => peers.filter(({ ended }) => ended !== undefined).length;
  await eventually(() => turnedAway() >= 12, "twelve to be turned away");
  expect(turnedAway()).toBe(12);
  for (const peer of peers) peer.destroy();
});

describe("in a session", () => {
  let peer: Peer;
  beforeAll(async () => {
    peer = await speaker.open();
  });

  test.each(casesOf("open", "nothing"))("%s", async (_name, one) => {
    await speaker.play(one, peer);
    await barrier(peer);
    expect(peer.heard.filter(({ isUsed }) => !isUsed)).toEqual([]);
  });

  test.each(casesOf("open", "connection"))("%s", async (_name, one) => {
    const other = await speaker.play(one, peer);
    await closed(other);
    await barrier(peer);
    expect(peer.ended).toBeUndefined();
  });

  test("the session has lived through all of it, and each kind is recorded once", async () => {
    await barrier(peer);
    expect(await refusals(speaker.runId)).toEqual(["protocol.unauthorized"]);
    expect((await dropped(speaker.runId)).toSorted()).toEqual([
      "protocol.invalid_envelope",
      "protocol.unexpected_message",
      "protocol.unknown_type",
      "unknown_call",
    ]);
  });
});

describe("the end of a session", () => {
  const codes = new Map<string, string | undefined>();

  test.each(casesOf("open", "session"))("%s", async (_name, one) => {
    const peer = await speaker.open();
    codes.set(speaker.runId, one.recorded);
    await speaker.play(one, peer);
    await closed(peer);
    expect(peer.heard.filter(({ isUsed }) => !isUsed)).toEqual([]);
  });

  test("each is recorded once, and each is the end of its run", async () => {
    expect(codes.size).toBe(casesOf("open", "session").length);
    await eventually(
      async () =>
        (await events("agent.run_crashed")).filter((event) => codes.has(event.subject_id)).length === codes.size,
      "every run to be over",
    );
    const recorded = (await events("agent.handshake_failed")).filter((event) => codes.has(event.subject_id));
    expect(recorded.map((event) => [event.subject_id, event.metadata["code"]])).toEqual([...codes]);
  });
});

describe("calls", () => {
  let peer: Peer;
  beforeAll(async () => {
    peer = await speaker.open();
  });

  /** The command, and the call as the agent gets it. */
  async function called(on: Peer, ...args: string[]): Promise<{ result: Promise<CallResult>; call: CallMessage }> {
    const toolId = `${args.shift() ?? speaker.agentId}/say`;
    const result = home.json<CallResult>(["tools", "call", toolId, ...args], { codes: [0, 1] });
    result.catch(() => undefined);
    const call = (await answer(on, { type: "core.tool.call", request_id: "$string" })) as CallMessage;
    return { result, call };
  }

  function say(on: Peer, type: string, { payload }: CallMessage, more: Record<string, unknown>): void {
    on.send({ type, payload: { call_id: payload.call_id, ...more } });
  }
  const piece = (seq: number): Record<string, unknown> => ({
    seq,
    channel: "stdout",
    data: { text: `${CANARY}-${seq}` },
  });

  test("a gap in a stream fails the call and tells the agent", async () => {
    const { result, call } = await called(peer);
    say(peer, "agent.tool.stream", call, piece(1));
    say(peer, "agent.tool.stream", call, piece(3));
    await answer(peer, { type: "core.tool.cancel", payload: { call_id: call.payload.call_id, deadline_ms: 0 } });
    expect(await result).toMatchObject({ status: "failed", error: { code: "protocol.unexpected_message" } });
  });

  test("a piece that came already, and one behind the result, are dropped", async () => {
    const toolId = `${speaker.agentId}/say`;
    const lines = home.cli(["tools", "call", toolId, "--stream"]);
    const call = (await answer(peer, { type: "core.tool.call" })) as CallMessage;
    for (const seq of [1, 1, 2, 1]) say(peer, "agent.tool.stream", call, piece(seq));
    say(peer, "agent.tool.result", call, { status: "succeeded", output: { ok: true } });
    say(peer, "agent.tool.stream", call, piece(3));
    const { code, stdout, stderr } = await lines;
    expect({ code, output: JSON.parse(stdout) as unknown }).toEqual({ code: 0, output: { ok: true } });
    expect(stderr.match(/canary-plum-\d/g)).toEqual([`${CANARY}-1`, `${CANARY}-2`]);
  });

  test("the first result of a call is the result", async () => {
    const { result, call } = await called(peer);
    say(peer, "agent.tool.result", call, { status: "succeeded", output: "first" });
    say(peer, "agent.tool.result", call, { status: "failed", error: { code: "x.y", message: "second" } });
    expect(await result).toMatchObject({ status: "succeeded", output: "first" });
    await barrier(peer);
  });

  test("a result behind the deadline is dropped, and the next call has its own", async () => {
    const { result, call } = await called(peer, speaker.agentId, "--timeout", "1");
    await answer(peer, { type: "core.tool.cancel", payload: { call_id: call.payload.call_id } });
    expect(await result).toMatchObject({ status: "failed", error: { code: "tool.timeout" } });
    const next = await called(peer);
    say(peer, "agent.tool.result", call, { status: "succeeded", output: "late" });
    say(peer, "agent.tool.result", next.call, { status: "succeeded", output: "mine" });
    expect(await next.result).toMatchObject({ output: "mine" });
  });

  test("an agent is told how long Core waits", async () => {
    const { result, call } = await called(peer, speaker.agentId, "--timeout", "7");
    say(peer, "agent.tool.result", call, { status: "succeeded", output: 1 });
    await result;
    expect(call.payload.timeout_ms).toBe(7_000);
  });

  test("an agent cannot answer another's call", async () => {
    const other = await Speaker.install(home, "com.example.other");
    const otherPeer = await other.open();
    const { result, call } = await called(otherPeer, other.agentId);
    say(peer, "agent.tool.stream", call, piece(1));
    say(peer, "agent.tool.result", call, { status: "succeeded", output: "forged" });
    await barrier(peer);
    say(otherPeer, "agent.tool.result", call, { status: "succeeded", output: "mine" });
    expect(await result).toMatchObject({ output: "mine" });
    const [forged] = (await events("agent.message_dropped")).filter(
      ({ metadata }) => metadata["reason"] === "foreign_call",
    );
    expect(forged).toMatchObject({ severity: "security", subject_id: speaker.runId, actor_id: speaker.agentId });
  });

  test("a canceled call's late answer is what was asked for", async () => {
    const quiet = await Speaker.install(home, "com.example.quiet-end");
    const quietPeer = await quiet.open();
    const { result, call } = await called(quietPeer, quiet.agentId, "--timeout", "1");
    await answer(quietPeer, { type: "core.tool.cancel", payload: { call_id: call.payload.call_id } });
    await result;
    say(quietPeer, "agent.tool.stream", call, piece(1));
    say(quietPeer, "agent.tool.result", call, { status: "canceled" });
    await barrier(quietPeer);
    expect(await dropped(quiet.runId)).toEqual([]);
  });

  test("answers twice, late, in pieces that came, and for another's call are recorded once each", async () => {
    const { result, call } = await called(peer);
    say(peer, "agent.tool.result", call, { status: "succeeded", output: 1 });
    await result;
    for (let count = 0; count < 1_000; count += 1) {
      say(peer, "agent.tool.result", call, { status: "succeeded", output: count });
      say(peer, "agent.tool.result", { payload: { call_id: `nobody-${count}` } }, { status: "canceled" });
    }
    await barrier(peer);
    expect(await dropped(speaker.runId)).toEqual([
      "repeated_piece",
      "second_result",
      "late_result",
      "foreign_call",
      "unknown_call",
    ]);
  });
});

test("a frame that begins and does not end closes the session after its bound", async () => {
  const { peer } = stalled;
  await peer.waitFor(() => peer.ended, 20_000);
  expect(peer.ended).toBeDefined();
});

test("the token is void behind its time, for an agent without tools too", async () => {
  const short = await newHome({ settings: { "runtime.handshake_timeout_ms": 500 } });
  const quiet = await Speaker.install(short, "com.example.quiet", []);
  await quiet.run();
  const expired = await eventually(async () => {
    const peer = quiet.connect();
    // Says who it is only when nobody has for long enough; before that the hello would be good.
    await peer.waitFor(() => peer.ended, 700);
    const second = quiet.connect();
    second.send(quiet.hello());
    return answer(second, { type: "core.welcome", error: { code: "protocol.unauthorized" } });
  }, "the token to be refused");
  expect(expired["payload"]).not.toHaveProperty("session_id");
  const { items } = await short.json<{ items: unknown[] }>(["agents", "ps"]);
  expect(items).toHaveLength(1);
  await short.dispose();
});

test("no other agent noticed, and nothing of what was sent is on record", async () => {
  expect(await bystanderAnswers()).toBe(true);
  const { items } = await home.json<{ items: { agent_id: string; run_id: string }[] }>(["agents", "ps"]);
  expect(items.find(({ agent_id: agentId }) => agentId === BYSTANDER)?.run_id).toBe(bystander.run_id);
  const { stdout } = await home.cli(["audit", "export"]);
  expect(stdout).toContain("agent.handshake_failed");
  expect(stdout).not.toContain(CANARY);
  expect(stdout).not.toContain(speaker.token);
  expect(home.coreLog()).not.toContain(CANARY);
  expect(readFileSync(join(home.folder, "state/core.sqlite3")).includes(CANARY)).toBe(false);
});

type CallMessage = { payload: { call_id: string; timeout_ms?: number } };
