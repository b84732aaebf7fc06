/**
 * Agents that would fill Core's memory or end other agents, with a Core that has little of it: it lives on, what grew is
 * ended with its reason, and nobody else is.
 */
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Peer } from "../../packages/core/src/conformance/peer.ts";
import { auditRows } from "../support/audit-rows.ts";
import { controlOf } from "../support/control-calls.ts";
import { type CoreHome, eventually, newHome } from "../support/core-home.ts";
import { answer, Speaker } from "../support/core-transcript.ts";

/** What Core may take on its heap: far less than each attack below would have it keep. */
const HEAP_MEGABYTES = 160;
const CHUNK = "x".repeat(1_000_000);
const CHUNKS = 600;
const OVER_MS = 40_000;

let home: CoreHome;
let corePid = 0;
let callee: Speaker;

beforeAll(async () => {
  home = await newHome({
    env: { NODE_OPTIONS: `--max-old-space-size=${HEAP_MEGABYTES}` },
    settings: { "runtime.heartbeat_interval_ms": 60_000, "runtime.calls_per_minute": 1_000_000 },
  });
  callee = await Speaker.install(home, "com.example.callee", ["tools", "streaming"]);
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
    if (seq % 20 === 0) await new Promise(setImmediate);
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
