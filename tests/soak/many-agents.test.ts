/** What agents that are connected cost Core: each a run in its box, a session with tools, and its heartbeats. */
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Peer } from "../../packages/core/src/conformance/peer.ts";
import { type CoreHome, eventually, newHome } from "../support/core-home.ts";
import { answer, Speaker } from "../support/core-transcript.ts";
import { found, times } from "../support/counts.ts";

const AGENTS = times({ suite: 3, soak: 50 });
/** As many as an agent has that does something. */
const TOOLS = 10;
const MOST_MB = 1;
/** Of a few agents the garbage of their start is a larger part. */
const SLACK_MB = times({ suite: 20, soak: 0 });
const BEAT_MS = 1_000;
const SETTLE_MS = times({ suite: 1_000, soak: 30_000 });

let home: CoreHome;
const speakers: Speaker[] = [];
beforeAll(async () => {
  home = await newHome({ settings: { "runtime.heartbeat_interval_ms": BEAT_MS } });
  for (let count = 0; count < AGENTS; count += 1)
    speakers.push(await Speaker.install(home, `com.example.agent${count}`));
}, 600_000);
afterAll(() => home.dispose());

const tool = (agentId: string, index: number): Record<string, unknown> => ({
  tool_id: `${agentId}/tool_${index}`,
  name: `tool ${index}`,
  description: "Does one of the things that an agent does, described in a sentence or two for people and models.",
  input_schema: {
    type: "object",
    properties: Object.fromEntries(
      Array.from({ length: 8 }, (_, at) => [
        `field_${index}_${at}`,
        { type: "string", maxLength: 200, description: "A field." },
      ]),
    ),
    required: [`field_${index}_0`],
    additionalProperties: false,
  },
});

async function connected(speaker: Speaker): Promise<Peer> {
  const peer = await speaker.open();
  const tools = Array.from({ length: TOOLS }, (_, index) => tool(speaker.agentId, index));
  peer.send({ type: "agent.tools.register", payload: { tools, replace: true } });
  await answer(peer, { type: "core.tools.registered", payload: { rejected: [] } });
  return peer;
}

/** Once Core has nothing to do; heartbeats go on meanwhile. */
async function settledMb(): Promise<number> {
  await delay(SETTLE_MS);
  const pid = await home.corePid();
  return (Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1_024) / 1e6;
}

test(`${AGENTS} connected agents cost Core less than ${MOST_MB} MB each`, { timeout: 600_000 }, async () => {
  await home.json(["core", "restart"]);
  const before = await settledMb();
  const peers: Peer[] = [];
  for (const speaker of speakers) peers.push(await connected(speaker));
  const beats = setInterval(() => {
    for (const [index, peer] of peers.entries()) {
      const payload = { session_id: speakers[index]?.sessionId, uptime_ms: 1, inflight_calls: 0, status: "ok" };
      peer.send({ type: "agent.heartbeat", payload });
    }
  }, BEAT_MS / 2);
  const after = await settledMb();
  const offered = async (): Promise<boolean> =>
    (await home.json<{ items: unknown[] }>(["tools", "list"])).items.length === AGENTS * TOOLS;
  await eventually(offered, "every tool to be offered");
  clearInterval(beats);
  expect(peers.filter(({ ended }) => ended !== undefined)).toEqual([]);
  const each = (after - before) / AGENTS;
  expect(after - before, "MB").toBeLessThan(AGENTS * MOST_MB + SLACK_MB);
  found(
    `${AGENTS} connected agents with ${TOOLS} tools each`,
    `${each.toFixed(2)} MB of Core's memory each: ${before.toFixed(0)} MB before, ${after.toFixed(0)} MB with them`,
  );
});
