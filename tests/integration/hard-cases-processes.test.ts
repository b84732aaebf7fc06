/** Hard cases of starting, stopping and restarting, each by a program that really does it; listed in docs/hard-cases.md. */
import { closeSync, constants, openSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { spawnProcess, whenExited } from "../../packages/core/src/host/child-process.ts";
import { readProcess } from "../../packages/core/src/host/process-tree.ts";
import { actsIn, agentBecomes } from "../support/agent-acts.ts";
import { auditRows, runStatus } from "../support/audit-rows.ts";
import { type CoreHome, eventually, type Files, newHome } from "../support/core-home.ts";
import { refuse } from "../support/refuse.ts";
import { membersOf, misbehaving, program, say, stillAlive } from "../support/run-trees.ts";
import { smallAgentAt } from "../support/small-agent.ts";
import { onTerminal } from "../support/terminal.ts";

const GRACE_MS = 1_000;
const MAX_RESTARTS = 4;

let home: CoreHome;
beforeAll(async () => {
  home = await newHome({
    settings: {
      "launcher.stop_grace_ms": GRACE_MS,
      "restart.initial_ms": 20,
      "restart.max_ms": 40,
      "restart.max_attempts": MAX_RESTARTS,
    },
  });
});
afterAll(() => home.dispose());

const { enabled, run, stop, info, newest, ended, runsOf, logs, said, eventsOf } = actsIn(() => home);
const gaveUp = (agentId: string): Promise<void> =>
  agentBecomes(home, agentId, ({ last_error: error }) => error?.startsWith("gave up") === true);

test("1 a child ignores SIGTERM", async () => {
  await enabled("case.deaf", misbehaving("ignores-sigterm.sh"));
  const started = await run("case.deaf");
  await said("case.deaf", "ready");
  const members = membersOf(started);
  const askedAt = performance.now();
  const shown = onTerminal(home, ["agents", "stop", "case.deaf"]);
  await eventually(() => runStatus(home, started.run_id) === "stopping", "the run to be stopping");
  const { code, text } = await shown;
  expect(performance.now() - askedAt).toBeGreaterThanOrEqual(GRACE_MS);
  expect(code).toBe(0);
  expect(text).toContain("stopping: case.deaf and everything it started");
  expect(text).toContain("signal SIGKILL (killed after timeout)");
  expect(await newest("case.deaf")).toMatchObject({ status: "stopped", reason: "killed after timeout" });
  expect(stillAlive(members)).toEqual([]);
  const end = auditRows(home, "agent.run_stopped").find(({ metadata }) => metadata["phase"] === "ended");
  expect(end?.metadata).toMatchObject({ reason: "killed after timeout", signal: "SIGKILL" });
});

test("2 the leader exits on SIGTERM, a member of its group does not", async () => {
  await enabled("case.patient", misbehaving("members-use-their-grace.sh"));
  const patient = await run("case.patient");
  await said("case.patient", "ready");
  const finishing = membersOf(patient);
  expect(await stop("case.patient")).toMatchObject({ status: "stopped", reason: "stopped", exit_code: 7 });
  expect(await logs("case.patient")).toContain("member finished");
  expect(stillAlive(finishing)).toEqual([]);

  await enabled("case.stubborn", misbehaving("children-ignore-sigterm.sh"));
  const stubborn = await run("case.stubborn");
  await eventually(async () => (await logs("case.stubborn")).length === 3, "all children to be ready");
  const members = membersOf(stubborn);
  const stopping = stop("case.stubborn");
  await eventually(
    () => stillAlive(members.filter(({ pid }) => pid === stubborn.pid)).length === 0,
    "the leader's end",
  );
  // The leader has gone, its children live: that is not an end.
  expect(runStatus(home, stubborn.run_id)).toBe("stopping");
  expect(await stopping).toMatchObject({
    status: "stopped",
    exit_code: 0,
    reason: expect.stringMatching(/^stopped; [2-9] processes of it were killed after timeout$/),
  });
  expect(stillAlive(members)).toEqual([]);
});

test("3 a grandchild detaches itself by setsid or a double fork", async () => {
  await enabled("case.tree", misbehaving("refuses-to-die.sh"));
  const started = await run("case.tree");
  await said("case.tree", "daemon ready");
  await said("case.tree", "leader ready");
  const members = membersOf(started);
  expect(members.length).toBeGreaterThanOrEqual(3);
  expect(new Set(members.map((one) => one.session)).size).toBeGreaterThanOrEqual(2);
  expect(await stop("case.tree")).toMatchObject({ status: "stopped", reason: "killed after timeout", leaked_pids: [] });
  expect(stillAlive(members)).toEqual([]);
  expect(membersOf(started)).toEqual([]);
  expect(eventsOf(started.run_id)).toEqual([
    "agent.run_started intent",
    "agent.run_started started",
    "agent.run_stopped requested",
    "agent.run_stopped ended",
  ]);

  // With an environment of its own nothing but the namespace still knows it.
  await enabled("case.daemon", misbehaving("daemonizes.py"));
  const daemon = await run("case.daemon", "--", "clean-env");
  await said("case.daemon", "ready");
  const found = membersOf(daemon);
  expect(found.map(({ pid }) => pid).filter((pid) => pid !== daemon.pid).length).toBeGreaterThan(0);
  expect(await stop("case.daemon")).toMatchObject({ status: "stopped", leaked_pids: [] });
  expect(stillAlive(found)).toEqual([]);
});

test("3 what cannot be ended is shown as leaked", async () => {
  await enabled("case.leak", misbehaving("ends-on-word.sh"));
  const started = await run("case.leak");
  await said("case.leak", "ready");
  const holder = spawnProcess(
    [join(import.meta.dirname, "../support/misbehaving/holds-a-zombie.py"), String(started.pid)],
    {
      cwd: "/",
      env: { PATH: "/usr/bin:/bin" },
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const over = whenExited(holder);
  try {
    await new Promise((resolve) => holder.stdout?.once("data", resolve));
    const init = readProcess(started.pid)?.ppid ?? 0;
    const { code, error } = await home.fails(["agents", "stop", "case.leak"]);
    expect([code, error.code]).toEqual([1, "launcher.stop_failed"]);
    expect(error.details["pids"]).toContain(init);
    expect(await newest("case.leak")).toMatchObject({
      status: "crashed",
      reason: expect.stringContaining(`leaked: processes ${init}`),
    });
    const event = auditRows(home, "agent.run_crashed").find(({ subject }) => subject === started.run_id);
    expect(event?.metadata["leaked"]).toContain(init);
  } finally {
    holder.kill("SIGKILL");
    await over;
  }
});

test("4 the child exits, a grandchild holds stdout", async () => {
  await enabled("case.holder", misbehaving("grandchild-holds-stdout.sh"));
  const { details } = await refuse(home, ["agents", "run", "case.holder"], { code: "launcher.exited_early", exit: 1 });
  expect(details["run"]).toMatchObject({ exit_code: 4, leaked_pids: [] });

  // Somebody outside of the tree holds it, whom no stop can end: the run ends all the same, with its last line.
  await enabled("case.outside", misbehaving("ends-on-word.sh"));
  const started = await run("case.outside");
  const held = openSync(`/proc/${started.pid}/fd/1`, constants.O_WRONLY);
  try {
    expect(readlinkSync(`/proc/self/fd/${held}`)).toBe(readlinkSync(`/proc/${started.pid}/fd/1`));
    say(home, "case.outside", "code 5");
    expect(await ended("case.outside")).toMatchObject({ status: "crashed", exit_code: 5 });
    expect(await logs("case.outside")).toContain("last words: code 5");
  } finally {
    closeSync(held);
  }
});

test("5 a crash loop leaves children in the background", async () => {
  await enabled("case.loop", misbehaving("leaves-a-lock-holder.sh"));
  await refuse(home, ["agents", "run", "case.loop", "--restart", "always"], { code: "launcher.exited_early", exit: 1 });
  await gaveUp("case.loop");
  const runs = await runsOf("case.loop");
  expect(runs).toHaveLength(MAX_RESTARTS + 1);
  for (const one of runs) expect(await logs("case.loop", "--run", one.run_id)).toEqual(["lock free"]);
  expect(home.processes().filter(({ command }) => command.includes("sleep 1000"))).toEqual([]);
});

test("10 an exit at once, by a code or a signal", async () => {
  const ends = [
    ["case.code", "exit 3", { exit_code: 3, signal: null, reason: "exited with code 3" }],
    ["case.zero", "exit 0", { exit_code: 0, signal: null, reason: "exited with code 0" }],
    ["case.signal", "kill -s SEGV $$", { exit_code: null, signal: "SIGSEGV", reason: "ended by SIGSEGV" }],
  ] as const;
  for (const [agentId, act, end] of ends) {
    await enabled(agentId, program(`#!/bin/sh\n${act}\n`));
    for (const _ of [1, 2]) {
      const { details } = await refuse(home, ["agents", "run", agentId], { code: "launcher.exited_early", exit: 1 });
      const over = details["run"] as { run_id: string };
      expect(over).toMatchObject({ status: "crashed", ...end });
      expect(eventsOf(over.run_id)).toEqual([
        "agent.run_started intent",
        "agent.run_started started",
        "agent.run_crashed ended",
      ]);
    }
  }
});

test("11 the program is missing, not executable, or has a bad first line; or its folder is deleted", async () => {
  const goes = (folder: string): void => rmSync(folder, { recursive: true });
  const text = "#!/bin/sh\nsleep 1000\n";
  const cases: [
    agentId: string,
    files: Files,
    code: Parameters<typeof refuse>[2]["code"],
    word: RegExp,
    spoil?: typeof goes,
  ][] = [
    ["gone.program", { "bin/agent": null }, "launcher.program_missing", /program \.\/bin\/agent does not exist/],
    ["gone.mode", { "bin/agent": { text, mode: 0o644 } }, "launcher.not_executable", /no permission to be executed/],
    ["gone.bang", program("#!/no/such/shell\n"), "launcher.not_executable", /"\/no\/such\/shell" does not exist/],
    ["gone.env", program("#!/usr/bin/env no-such-tool\n"), "launcher.not_executable", /"no-such-tool" is not on/],
    ["gone.folder", program(text), "enablement.drifted", /gone.folder is no longer what was approved/, goes],
  ];
  for (const [agentId, files, code, word, spoil] of cases) {
    await enabled(agentId, files);
    spoil?.(home.sourceOf(agentId));
    const { message } = await refuse(
      home,
      ["agents", "run", agentId, "--restart", "always"],
      code === "enablement.drifted" ? { code, exit: 4, about: agentId } : { code, exit: 1 },
    );
    expect(message).toMatch(word);
  }
  // In place there is no commit to compare with: the folder itself is missed.
  const inPlace = await smallAgentAt(home, "gone.place", "enabled", {}, misbehaving("ends-on-word.sh"));
  expect(inPlace.path).not.toBe("");
  await run("gone.place", "--restart", "always");
  await said("gone.place", "ready");
  rmSync(home.sourceOf("gone.place"), { recursive: true });
  say(home, "gone.place", "code 1");
  const refusals = (): number => home.coreLog().split("a restart of gone.place was refused").length - 1;
  await eventually(() => refusals() > 0, "the restart to be refused");
  // Another one is restarted until Core gives up, which takes longer than any pause of these.
  await enabled("gone.other", program("#!/bin/sh\nexit 1\n"));
  await home.fails(["agents", "run", "gone.other", "--restart", "always"]);
  await gaveUp("gone.other");
  expect(refusals()).toBe(1);
  expect(await runsOf("gone.place")).toHaveLength(1);
  for (const [agentId] of cases) expect(await runsOf(agentId), agentId).toEqual([]);
}, 150_000);

test("16 a stop during the start", async () => {
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

test("16 a start during the stop", async () => {
  await enabled("stop.start", misbehaving("ignores-sigterm.sh"));
  const first = await run("stop.start");
  await said("stop.start", "ready");
  const members = membersOf(first);
  const stopping = stop("stop.start");
  await eventually(() => runStatus(home, first.run_id) === "stopping", "the run to be stopping");
  const second = await run("stop.start");
  // It waited for its turn: nothing of the first was alive beside it.
  expect(stillAlive(members)).toEqual([]);
  expect(second).toMatchObject({ status: "running" });
  expect(second.run_id).not.toBe(first.run_id);
  await stopping;
  const seqOf = (runId: string, type: string, phase: string): number =>
    auditRows(home, type).find(({ subject, metadata }) => subject === runId && metadata["phase"] === phase)?.seq ?? 0;
  const end = seqOf(first.run_id, "agent.run_stopped", "ended");
  expect(end).toBeGreaterThan(0);
  expect(seqOf(second.run_id, "agent.run_started", "intent")).toBeGreaterThan(end);
  await stop("stop.start");
});

test("16 a stop asked for twice at once, and again later", async () => {
  await enabled("stop.twice", misbehaving("ignores-sigterm.sh"));
  const { run_id: runId } = await run("stop.twice");
  await said("stop.twice", "ready");
  const answers = await Promise.all([stop("stop.twice"), stop("stop.twice"), stop("stop.twice")]);
  for (const answer of [...answers, await stop("stop.twice")])
    expect(answer).toMatchObject({ run_id: runId, status: "stopped", reason: "killed after timeout" });
  expect(eventsOf(runId).filter((event) => event === "agent.run_stopped requested")).toHaveLength(1);
});

test("21 a SIGKILL that was not Core's", async () => {
  await enabled("case.oom", misbehaving("ends-on-word.sh"));
  const started = await run("case.oom");
  process.kill(started.pid, "SIGKILL");
  const reason = "killed by SIGKILL that Core did not send (out of memory?)";
  expect(await ended("case.oom")).toMatchObject({ status: "crashed", signal: "SIGKILL", exit_code: null, reason });
  expect((await info("case.oom")).last_error).toBe(reason);
});

test("after all of this nothing of any run is alive", async () => {
  expect(await home.json(["agents", "ps"])).toEqual({ items: [], next: null });
  const core = await home.corePid();
  expect(home.processes().filter(({ pid }) => pid !== core)).toEqual([]);
  expect(await home.json(["audit", "verify"])).toMatchObject({ status: "intact" });
});
