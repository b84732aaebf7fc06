/**
 * Starts, stops and crashes, over and over: Core, its home and the machine are afterwards as they were. Four agents go
 * through their cycles side by side; most calls go to the socket directly, some through the command line.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ControlClient } from "../../packages/core/src/cli/control-client.ts";
import { auditRows } from "../support/audit-rows.ts";
import { enableAgent, liveRun, runToEnd, startRun, stopRun } from "../support/control-calls.ts";
import { controlOf } from "../support/control-of.ts";
import { type CoreHome, newHome } from "../support/core-home.ts";
import { found, randomNumbers, seed, times } from "../support/counts.ts";
import { descriptors } from "../support/descriptors.ts";
import { program } from "../support/run-trees.ts";

const MEBI = 2 ** 20;
const CYCLES = times({ suite: 25, soak: 1_000 });
const LANES = ["cycle.a", "cycle.b", "cycle.c", "cycle.d"];
const AT_ONCE = 20;
const KEEP_RUNS = 3;
/**
 * How far Core's memory may rise over the last 80 % of the cycles. What a cycle leaves for good would be some 10 kB at
 * least (a socket, a stream, a closure over its buffers) and so over 8 MiB in 800 cycles; a garbage collection that has
 * not happened yet is a few MiB.
 */
const MAX_GROWTH = 16 * MEBI;

/** Background children, one in a session of its own; then what its argument says. */
const PROGRAM = program(`#!/bin/sh
setsid sleep 1000 &
sleep 1000 &
echo "started $1"
case $1 in
  crash) exit 3 ;;
  later) sleep 0.4; exit 4 ;;
esac
wait
`);

let home: CoreHome;
let control: ControlClient;
let core: number;
beforeAll(async () => {
  home = await newHome({ settings: { "logs.keep_runs": KEEP_RUNS } });
  await home.json(["core", "start"]);
  control = await controlOf(home);
  core = await home.corePid();
  for (const agentId of LANES) await enableAgent(control, agentId, PROGRAM);
});
afterAll(() => home.dispose());

/** What one cycle is, and how many audit events of its runs it leaves: 4 of a run that was stopped, 3 of one that ended. */
const KINDS: Record<string, { events: number; cycle: (agentId: string) => Promise<void> }> = {
  "start and stop": {
    events: 4,
    cycle: async (agentId) => {
      expect(await startRun(control, agentId, "stay")).toMatchObject({ status: "running" });
      expect(await stopRun(control, agentId)).toMatchObject({ status: "stopped", leaked_pids: [] });
    },
  },
  "end in the start window": {
    events: 3,
    cycle: async (agentId) => {
      const ended = await runToEnd(control, agentId, "crash");
      expect(ended).toMatchObject({ status: "crashed", exit_code: 3, leaked_pids: [] });
    },
  },
  "end by itself": {
    events: 3,
    cycle: async (agentId) => {
      const ended = await runToEnd(control, agentId, "later");
      expect(ended).toMatchObject({ status: "crashed", exit_code: 4, leaked_pids: [] });
    },
  },
  "stop during the start": {
    events: 4,
    cycle: async (agentId) => {
      const started = startRun(control, agentId, "stay");
      await liveRun(control, agentId);
      const stopped = await stopRun(control, agentId);
      expect(stopped).toMatchObject({ run_id: (await started).run_id, status: "stopped", leaked_pids: [] });
    },
  },
  restart: {
    events: 8,
    cycle: async (agentId) => {
      const first = await startRun(control, agentId, "stay");
      const second = await control.call("restart_agent", { params: { agent_id: agentId }, body: {} });
      expect(second).toMatchObject({ status: "running" });
      expect(second.run_id).not.toBe(first.run_id);
      expect(await stopRun(control, agentId)).toMatchObject({ run_id: second.run_id, status: "stopped" });
    },
  },
  "the command line": {
    events: 4,
    cycle: async (agentId) => {
      await home.json(["agents", "run", agentId, "--", "stay"]);
      expect(await home.json(["agents", "stop", agentId])).toMatchObject({ status: "stopped", leaked_pids: [] });
    },
  },
};
/** In turn, so that each kind has its share; the command line costs a process per call and comes less often. */
const TURNS = [...Object.keys(KINDS).slice(0, -1), ...Object.keys(KINDS)];

/** Each agent its own cycles, one after the other; gives how many events of runs are to be expected. */
async function cycles(from: number, to: number): Promise<number> {
  let events = 0;
  let next = from;
  const lane = async (agentId: string): Promise<void> => {
    while (next < to) {
      const kind = KINDS[TURNS[next++ % TURNS.length] ?? ""];
      if (kind === undefined) throw new Error("no such cycle");
      events += kind.events;
      await kind.cycle(agentId);
    }
  };
  await Promise.all(LANES.map(lane));
  return events;
}

/** Core's own memory, without the pages of files that the kernel may drop. */
function memory(): number {
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${core}/status`, "latin1"))?.[1]) * 1024;
}

/** Every path of the home but those of logs, which have a test of their own. */
function filesOfHome(): string[] {
  return readdirSync(home.folder, { recursive: true, withFileTypes: true })
    .map((entry) => relative(home.folder, join(entry.parentPath, entry.name)))
    .filter((path) => !path.startsWith("logs/"))
    .toSorted();
}

function runLogs(agentId: string): string[] {
  return readdirSync(join(home.folder, "logs", agentId)).filter((name) => name.startsWith("run_"));
}

async function expectQuietHome(): Promise<void> {
  expect(home.processes().filter(({ pid }) => pid !== core)).toEqual([]);
  // The end is told before the run's folder is removed.
  await expect.poll(() => readdirSync(join(home.folder, "run/agents")), { timeout: 5_000 }).toEqual([]);
  expect((await control.call("list_runs", {})).items).toEqual([]);
  expect(await control.call("get_status")).toMatchObject({ pid: core, runs_live: 0, degraded: null });
}

const ofRuns = (): number => auditRows(home).filter(({ type }) => type.startsWith("agent.run_")).length;

test("leave nothing behind: no process, descriptor, file, row, log or memory, and every event", async () => {
  const startedAt = performance.now();
  const before = ofRuns();
  // Every kind once at least, so that what is made on first use is there.
  const warmUp = Math.max(Math.ceil(CYCLES / 10), TURNS.length);
  let events = await cycles(0, warmUp);
  await expectQuietHome();
  const atFirst = { descriptors: descriptors(core), files: filesOfHome() };

  // The least of each window: what is left after a collection, however far the next one is.
  const windows = 8;
  const least: number[] = [];
  for (let window = 0; window < windows; window += 1) {
    const place = (part: number): number => warmUp + Math.round(((CYCLES - warmUp) * part) / windows);
    let lowest = Infinity;
    const watch = setInterval(() => (lowest = Math.min(lowest, memory())), 50);
    events += await cycles(place(window), place(window + 1)).finally(() => clearInterval(watch));
    least.push(Math.min(lowest, memory()));
  }
  const growth = Math.min(...least.slice(-2)) - Math.min(...least.slice(0, 2));
  expect(growth, `bytes by window: ${least.join(", ")}`).toBeLessThan(MAX_GROWTH);

  await expectQuietHome();
  // The connection that asks /proc is not Core's; a timer's or a stream's descriptor may close a moment later.
  await expect.poll(() => descriptors(core), { timeout: 5_000 }).toBeLessThanOrEqual(atFirst.descriptors);
  expect(filesOfHome()).toEqual(atFirst.files);
  // A run that was stopped before its first word has no file.
  for (const agentId of LANES) expect(runLogs(agentId).length, agentId).toBeLessThanOrEqual(KEEP_RUNS);
  expect(LANES.some((agentId) => runLogs(agentId).length === KEEP_RUNS)).toBe(true);

  expect(ofRuns() - before).toBe(events);
  const { status, events: verified } = await control.call("verify_audit", { body: {} });
  expect([status, verified]).toEqual(["intact", auditRows(home).length]);
  const minutes = (performance.now() - startedAt) / 60_000;
  found(
    `${CYCLES} cycles of start and stop, crash, restart, stop during the start`,
    `in ${minutes.toFixed(1)} minutes: nothing left behind, ${descriptors(core)} descriptors before and after, Core's memory ${(growth / MEBI).toFixed(1)} MiB, ${events} events of runs in an intact log`,
  );
});

test(`${AT_ONCE} agents started at once and stopped at once run side by side, and nothing is left`, async () => {
  const agentIds = Array.from({ length: AT_ONCE }, (_, index) => `once.agent-${index}`);
  for (const agentId of agentIds) await enableAgent(control, agentId, PROGRAM);
  const before = { events: ofRuns(), descriptors: descriptors(core) };
  const random = randomNumbers();
  const rounds = times({ suite: 1, soak: 10 });
  let [startMs, stopMs] = [0, 0];
  for (let round = 0; round < rounds; round += 1) {
    const startedAt = performance.now();
    const runs = await Promise.all(agentIds.map((agentId) => startRun(control, agentId, "stay")));
    startMs = Math.max(startMs, performance.now() - startedAt);
    const { items } = await control.call("list_runs", {});
    expect(items.map(({ run_id: runId }) => runId).toSorted()).toEqual(runs.map((run) => run.run_id).toSorted());
    expect(items.every(({ status, processes }) => status === "running" && (processes ?? 0) >= 3)).toBe(true);
    const stoppedAt = performance.now();
    const order = agentIds.toSorted(() => random() - 0.5);
    const stopped = await Promise.all(order.map((agentId) => stopRun(control, agentId)));
    stopMs = Math.max(stopMs, performance.now() - stoppedAt);
    expect(stopped.every(({ status, leaked_pids: leaked }) => status === "stopped" && leaked.length === 0)).toBe(true);
    await expectQuietHome();
  }
  expect(ofRuns() - before.events, `seed ${seed}`).toBe(4 * AT_ONCE * rounds);
  await expect.poll(() => descriptors(core), { timeout: 5_000 }).toBeLessThanOrEqual(before.descriptors);
  expect(await control.call("verify_audit", { body: {} })).toMatchObject({ status: "intact" });
  found(
    `${AT_ONCE} agents started at once and stopped at once, ${rounds} times`,
    `none refused, nothing left; the slowest start of all ${startMs.toFixed(0)} ms, the slowest stop ${stopMs.toFixed(0)} ms`,
  );
});
