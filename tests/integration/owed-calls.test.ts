/**
 * Calls that are under way while the disk of the audit log fills: what was carried out is told as carried out, and each gets
 * exactly one outcome, as soon as there is room again or, where Core ended before, at its next start. The test is the agents.
 */
import { join } from "node:path";
import type { CoreError, ToolCallJson } from "@opensentience/protocol";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { readCoreMark } from "../../packages/core/src/host/core-mark.ts";
import { isAlive, readProcess } from "../../packages/core/src/host/process-tree.ts";
import type { Peer } from "../../packages/core/src/conformance/peer.ts";
import { auditRows } from "../support/audit-rows.ts";
import { controlOf } from "../support/control-of.ts";
import { type CoreHome, eventually, newHome } from "../support/core-home.ts";
import { answer, Speaker } from "../support/core-transcript.ts";
import { stateOnSmallDisk, type SmallDisk } from "../support/full-disk.ts";

const DISK_BYTES = 4 * 1024 * 1024;
const CALLS = 6;
const WORKER = "com.example.worker";

let home: CoreHome;
let disk: SmallDisk;
let worker: Speaker;
let boss: Speaker;

beforeAll(async () => {
  // Nobody beats for the agents here.
  home = await newHome({ settings: { "runtime.heartbeat_interval_ms": 60_000 } });
  worker = await Speaker.install(home, WORKER);
  boss = await Speaker.install(home, "com.example.boss", ["tools"], [`tool:invoke:${WORKER}/say`]);
  await home.json(["core", "stop"]);
  disk = await stateOnSmallDisk(home, DISK_BYTES);
}, 120_000);
afterEach(() => disk.free());
afterAll(async () => {
  await home.cli(["core", "stop"]);
  await disk.remove();
  await home.dispose();
});

type Asked = Promise<ToolCallJson | CoreError>;

async function call(key?: string): Asked {
  const control = await controlOf(home);
  return control
    .call("call_tool", {
      params: { agent_id: WORKER, tool_name: "say" },
      body: { input: {}, ...(key === undefined ? {} : { idempotency_key: key }) },
    })
    .catch((error: unknown) => error as CoreError);
}

/** The id of the next call that the worker is given. */
async function given(peer: Peer): Promise<string> {
  const message = await answer(peer, { type: "core.tool.call" });
  return String((message["payload"] as Record<string, unknown>)["call_id"]);
}

const succeed = (peer: Peer, callId: string): void =>
  peer.send({ type: "agent.tool.result", payload: { call_id: callId, status: "succeeded", output: { of: callId } } });

/** `CALLS` calls that the worker has and has not answered, the first with the key, and then no room for a row. */
async function underWayOnFullDisk(peer: Peer, key: string): Promise<{ ids: string[]; answers: Asked[] }> {
  const ids: string[] = [];
  const answers: Asked[] = [];
  for (let index = 0; index < CALLS; index += 1) {
    answers.push(call(index === 0 ? key : undefined));
    ids.push(await given(peer));
  }
  await disk.fill();
  // The journal and the database may still have a little room of their own.
  for (;;) {
    const asked = call();
    const next = await Promise.race([asked, given(peer)]);
    if (typeof next !== "string") {
      expect(next).toMatchObject({ code: "audit.unavailable" });
      // The race left somebody waiting for a call that never comes.
      return { ids, answers };
    }
    succeed(peer, next);
    if ("code" in (await asked)) return { ids, answers };
  }
}

/** How many outcomes each call has that was handed over, or that the worker was given. */
function outcomes(ids: readonly string[]): number[] {
  const callIds = (type: string): string[] => auditRows(home, type).map(({ metadata }) => String(metadata["call_id"]));
  const ends = callIds("tool.call_completed");
  return [...new Set([...callIds("tool.call_routed"), ...ids])].map((id) => ends.filter((end) => end === id).length);
}

async function expectOneOutcomeEach(ids: readonly string[]): Promise<void> {
  await eventually(
    () => outcomes(ids).every((count) => count > 0),
    () => `each call to have its outcome: ${outcomes(ids).join(" ")}\n${home.coreLog()}`,
  );
  expect(outcomes(ids).filter((count) => count !== 1)).toEqual([]);
  expect(await home.json(["audit", "verify"])).toMatchObject({ status: "intact" });
}

const unrecordedOf = (callId: string): Record<string, unknown> => ({
  code: "audit.outcome_unrecorded",
  message: expect.stringContaining("the call was carried out and came to succeeded") as string,
  details: { call_id: callId, status: "succeeded", carried_out: true },
});

test("what was carried out is told so, and is recorded once there is room", async () => {
  const peer = await worker.open();
  const asking = await boss.open();
  const payload = { call_id: "mine", tool_id: `${WORKER}/say`, input: {} };
  asking.send({ type: "agent.tool.call", payload });
  const ofBoss = await given(peer);
  const { ids, answers } = await underWayOnFullDisk(peer, "same");
  for (const id of [ofBoss, ...ids]) succeed(peer, id);
  expect(await Promise.all(answers)).toMatchObject(ids.map(unrecordedOf));
  await answer(asking, {
    type: "core.tool.result",
    payload: { call_id: "mine", status: "failed", output: "$absent", error: { code: "audit.outcome_unrecorded" } },
  });
  // With its key it is not carried out again, neither now nor later.
  const heard = peer.heard.length;
  expect(await call("same")).toMatchObject(unrecordedOf(ids[0] ?? ""));
  await disk.free();
  await expectOneOutcomeEach([ofBoss, ...ids]);
  const ends = auditRows(home, "tool.call_completed").filter(({ metadata }) =>
    [ofBoss, ...ids].includes(String(metadata["call_id"])),
  );
  expect(ends.map(({ outcome, metadata }) => [outcome, metadata["status"]])).toEqual(
    [ofBoss, ...ids].map(() => ["ok", "succeeded"]),
  );
  expect(await call("same")).toMatchObject({ status: "succeeded", output: { of: ids[0] } });
  expect(peer.heard.length).toBe(heard);
  expect(home.coreLog()).not.toContain("core.internal");
});

test("a Core that is stopped before there is room leaves them to its next start", async () => {
  await home.cli(["agents", "stop", WORKER]);
  const peer = await worker.open();
  const { ids, answers } = await underWayOnFullDisk(peer, "stopped");
  for (const id of ids) succeed(peer, id);
  expect(await Promise.all(answers)).toMatchObject(ids.map(unrecordedOf));
  expect((await home.cli(["core", "stop"], { timeoutMs: 20_000 })).code).toBe(0);
  await disk.free();
  await home.json(["core", "start"]);
  await expectOneOutcomeEach(ids);
});

test("a Core that is killed before there is room leaves them to its next start", async () => {
  const peer = await worker.open();
  const { ids, answers } = await underWayOnFullDisk(peer, "killed");
  for (const id of ids) succeed(peer, id);
  expect(await Promise.all(answers)).toMatchObject(ids.map(unrecordedOf));
  const pid = readCoreMark(join(home.folder, "run/core.pid"))?.pid ?? 0;
  const identity = { pid, startTime: readProcess(pid)?.startTime ?? "" };
  process.kill(pid, "SIGKILL");
  await eventually(() => !isAlive(identity), "Core to be gone");
  await disk.free();
  await home.json(["core", "start"]);
  await expectOneOutcomeEach(ids);
});
