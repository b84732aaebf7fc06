/** Agents that write without an end, and what that costs the others: Core's memory, its disk, and how soon it answers. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { LogRecordJson } from "@opensentience/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ControlClient } from "../../packages/core/src/cli/control-client.ts";
import type { Run } from "../support/agent-acts.ts";
import { enableAgent, startRun, stopRun } from "../support/control-calls.ts";
import { controlOf } from "../support/control-of.ts";
import { type CoreHome, type Files, newHome } from "../support/core-home.ts";
import { found, times } from "../support/counts.ts";
import { bytesWritten, misbehaving, program, watchMemory } from "../support/run-trees.ts";

const MEBI = 2 ** 20;
const MAX_LOG_FILE = MEBI;
const MAX_LOG_FILES = 3;
/** How far Core's memory may rise while an agent does its worst. */
const MAX_RISE = 64 * MEBI;
const FLOOD = { bytes: times({ suite: 100 * MEBI, soak: 1_024 * MEBI }), ms: times({ suite: 0, soak: 60_000 }) };
/** Of text that redaction looks at most closely. */
const NAMED_BYTES = times({ suite: 2 * MEBI, soak: 64 * MEBI });
const LINE_BYTES = times({ suite: 150 * MEBI, soak: 1_024 * MEBI });
/**
 * How much longer a command may take meanwhile (medians). On two cores it shares them with the flooding agent and with
 * Core at work on the flood, which makes 3 times; a Core that answers only after what it has read makes 30.
 */
const MAX_SLOWDOWN = 10;
const COMMANDS = [
  ["agents", "list"],
  ["core", "status"],
];
/** As much as tells a median. */
const LEAST_SAMPLES = 5;

let home: CoreHome;
let control: ControlClient;
let core: number;
beforeAll(async () => {
  home = await newHome({ settings: { "logs.max_file_bytes": MAX_LOG_FILE, "logs.max_files": MAX_LOG_FILES } });
  await home.json(["core", "start"]);
  control = await controlOf(home);
  core = await home.corePid();
});
afterAll(() => home.dispose());

/** How long the two commands take together, again and again until `isEnough`; the median, in ms. */
async function latency(isEnough: () => boolean | Promise<boolean>): Promise<number> {
  const samples: number[] = [];
  do {
    const startedAt = performance.now();
    for (const command of COMMANDS) await home.json(command);
    samples.push(performance.now() - startedAt);
  } while (samples.length < LEAST_SAMPLES || !(await isEnough()));
  return samples.toSorted((a, b) => a - b)[Math.floor(samples.length / 2)] ?? Number.NaN;
}

/** Starts it, looks how the others fare until `isEnough`, and holds Core to its bounds. */
async function expectHeld(
  what: string,
  agentId: string,
  [files, ...args]: [Files, ...string[]],
  isEnough: (run: Run, sinceMs: number) => boolean | Promise<boolean>,
): Promise<void> {
  await enableAgent(control, agentId, files);
  const idleMs = await latency(() => true);
  const memory = watchMemory(core);
  const run = await startRun(control, agentId, ...args);
  const startedAt = performance.now();
  const busyMs = await latency(() => isEnough(run, performance.now() - startedAt));
  const seconds = (performance.now() - startedAt) / 1_000;
  const { items } = await control.call("list_runs", {});
  expect(items).toMatchObject([{ run_id: run.run_id, status: "running" }]);
  const written = bytesWritten(run.pid);
  expect(await stopRun(control, agentId)).toMatchObject({ status: "stopped", logs_degraded: false });
  const risen = memory.risenBytes();
  expect(risen, `bytes that Core's memory rose by in ${written} bytes of output`).toBeLessThan(MAX_RISE);
  expect(busyMs, `ms, against ${idleMs} ms idle`).toBeLessThan(idleMs * MAX_SLOWDOWN);
  expectBoundedFiles(agentId, run.run_id);
  found(
    what,
    `${Math.round(written / MEBI)} MiB in ${seconds.toFixed(0)} s; Core's memory +${(risen / MEBI).toFixed(1)} MiB; ` +
      `\`agents list\` and \`core status\` take ${(busyMs / idleMs).toFixed(1)} times as long as idle`,
  );
}

function expectBoundedFiles(agentId: string, runId: string): void {
  const folder = join(home.folder, "logs", agentId);
  const sizes = readdirSync(folder)
    .filter((name) => name.startsWith(runId))
    .map((name) => statSync(join(folder, name)).size);
  expect(sizes.length).toBeLessThanOrEqual(MAX_LOG_FILES);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(MAX_LOG_FILE);
}

async function lastLine(agentId: string): Promise<string | undefined> {
  const records = await home.jsonLines<LogRecordJson>(["agents", "logs", agentId, "--tail", "1"]);
  return records[0]?.line;
}

const isFlooded = (run: Run, sinceMs: number): boolean => bytesWritten(run.pid) >= FLOOD.bytes && sinceMs >= FLOOD.ms;

test("a flood of lines fills neither the disk nor Core's memory, and others are served", async () => {
  const lines = program('#!/bin/sh\nexec yes "a line of a flood that never ends"\n');
  await expectHeld("a flood of lines", "flood.lines", [lines], isFlooded);
  expect(await lastLine("flood.lines")).toMatch(/^a line of a flood/);
});

test("a flood without a newline fills neither the disk nor Core's memory, and others are served", async () => {
  await expectHeld("a flood without a newline", "flood.bytes", [misbehaving("floods.mjs")], isFlooded);
});

test("one line of 1 GB (less in the suite) is cut, and Core's memory stays", async () => {
  const agent: [Files, string] = [misbehaving("one-long-line.mjs"), String(LINE_BYTES / MEBI)];
  const isOver = async (): Promise<boolean> => (await lastLine("flood.line")) === "after the long line";
  await expectHeld(`one line of ${LINE_BYTES / MEBI} MiB`, "flood.line", agent, isOver);
});

test("a flood of names that no secret follows is read no slower than others are served", async () => {
  const names = program(`#!/bin/sh\nexec yes "${"cookie: ".repeat(1_000)}"\n`);
  const isRead = (run: Run): boolean => bytesWritten(run.pid) >= NAMED_BYTES;
  await expectHeld("a flood of names without a secret", "flood.names", [names], isRead);
});
