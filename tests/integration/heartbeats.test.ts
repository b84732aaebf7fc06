/** Agents that keep their session and send no heartbeats: asked once whether they are there, then marked, then left or ended. */
import type { AuditEventJson } from "@opensentience/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Peer } from "../../packages/core/src/conformance/peer.ts";
import { type CoreHome, eventually, newHome } from "../support/core-home.ts";
import { answer, Speaker } from "../support/core-transcript.ts";

const INTERVAL_MS = 500;

let home: CoreHome;
beforeAll(async () => {
  home = await newHome({ settings: { "runtime.heartbeat_interval_ms": INTERVAL_MS, "restart.initial_ms": 60_000 } });
});
afterAll(() => home.dispose());

async function events(type: string, { runId }: Speaker): Promise<AuditEventJson[]> {
  const { items } = await home.json<{ items: AuditEventJson[] }>(["audit", "list", "--type", type]);
  return items.filter((event) => event.subject_id === runId);
}

/** Why Core says that it missed heartbeats; waits for that. */
async function missed(speaker: Speaker): Promise<unknown> {
  const [event] = await eventually(async () => {
    const found = await events("agent.heartbeat_missed", speaker);
    return found.length > 0 ? found : undefined;
  }, "the missed heartbeats");
  expect(await events("agent.marked_unhealthy", speaker)).toHaveLength(1);
  return event?.metadata?.["reason"];
}

function beat(speaker: Speaker, peer: Peer, status = "ok"): void {
  const payload = { session_id: speaker.sessionId, uptime_ms: 1, inflight_calls: 0, status };
  peer.send({ type: "agent.heartbeat", payload });
}

async function healthOf({ agentId }: Speaker): Promise<string> {
  return (await home.json<{ run: { health: string } }>(["agents", "info", agentId])).run.health;
}

const pings = (peer: Peer): number => peer.heard.filter(({ message }) => message?.["type"] === "core.ping").length;

test("who answers pings and sends no heartbeats is unhealthy, and well again with the next heartbeat", async () => {
  const speaker = await Speaker.install(home, "com.example.forgetful");
  const peer = await speaker.open();
  const ping = await answer(peer, { type: "core.ping", id: "$string", in_reply_to: "$absent" });
  peer.send({ type: "agent.pong", in_reply_to: ping["id"], payload: {} });
  expect(await missed(speaker)).toMatch(/^[3-9] heartbeats missed; it answers, but sends none$/);
  expect(pings(peer)).toBe(1);
  const { error } = await home.fails(["tools", "call", `${speaker.agentId}/say`]);
  expect(error.code).toBe("agent.unhealthy");
  beat(speaker, peer);
  await eventually(async () => (await healthOf(speaker)) === "ok", "the agent to be well");
  // Late again, it is asked again.
  await answer(peer, { type: "core.ping", in_reply_to: "$absent" });
  expect(peer.ended).toBeUndefined();
});

test("who is well and unwell in turns is recorded once", async () => {
  const speaker = await Speaker.install(home, "com.example.fickle");
  const peer = await speaker.open();
  for (let count = 0; count < 5_000; count += 1) beat(speaker, peer, count % 2 === 0 ? "ok" : "unhealthy");
  beat(speaker, peer, "degraded");
  await eventually(async () => (await healthOf(speaker)) === "degraded", "the last heartbeat");
  // So many as there were intervals, which is more than one on a busy machine.
  expect((await events("agent.marked_unhealthy", speaker)).length).toBeLessThan(20);
});

test("who answers nothing is unhealthy, and is ended where a restart policy says what follows", async () => {
  const speaker = await Speaker.install(home, "com.example.stuck");
  await speaker.run("on-failure");
  const peer = speaker.connect();
  peer.send(speaker.hello());
  await answer(peer, { type: "core.welcome" });
  // More than three where the machine was busy when Core was to look.
  expect(await missed(speaker)).toMatch(/^[3-9] heartbeats missed; nor does it answer a ping$/);
  const [crashed] = await eventually(async () => {
    const found = await events("agent.run_crashed", speaker);
    return found.length > 0 ? found : undefined;
  }, "the end of the run");
  expect(crashed?.metadata).toMatchObject({
    reason: expect.stringMatching(/^unhealthy: [3-9] heartbeats missed; nor does it answer a ping$/) as unknown,
    restart_in_ms: expect.any(Number) as unknown,
  });
  expect(pings(peer)).toBe(1);
});

test("who says that it is unhealthy gets no calls, and goes on", async () => {
  const speaker = await Speaker.install(home, "com.example.ailing");
  const peer = await speaker.open();
  beat(speaker, peer, "unhealthy");
  await eventually(async () => (await events("agent.marked_unhealthy", speaker)).length === 1, "the mark");
  expect(await events("agent.heartbeat_missed", speaker)).toEqual([]);
  expect((await home.fails(["tools", "call", `${speaker.agentId}/say`])).error.code).toBe("agent.unhealthy");
  expect(peer.ended).toBeUndefined();
});
