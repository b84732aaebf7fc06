/** How runs end, however their programs behave: peers lost trees, last lines and their own memory in these cases. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { LogRecordJson, RunJson } from "@opensentience/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { type CoreHome, eventually, type Files, newHome } from "../support/core-home.ts";
import { refuse } from "../support/refuse.ts";
import { hasWritten, membersOf, misbehaving, program, say, stillAlive, watchMemory } from "../support/run-trees.ts";
import { smallAgentAt } from "../support/small-agent.ts";
import { Following, typeNextStep } from "../support/terminal.ts";

const MEBI = 1024 * 1024;
const MAX_LOG_FILE = MEBI;
const MAX_LOG_FILES = 3;
const GRACE_MS = 1_500;
/** How far Core's memory may rise while an agent does its worst. */
const MAX_RISE = 32 * MEBI;

type Run = RunJson & { pid: number };

let home: CoreHome;
beforeAll(async () => {
  const settings = {
    "launcher.stop_grace_ms": GRACE_MS,
    "logs.max_file_bytes": MAX_LOG_FILE,
    "logs.max_files": MAX_LOG_FILES,
  };
  home = await newHome({ settings });
});
afterAll(() => home.dispose());

async function enabled(agentId: string, files: Files): Promise<void> {
  await smallAgentAt(home, agentId, "enabled", {}, files);
}
const run = (agentId: string, ...args: string[]): Promise<Run> => home.json<Run>(["agents", "run", agentId, ...args]);
const stop = (agentId: string): Promise<Run> => home.json<Run>(["agents", "stop", agentId]);
const newest = async (agentId: string): Promise<Run> =>
  (await home.json<{ run: Run }>(["agents", "info", agentId])).run;
async function logs(agentId: string, ...args: string[]): Promise<string[]> {
  const records = await home.jsonLines<LogRecordJson>(["agents", "logs", agentId, ...args]);
  return records.map(({ line }) => line);
}
const said = (agentId: string, line: string): Promise<true> =>
  eventually(async () => (await logs(agentId)).includes(line), `${agentId} to say "${line}"`);
const eventsOf = (runId: string): string[] =>
  auditRows(home)
    .filter(({ subject }) => subject === runId)
    .map(({ type, metadata }) => `${type} ${String(metadata["phase"])}`);

describe("a stop", () => {
  test("ends a tree that ignores SIGTERM, forks, detaches itself and holds the pipe, and says how", async () => {
    await enabled("stop.tree", misbehaving("refuses-to-die.sh"));
    const started = await run("stop.tree");
    await said("stop.tree", "daemon ready");
    await said("stop.tree", "leader ready");
    const members = membersOf(started);
    expect(members.length).toBeGreaterThanOrEqual(3);
    expect(new Set(members.map((info) => info.session)).size).toBeGreaterThanOrEqual(2);
    const askedAt = performance.now();
    const stopped = await stop("stop.tree");
    expect(performance.now() - askedAt).toBeGreaterThanOrEqual(GRACE_MS);
    expect(stopped).toMatchObject({
      run_id: started.run_id,
      status: "stopped",
      reason: "killed after timeout",
      leaked_pids: [],
    });
    expect(stillAlive(members)).toEqual([]);
    expect(membersOf(started)).toEqual([]);
    expect(eventsOf(started.run_id)).toEqual([
      "agent.run_started intent",
      "agent.run_started started",
      "agent.run_stopped requested",
      "agent.run_stopped ended",
    ]);
  });

  test("gives the members their grace after the leader has gone", async () => {
    await enabled("stop.grace", misbehaving("members-use-their-grace.sh"));
    const started = await run("stop.grace");
    await said("stop.grace", "ready");
    const members = membersOf(started);
    expect(await stop("stop.grace")).toMatchObject({ status: "stopped", reason: "stopped", exit_code: 7 });
    expect(await logs("stop.grace")).toContain("member finished");
    expect(stillAlive(members)).toEqual([]);
  });

  test("asked for twice at once and again later is one stop, with one answer", async () => {
    await enabled("stop.twice", misbehaving("ignores-sigterm.sh"));
    const { run_id: runId } = await run("stop.twice");
    await said("stop.twice", "ready");
    const answers = await Promise.all([stop("stop.twice"), stop("stop.twice"), stop("stop.twice")]);
    for (const answer of [...answers, await stop("stop.twice")])
      expect(answer).toMatchObject({ run_id: runId, status: "stopped", reason: "killed after timeout" });
    expect(eventsOf(runId).filter((event) => event === "agent.run_stopped requested")).toHaveLength(1);
  });

  test("during the start ends the run that is being started", async () => {
    await enabled("stop.early", {});
    const starting = run("stop.early");
    await eventually(
      () => auditRows(home, "agent.run_started").some(({ metadata }) => metadata["agent_id"] === "stop.early"),
      "the intent to start",
    );
    const stopped = await stop("stop.early");
    const started = await starting;
    expect(stopped).toMatchObject({ run_id: started.run_id, status: "stopped" });
    expect(membersOf(started)).toEqual([]);
    expect((await newest("stop.early")).status).toBe("stopped");
  });

  test("of an agent that never ran is not found", async () => {
    await enabled("stop.never", {});
    const { next_step: nextStep } = await refuse(home, ["agents", "stop", "stop.never"], {
      code: "run.not_found",
      exit: 3,
    });
    await typeNextStep(home, nextStep);
  });
});

describe("an end that nobody asked for", () => {
  test("within the start window fails the run, with its last lines and its exit code", async () => {
    await enabled("end.early", program('#!/bin/sh\necho "cannot read my settings" >&2\nexit 3\n'));
    const expected = { code: "launcher.exited_early", exit: 1, next: "opensentience agents logs end.early" } as const;
    const { details, next_step: nextStep } = await refuse(home, ["agents", "run", "end.early"], expected);
    expect(details).toMatchObject({
      run: { status: "crashed", exit_code: 3, reason: "exited with code 3" },
      last_lines: ["cannot read my settings"],
    });
    expect(await typeNextStep(home, nextStep)).toContain("cannot read my settings");
    const { code, stdout, stderr } = await home.cli(["agents", "run", "end.early"]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain("| cannot read my settings");
    expect(await home.json(["agents", "info", "end.early"])).toMatchObject({
      status: "error",
      last_error: "exited with code 3",
    });
  });

  test.each([
    ["code 3", { exit_code: 3, signal: null, reason: "exited with code 3" }],
    ["code 0", { exit_code: 0, signal: null, reason: "exited with code 0" }],
    ["signal SEGV", { exit_code: null, signal: "SIGSEGV", reason: "ended by SIGSEGV" }],
    ["signal KILL", { exit_code: null, signal: "SIGKILL", reason: expect.stringContaining("out of memory?") }],
  ])("later is recorded as a crash: %s", async (word, end) => {
    const agentId = `end.${word.replace(" ", "-").toLowerCase()}`;
    await enabled(agentId, misbehaving("ends-on-word.sh"));
    const started = await run(agentId);
    expect(started.status).toBe("running");
    say(home, agentId, word);
    const ended = await eventually(
      async () => ((await newest(agentId)).status === "running" ? undefined : newest(agentId)),
      "the end",
    );
    expect(ended).toMatchObject({ run_id: started.run_id, status: "crashed", ...end });
    expect(await logs(agentId)).toContain(`last words: ${word}`);
    expect(eventsOf(started.run_id).at(-1)).toBe("agent.run_crashed ended");
    const event = auditRows(home, "agent.run_crashed").find(({ subject }) => subject === started.run_id);
    expect(event).toMatchObject({ outcome: "failed", metadata: end });
    expect(await home.json(["agents", "info", agentId])).toMatchObject({ status: "error", last_error: ended.reason });
  });

  test("leaves no background process of the run behind", async () => {
    await enabled("end.leftover", misbehaving("grandchild-holds-stdout.sh"));
    const { details } = await refuse(home, ["agents", "run", "end.leftover"], {
      code: "launcher.exited_early",
      exit: 1,
    });
    const ended = details["run"] as Run;
    expect(ended).toMatchObject({ exit_code: 4, leaked_pids: [] });
    expect(membersOf(ended)).toEqual([]);
  });
});

describe("output", () => {
  test("by path goes where output goes", async () => {
    await enabled("out.path", misbehaving("writes-stdout-by-path.sh"));
    const { details } = await refuse(home, ["agents", "run", "out.path"], { code: "launcher.exited_early", exit: 1 });
    expect((details["run"] as Run).exit_code).toBe(0);
    const records = await home.jsonLines<LogRecordJson>(["agents", "logs", "out.path"]);
    expect(records.map(({ stream, line }) => `${stream} ${line}`).toSorted()).toEqual([
      "stderr errors by path",
      "stdout by path",
    ]);
  });

  test("of a burst right before the end is complete, to its last line", async () => {
    await enabled("out.burst", misbehaving("bursts-then-exits.sh"));
    await refuse(home, ["agents", "run", "out.burst"], { code: "launcher.exited_early", exit: 1 });
    const lines = await logs("out.burst");
    expect(lines).toEqual([...Array.from({ length: 500 }, (_, index) => `line ${index}`), "last line"]);
    expect(await logs("out.burst", "--tail", "1")).toEqual(["last line"]);
  });

  test.each([
    ["lines", program('#!/bin/sh\nexec yes "a line of a flood that never ends"\n')],
    ["bytes", misbehaving("floods.mjs")],
  ])("without an end neither fills the disk nor Core's memory, and others are served: %s", async (kind, files) => {
    const agentId = `out.flood-${kind}`;
    await enabled(agentId, files);
    const memory = watchMemory(await home.corePid());
    const started = await run(agentId);
    await hasWritten(started.pid, 24 * MEBI);
    const askedAt = performance.now();
    expect(await home.json(["agents", "ps"])).toMatchObject({ items: [{ run_id: started.run_id, status: "running" }] });
    expect(performance.now() - askedAt).toBeLessThan(5_000);
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

  test("of one line of 50 MB is cut, and Core's memory stays", async () => {
    await enabled("out.line", misbehaving("one-long-line.mjs"));
    const memory = watchMemory(await home.corePid());
    await run("out.line");
    await eventually(
      async () => (await logs("out.line", "--tail", "1")).includes("after the long line"),
      "the end of the long line",
      40_000,
    );
    expect(memory.risenBytes()).toBeLessThan(MAX_RISE);
    expect((await home.json<{ items: unknown[] }>(["agents", "ps"])).items).toHaveLength(1);
    expect(await stop("out.line")).toMatchObject({ status: "stopped", reason: "stopped" });
  });
});

describe("runs asked for at once", () => {
  test("are one run and clear refusals", async () => {
    await enabled("race.run", {});
    const attempts = await Promise.all(
      Array.from({ length: 5 }, () => home.cli(["agents", "run", "race.run", "--json"])),
    );
    expect(attempts.map(({ code }) => code).toSorted((a, b) => a - b)).toEqual([0, 6, 6, 6, 6]);
    for (const { code, stderr } of attempts) {
      if (code === 0) continue;
      const { error } = JSON.parse(stderr) as { error: { code: string; next_step: string } };
      expect(error).toMatchObject({
        code: "launcher.already_running",
        next_step: "opensentience agents stop race.run",
      });
    }
    const { items } = await home.json<{ items: Run[] }>(["agents", "ps", "--all"]);
    expect(items.filter((one) => one.agent_id === "race.run")).toHaveLength(1);
    await typeNextStep(home, "opensentience agents stop race.run");
    expect((await newest("race.run")).status).toBe("stopped");
  });
});

describe("following the logs", () => {
  test("ends when the run ends, with everything in it", async () => {
    await enabled("follow.end", misbehaving("ends-on-word.sh"));
    await run("follow.end");
    const following = new Following(home, ["agents", "logs", "follow.end", "-f", "--json"]);
    await following.until(/"ready"/);
    say(home, "follow.end", "code 5");
    const { code, lines } = await following.end();
    expect(code).toBe(0);
    expect(lines.map((line) => (JSON.parse(line) as LogRecordJson).line)).toEqual(["ready", "last words: code 5"]);
  });

  test("survives a reader that does not read: nothing is lost for it, and nobody waits for it", async () => {
    const count = 12_000;
    const text = `#!/bin/sh\ni=0\nwhile [ $i -lt ${count} ]; do echo "line $i of many"; i=$((i + 1)); done\necho "all said"\nexec sleep 1000\n`;
    await enabled("follow.slow", program(text));
    await run("follow.slow");
    const following = new Following(home, ["agents", "logs", "follow.slow", "-f", "--json"]);
    following.pause();
    await eventually(async () => (await logs("follow.slow", "--tail", "1")).includes("all said"), "all lines");
    const others = await home.json<{ items: Run[] }>(["agents", "ps"]);
    expect(others.items.map(({ agent_id: id }) => id)).toEqual(["follow.slow"]);
    await stop("follow.slow");
    following.resume();
    const { code, lines } = await following.end();
    expect(code).toBe(0);
    const shown = lines.map((line) => (JSON.parse(line) as LogRecordJson).line);
    expect(shown).toEqual([...Array.from({ length: count }, (_, index) => `line ${index} of many`), "all said"]);
  });

  test("is ended by Ctrl-C, and the agent runs on", async () => {
    await smallAgentAt(home, "follow.interrupt", "running");
    const following = new Following(home, ["agents", "logs", "follow.interrupt", "-f"]);
    await following.until(/started/);
    expect(await following.interrupt()).toMatchObject({ code: 130, stderr: "" });
    expect((await newest("follow.interrupt")).status).toBe("running");
    await stop("follow.interrupt");
  });
});

test("after all of this nothing of any run is alive, and the audit log is intact", async () => {
  expect(await home.json(["agents", "ps"])).toEqual({ items: [], next: null });
  const core = await home.corePid();
  expect(home.processes().filter(({ pid }) => pid !== core)).toEqual([]);
  expect(readdirSync(join(home.folder, "run/agents"))).toEqual([]);
  expect(await home.json(["audit", "verify"])).toMatchObject({ status: "intact" });
});
