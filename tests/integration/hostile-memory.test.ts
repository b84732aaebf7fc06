/**
 * Agents that would fill Core's memory or end other agents, with a Core that has little of it: it lives on, what grew is
 * ended with its reason, and nobody else is.
 */
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Peer } from "../../packages/core/src/conformance/peer.ts";
import { encodeFrame, MAX_FRAME_BYTES } from "../../packages/protocol/src/frame.ts";
import { auditRows } from "../support/audit-rows.ts";
import { controlOf } from "../support/control-of.ts";
import { type CoreHome, eventually, newHome } from "../support/core-home.ts";
import { answer, Speaker } from "../support/core-transcript.ts";

/** What Core may take on its heap: far less than each attack below would have it keep. */
const HEAP_MEGABYTES = 160;
const CHUNK = "x".repeat(1_000_000);
const CHUNKS = 300;
const OVER_MS = 40_000;

let home: CoreHome;
let corePid = 0;
let callee: Speaker;
let asking: Speaker;

beforeAll(async () => {
  home = await newHome({
    env: { NODE_OPTIONS: `--max-old-space-size=${HEAP_MEGABYTES}` },
    settings: { "runtime.heartbeat_interval_ms": 60_000, "runtime.calls_per_minute": 1_000_000 },
  });
  callee = await Speaker.install(home, "com.example.callee", ["tools", "streaming"]);
  asking = await Speaker.install(home, "com.example.caller", ["tools"], [`tool:invoke:${callee.agentId}/say`]);
  corePid = await home.corePid();
}, 60_000);
afterAll(() => home.dispose());

/** Asks for a stream of that tool on the control socket, and reads nothing of what comes. */
function streamUnread(): Socket {
  const socket = connect(join(home.folder, "run/core.sock"));
  socket.on("error", () => {});
  socket.pause();
  const body = JSON.stringify({ input: {} });
  socket.write(
    `POST /api/v1/tools/${callee.agentId}/say/stream HTTP/1.1\r\nhost: core\r\ncontent-type: application/json\r\n` +
      `content-length: ${body.length}\r\n\r\n${body}`,
  );
  return socket;
}

test("an input that an agent could not read is refused", async () => {
  const peer = await callee.open();
  const control = await controlOf(home);
  const params = { agent_id: callee.agentId, tool_name: "say" };
  const deep = JSON.parse(`${"[".repeat(62)}${"]".repeat(62)}`) as unknown;
  const many = Array.from({ length: 262_144 }, () => 1);
  for (const input of [{ deep }, { many }])
    await expect(control.call("call_tool", { params, body: { input } })).rejects.toMatchObject({
      code: "tool.invalid_input",
    });
  expect(peer.heard.filter(({ message }) => message?.["type"] === "core.tool.call")).toEqual([]);
});

/** The id of the next call that the agent is given. */
async function given(peer: Peer): Promise<string> {
  const { payload } = await answer(peer, { type: "core.tool.call" });
  return String((payload as Record<string, unknown>)["call_id"]);
}

const canceled = (peer: Peer): boolean => peer.heard.some(({ message }) => message?.["type"] === "core.tool.cancel");

test("a stream that nobody reads ends before it fills Core's memory", async () => {
  const peer = await callee.open();
  const caller = streamUnread();
  const call_id = await given(peer);
  const data = { text: CHUNK };
  for (let seq = 1; seq <= CHUNKS && !canceled(peer) && peer.ended === undefined; seq += 1) {
    peer.send({ type: "agent.tool.stream", payload: { call_id, seq, channel: "log", data } });
    // Sent together they would wait here.
    await new Promise(setImmediate);
  }
  await eventually(() => canceled(peer) || peer.ended !== undefined, "the call to be canceled", OVER_MS);
  peer.send({ type: "agent.tool.result", payload: { call_id, status: "canceled" } });
  await eventually(
    () => auditRows(home, "tool.call_completed").some(({ metadata }) => metadata["call_id"] === call_id),
    "the end of the call",
    OVER_MS,
  );
  expect(peer.ended).toBeUndefined();
  expect(await home.corePid()).toBe(corePid);
  caller.destroy();
});

const payloadOf = (message: Record<string, unknown> | undefined): Record<string, unknown> | undefined =>
  message?.["payload"] as Record<string, unknown> | undefined;

/** How the caller's own call ended. */
async function ended(peer: Peer, callId: string): Promise<unknown> {
  const find = (): unknown => {
    const found = peer.heard.find(
      ({ message }) => message?.["type"] === "core.tool.result" && payloadOf(message)?.["call_id"] === callId,
    );
    const { status, error } = payloadOf(found?.message) ?? {};
    return found && ((error as { code?: string } | undefined)?.code ?? status);
  };
  return await eventually(find, () => `the answer to ${callId}: ${peer.ended ?? "silence"}`, OVER_MS);
}

/** What Core writes with more characters than it came with: `1e20` is a 1 with twenty zeros. */
function inflating(message: Record<string, unknown>): Uint8Array {
  const whole = { v: 1, id: "inflating", ts: "2026-01-02T03:04:05.678Z", ...message };
  const text = JSON.stringify(whole).replaceAll('"1e20"', Array(220_000).fill("1e20").join());
  return encodeFrame([Buffer.from(text)]);
}

test("what is too large to be forwarded fails its call and ends no agent", async () => {
  const peer = await callee.open();
  const caller = await asking.open();
  const tool_id = `${callee.agentId}/say`;
  const large = { list: ["1e20"] };

  caller.write(
    inflating({ type: "agent.tool.call", payload: { call_id: "context", tool_id, input: {}, context: large } }),
  );
  expect(await ended(caller, "context")).toBe("protocol.frame_too_large");

  caller.send({ type: "agent.tool.call", payload: { call_id: "details", tool_id, input: {} } });
  const details = { code: "x", message: "m", details: large };
  const call_id = await given(peer);
  peer.write(inflating({ type: "agent.tool.result", payload: { call_id, status: "failed", error: details } }));
  expect(await ended(caller, "details")).toBe("protocol.frame_too_large");

  // A frame of the callee's that is full becomes larger by the ids that the caller has to hear.
  const correlation_id = "c".repeat(190);
  caller.send({
    type: "agent.tool.call",
    correlation_id,
    payload: { call_id: "i".repeat(190), tool_id, input: {} },
  });
  const piece = { call_id: await given(peer), seq: 1, channel: "log", data: { text: "" } };
  const around = peer.frame({ type: "agent.tool.stream", id: "s", ts: "2026-01-02T03:04:05Z", payload: piece }).length;
  piece.data.text = "x".repeat(MAX_FRAME_BYTES + 4 - around);
  peer.send({ type: "agent.tool.stream", id: "s", ts: "2026-01-02T03:04:05Z", payload: piece });
  await eventually(() => canceled(peer), "the call to be canceled", OVER_MS);
  peer.send({ type: "agent.tool.result", payload: { call_id: piece.call_id, status: "canceled" } });
  expect(await ended(caller, "i".repeat(190))).toBe("protocol.frame_too_large");
  expect([caller.ended, peer.ended]).toEqual([undefined, undefined]);
});

test("a callee that streams and answers faster than its caller reads ends no caller", async () => {
  const peer = await callee.open();
  const caller = await asking.open();
  const tool_id = `${callee.agentId}/say`;
  caller.send({ type: "agent.tool.call", payload: { call_id: "stream", tool_id, input: {} } });
  const call_id = await given(peer);
  caller.stopReading();
  for (let seq = 1; seq <= 60 && !canceled(peer); seq += 1) {
    peer.send({ type: "agent.tool.stream", payload: { call_id, seq, channel: "log", data: { text: CHUNK } } });
    await new Promise(setImmediate);
  }
  await answer(peer, { type: "core.tool.cancel" });
  caller.readOn();
  peer.send({ type: "agent.tool.result", payload: { call_id, status: "canceled" } });
  expect(await ended(caller, "stream")).toBe("limit.stream");
  expect([caller.ended, peer.ended]).toEqual([undefined, undefined]);

  const calls = Array.from({ length: 14 }, (_, index) => `large-${index}`);
  for (const one of calls) caller.send({ type: "agent.tool.call", payload: { call_id: one, tool_id, input: {} } });
  const ids: string[] = [];
  while (ids.length < calls.length) ids.push(await given(peer));
  caller.stopReading();
  const output = CHUNK.repeat(3);
  for (const one of ids)
    peer.send({ type: "agent.tool.result", payload: { call_id: one, status: "succeeded", output } });
  await eventually(
    () =>
      auditRows(home, "tool.call_completed").filter(({ metadata }) => ids.includes(String(metadata["call_id"])))
        .length === ids.length,
    "the ends of the calls",
    OVER_MS,
  );
  caller.readOn();
  const ends = await Promise.all(calls.map((one) => ended(caller, one)));
  expect(new Set(ends)).toEqual(new Set(["succeeded", "limit.stream"]));
  expect([caller.ended, peer.ended]).toEqual([undefined, undefined]);
});
