/** Hard cases of output: what agents print, however they print it, and disks that do not take it; listed in docs/hard-cases.md. */
import { mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { LogRecordJson } from "@opensentience/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { actsIn } from "../support/agent-acts.ts";
import { type CliError, type CoreHome, eventually, newHome } from "../support/core-home.ts";
import { smallDisk, stateOnSmallDisk } from "../support/full-disk.ts";
import { refuse } from "../support/refuse.ts";
import { hasWritten, misbehaving, program, watchMemory } from "../support/run-trees.ts";
import { typeNextStep } from "../support/terminal.ts";

const MEBI = 1024 * 1024;
const MAX_LOG_FILE = MEBI;
const MAX_LOG_FILES = 3;
/** How far Core's memory may rise while an agent does its worst. */
const MAX_RISE = 64 * MEBI;
const SECRET = "Zq8wRt5Lm2Xv7Kp4Hd9S";

let home: CoreHome;
beforeAll(async () => {
  home = await newHome({
    env: { PLANTED_SECRET: SECRET },
    settings: { "logs.max_file_bytes": MAX_LOG_FILE, "logs.max_files": MAX_LOG_FILES, "launcher.stop_grace_ms": 1_000 },
  });
});
afterAll(() => home.dispose());

const { enabled, run, stop, newest, logs, said } = actsIn(() => home);

/** Text of every file of the run's log, oldest first. */
function stored(agentId: string, runId: string): string {
  const folder = join(home.folder, "logs", agentId);
  const names = readdirSync(folder).filter((name) => name.startsWith(runId));
  return names
    .toSorted()
    .toReversed()
    .map((name) => readFileSync(join(folder, name), "utf8"))
    .join("");
}

test.each([
  [
    "6 endless fast output of lines",
    "flood.lines",
    program('#!/bin/sh\nexec yes "a line of a flood that never ends"\n'),
  ],
  ["6 endless fast output without a line end", "flood.bytes", misbehaving("floods.mjs")],
])("%s", async (_name, agentId, files) => {
  await enabled(agentId, files);
  await enabled(`${agentId}.other`, {});
  const memory = watchMemory(await home.corePid());
  const started = await run(agentId);
  await hasWritten(started.pid, 24 * MEBI);
  // Meanwhile another agent starts, is heard and stops, and every command is answered.
  const askedAt = performance.now();
  expect(await home.json(["agents", "ps"])).toMatchObject({ items: [{ run_id: started.run_id, status: "running" }] });
  expect(performance.now() - askedAt).toBeLessThan(5_000);
  await run(`${agentId}.other`);
  await said(`${agentId}.other`, "started ");
  await stop(`${agentId}.other`);
  expect((await logs(agentId, "--tail", "5")).length).toBeGreaterThan(0);
  await hasWritten(started.pid, 48 * MEBI);
  expect(await stop(agentId)).toMatchObject({ status: "stopped", logs_degraded: false });
  expect(memory.risenBytes()).toBeLessThan(MAX_RISE);
  const folder = join(home.folder, "logs", agentId);
  const sizes = readdirSync(folder)
    .filter((name) => name.startsWith(started.run_id))
    .map((name) => statSync(join(folder, name)).size);
  expect(sizes.length).toBe(MAX_LOG_FILES);
  for (const size of sizes) expect(size).toBeLessThanOrEqual(MAX_LOG_FILE);
});

test("7 a quarter of a gigabyte without a line end, with secrets across every cut", async () => {
  await enabled("line.long", misbehaving("one-long-line.mjs"), { permissions: ["env:read:PLANTED_SECRET"] });
  const memory = watchMemory(await home.corePid());
  const started = await run("line.long", "--", "256");
  await eventually(
    async () => (await logs("line.long", "--tail", "1")).includes("after the long line"),
    "the end of the long line",
    50_000,
  );
  expect(memory.risenBytes()).toBeLessThan(MAX_RISE);
  expect(await stop("line.long")).toMatchObject({ status: "stopped", reason: "stopped", logs_degraded: false });
  const text = stored("line.long", started.run_id);
  const pieces = text.split("\n").filter((line) => / stdout P /.test(line));
  expect(pieces.length).toBeGreaterThan(100);
  const joined = pieces.map((line) => line.replace(/^\S+ stdout P /, "")).join("");
  expect(joined).toMatch(/\[redacted/i);
  for (const half of [SECRET.slice(0, 10), SECRET.slice(10)]) expect(joined).not.toContain(half);
});

test("8 no UTF-8, a split character, NUL, terminal sequences, bare carriage returns", async () => {
  await enabled("odd.bytes", misbehaving("prints-odd-bytes.mjs"));
  const started = await run("odd.bytes");
  const expected = [
    "split 1 €",
    "split 2 €",
    "no utf-8 \ufffd\ufffd(\ufffd\ufffd\ufffd",
    "nul \0 nul",
    "ansi \u001b[2J\u001b]0;title\u0007 \u009b31m red",
    "progress 1%\rprogress 99%",
    "bidi \u202e evil",
  ];
  await eventually(async () => (await logs("odd.bytes")).length >= expected.length, "all lines");
  await stop("odd.bytes");
  expect(await logs("odd.bytes")).toEqual([...expected, "Core ends the run: a stop was asked for", "all said"]);
  // In the file a line stays one line, whatever is in it.
  const lines = stored("odd.bytes", started.run_id).split("\n");
  expect(lines.filter((line) => / stdout F /.test(line))).toHaveLength(expected.length + 1);
  // Shown to a person nothing of it acts on the terminal.
  const { stdout } = await home.cli(["agents", "logs", "odd.bytes"]);
  expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/u);
  for (const shown of ["nul \\x00 nul", "\\x1b[2J\\x1b]0;title\\x07", "\\x9b31m", "1%\\rprogress 99%", "\\u202e evil"])
    expect(stdout).toContain(shown);
  expect((await home.cli(["agents", "logs", "odd.bytes", "--json"])).stdout).not.toMatch(
    /[\u007f-\u009f\u202e\u001b]/u,
  );
});

test("9 a burst, then an exit at once", async () => {
  await enabled("out.burst", misbehaving("bursts-then-exits.sh"));
  await refuse(home, ["agents", "run", "out.burst"], { code: "launcher.exited_early", exit: 1 });
  // What is recorded as ended has its last line on disk.
  const ended = await newest("out.burst");
  expect(stored("out.burst", ended.run_id)).toMatch(/ stdout F last line\n$/);
  const lines = await logs("out.burst");
  expect(lines).toEqual([...Array.from({ length: 500 }, (_, index) => `line ${index}`), "last line"]);
  expect(await logs("out.burst", "--tail", "1")).toEqual(["last line"]);
});

const TICKS = program('#!/bin/sh\ni=0\nwhile :; do echo "tick $i"; i=$((i + 1)); sleep 0.05; done\n');
const isDegraded = async (agentId: string, degraded: boolean): Promise<true> =>
  eventually(
    async () => (await newest(agentId)).logs_degraded === degraded,
    `logs of ${agentId} ${degraded ? "" : "no longer "}to be degraded`,
  );
const droppedLines = async (agentId: string): Promise<number> =>
  eventually(async () => {
    const records = await home.jsonLines<LogRecordJson>(["agents", "logs", agentId]);
    const note = records.find(({ stream, line }) => stream === "core" && line.startsWith("log capture works again"));
    return note === undefined ? undefined : Number(/(\d+) lines were dropped/.exec(note.line)?.[1]);
  }, "the note of what was dropped");

test("17 the disk of the logs is full", async () => {
  const disk = await smallDisk(join(home.folder, "logs/disk.full"), MEBI, () => home.corePid());
  try {
    await enabled("disk.full", TICKS);
    const started = await run("disk.full");
    await eventually(async () => (await logs("disk.full")).length > 0, "a first line");
    await disk.fill();
    await isDegraded("disk.full", true);
    expect(await newest("disk.full")).toMatchObject({ run_id: started.run_id, status: "running" });
    for (const shown of ["info disk.full", "ps"])
      expect((await home.cli(["agents", ...shown.split(" ")])).stdout).toMatch(/running \(logs degraded\)/);
    await disk.free();
    await isDegraded("disk.full", false);
    expect(await droppedLines("disk.full")).toBeGreaterThan(0);
    const last = (await logs("disk.full")).at(-1);
    await eventually(async () => (await logs("disk.full")).at(-1) !== last, "new lines");
    expect(await stop("disk.full")).toMatchObject({ run_id: started.run_id, status: "stopped", logs_degraded: false });
  } finally {
    await disk.remove();
  }
});

test("17 the folder of the log cannot be written", async () => {
  await enabled("log.closed", TICKS);
  const folder = join(home.folder, "logs/log.closed");
  // A folder where the file is to be: nobody can write there, not even root.
  const started = await run("log.closed");
  rmSync(started.log_path ?? "", { force: true });
  mkdirSync(started.log_path ?? "");
  await isDegraded("log.closed", true);
  expect(await newest("log.closed")).toMatchObject({ run_id: started.run_id, status: "running" });
  rmdirSync(started.log_path ?? "");
  await isDegraded("log.closed", false);
  expect(await droppedLines("log.closed")).toBeGreaterThan(0);
  expect(readdirSync(folder)).not.toEqual([]);
  expect(await stop("log.closed")).toMatchObject({ status: "stopped", logs_degraded: false });
});

test("17 the log file is deleted, and then its folder", async () => {
  await enabled("log.deleted", TICKS);
  const started = await run("log.deleted");
  const folder = join(home.folder, "logs/log.deleted");
  for (const gone of [started.log_path ?? "", folder]) {
    const before = await eventually(async () => (await logs("log.deleted")).at(-1), "a line");
    rmSync(gone, { recursive: true });
    await eventually(async () => {
      const now = (await logs("log.deleted")).at(-1);
      return now !== undefined && Number(now.slice(5)) > Number(before.slice(5));
    }, "lines after the deletion");
  }
  await isDegraded("log.deleted", false);
  expect(await stop("log.deleted")).toMatchObject({ run_id: started.run_id, status: "stopped" });
});

/** A bounded file is another fault: only a disk that root mounted is really full. */
async function namesTheFullDisk(full: CoreHome, error: CliError): Promise<void> {
  expect(error.message).toBe(`no space left in ${full.folder}: the audit log cannot be written, so nothing was done`);
  expect(error.next_step).toBe("opensentience doctor");
  await full.json(["agents", "new", join(full.projects, "fresh"), "--id", "audit.fresh"]);
  for (const args of [
    ["revoke", "audit.full"],
    ["stop", "audit.full"],
    ["install", "--dev", join(full.projects, "fresh")],
  ]) {
    const { error: same } = await full.fails(["agents", ...args]);
    expect([args[0], same.message]).toEqual([args[0], expect.stringContaining(`no space left in ${full.folder}`)]);
  }
}

test("17 the whole home is on a disk that is full: Core does not start, and says why", async () => {
  if (process.geteuid?.() !== 0) return;
  const full = await newHome();
  const disk = await smallDisk(full.folder, 4 * MEBI, () => full.corePid());
  try {
    await full.json(["core", "start"]);
    expect((await full.cli(["core", "stop"])).code).toBe(0);
    await disk.fill();
    for (const args of [
      ["core", "start"],
      ["agents", "ps", "--all"],
    ]) {
      const { error } = await full.fails(args);
      expect(error.code).not.toBe("core.internal");
      expect(error).toMatchObject({
        message: expect.stringContaining(`no space left in ${full.folder}`),
        next_step: "opensentience doctor",
      });
    }
    expect(await full.json(["doctor"], { codes: [1] })).toMatchObject({
      checks: expect.arrayContaining([
        expect.objectContaining({ name: "core", status: "fail", next_step: `df -h ${full.folder}` }),
        expect.objectContaining({ name: "disk", status: "fail" }),
      ]) as unknown,
    });
    await disk.free();
    expect(await full.json(["agents", "ps", "--all"])).toMatchObject({ items: [] });
  } finally {
    await full.cli(["core", "stop"]);
    await disk.remove();
    await full.dispose();
  }
});

test("17 the disk of the audit log is full", async () => {
  const full = await newHome();
  const acts = actsIn(() => full);
  await acts.enabled("audit.full", {});
  await acts.enabled("audit.other", {});
  expect((await full.cli(["core", "stop"])).code).toBe(0);
  const state = join(full.folder, "state");
  const disk = await stateOnSmallDisk(full, 4 * MEBI);
  try {
    const running = await acts.run("audit.full");
    await disk.fill();
    // The journal may still have a little room of its own.
    const { code, error } = await eventually(async () => {
      const result = await full.cli(["agents", "enable", "audit.other", "--all", "--json"]);
      if (result.code === 0) return undefined;
      return { code: result.code, error: (JSON.parse(result.stderr) as { error: { code: string } }).error };
    }, "an act to be refused");
    expect([code, error.code]).toEqual([1, "audit.unavailable"]);
    const refused = await full.fails(["agents", "run", "audit.other"]);
    expect(refused.error.code).toBe("audit.unavailable");
    if (process.geteuid?.() === 0) await namesTheFullDisk(full, refused.error);
    expect(await acts.newest("audit.full")).toMatchObject({ run_id: running.run_id, status: "running" });
    await disk.free();
    await typeNextStep(full, refused.error.next_step);
    expect(await acts.run("audit.other")).toMatchObject({ status: "running" });
    expect(await full.json(["audit", "verify"])).toMatchObject({ status: "intact" });
    expect((await full.cli(["core", "stop"])).code).toBe(0);
    const database = new DatabaseSync(join(state, "core.sqlite3"), { readOnly: true });
    expect(database.prepare("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
    database.close();
  } finally {
    await full.cli(["core", "stop"]);
    await disk.remove();
    await full.dispose();
  }
});

test("22 the child writes to /dev/stdout by its path", async () => {
  await enabled("out.path", misbehaving("writes-stdout-by-path.sh"));
  const { details } = await refuse(home, ["agents", "run", "out.path"], { code: "launcher.exited_early", exit: 1 });
  expect(details["run"]).toMatchObject({ exit_code: 0 });
  const records = await home.jsonLines<LogRecordJson>(["agents", "logs", "out.path"]);
  expect(records.map(({ stream, line }) => `${stream} ${line}`).toSorted()).toEqual([
    "stderr errors by path",
    "stdout by path",
  ]);
});
