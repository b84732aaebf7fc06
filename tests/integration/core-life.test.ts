/** Core's own life: one per home, an orderly end, and what a violent end leaves (nothing that runs, nothing half done). */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CoreStatusJson, PsItemJson, RunJson } from "@opensentience/protocol";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { isAlive, readProcess, type ProcessInfo } from "../../packages/core/src/host/process-tree.ts";
import { agentBecomes } from "../support/agent-acts.ts";
import { auditRows } from "../support/audit-rows.ts";
import { type CoreHome, eventually, newHome } from "../support/core-home.ts";
import { refuse } from "../support/refuse.ts";
import { buildMarker, marked, membersOf, misbehaving, program, say, stillAlive } from "../support/run-trees.ts";
import { smallAgentAt } from "../support/small-agent.ts";
import { Following, typeNextStep } from "../support/terminal.ts";

type Run = RunJson & { pid: number };

let home: CoreHome;
beforeEach(async () => {
  home = await newHome({ env: { OPENSENTIENCE_STOP_GRACE_MS: "1000" } });
});
afterEach(() => home.dispose());

const status = (): Promise<CoreStatusJson> => home.json<CoreStatusJson>(["core", "status"]);
const types = (): string[] => auditRows(home).map(({ type }) => type);

/** kill -9, and the moment at which the kernel has ended it. */
async function killCore(pid?: number): Promise<void> {
  const core = readProcess(pid ?? (await home.corePid())) as ProcessInfo;
  process.kill(core.pid, "SIGKILL");
  await eventually(() => !isAlive(core), "Core to be dead");
}

describe("one Core per home", () => {
  test("15 eight first commands at once", async () => {
    const results = await Promise.all(Array.from({ length: 8 }, () => home.cli(["agents", "list", "--json"])));
    for (const result of results)
      expect(result).toEqual({ code: 0, stdout: expect.stringContaining('"items"'), stderr: "" });
    expect(types().filter((type) => type === "core.started")).toHaveLength(1);
    expect(home.processes().map(({ pid }) => pid)).toEqual([await home.corePid()]);
  });

  test("15 eight first commands at once, beside the stale socket of a Core that was killed", async () => {
    await home.json(["core", "start"]);
    await killCore();
    expect(existsSync(join(home.folder, "run/core.sock"))).toBe(true);
    // So is the mark of the dead one, and nobody believes it.
    expect(existsSync(join(home.folder, "run/core.pid"))).toBe(true);
    expect(await home.json(["core", "status"], { codes: [5] })).toMatchObject({ running: false, state: "stopped" });
    const results = await Promise.all(Array.from({ length: 8 }, () => home.cli(["agents", "list", "--json"])));
    expect(results.map(({ code }) => code)).toEqual(Array.from({ length: 8 }, () => 0));
    expect(types().filter((type) => type === "core.started")).toHaveLength(2);
  });

  test("15 a second Core for the same home", async () => {
    await home.json(["core", "start"]);
    const pid = await home.corePid();
    const { next_step: nextStep } = await refuse(home, ["serve"], {
      code: "core.already_running",
      exit: 6,
      next: "opensentience core status",
    });
    expect(await typeNextStep(home, nextStep)).toContain(String(pid));
    expect(await home.corePid()).toBe(pid);
  });

  test("started again and again it is the same; --no-start starts none", async () => {
    await refuse(home, ["agents", "list", "--no-start"], {
      code: "core.unreachable",
      exit: 5,
      next: "opensentience core start",
    });
    expect((await home.cli(["core", "status"])).code).toBe(5);
    await typeNextStep(home, "opensentience core start");
    const pid = await home.corePid();
    expect(await home.json(["core", "start"])).toMatchObject({ pid });
  });
});

describe("an orderly end", () => {
  test("`core stop` ends every agent, the newest first, then Core, and leaves nothing", async () => {
    const runs: Run[] = [];
    for (const agentId of ["stop.one", "stop.two", "stop.three"]) {
      await smallAgentAt(home, agentId, "enabled", {}, agentId === "stop.two" ? misbehaving("refuses-to-die.sh") : {});
      runs.push(await home.json<Run>(["agents", "run", agentId]));
    }
    const members = runs.flatMap((run) => membersOf(run));
    const pid = await home.corePid();
    expect(await home.json(["core", "stop"])).toMatchObject({ running: false, was_running: true, pid });
    expect(stillAlive(members)).toEqual([]);
    expect(home.processes()).toEqual([]);
    expect(existsSync(join(home.folder, "run/core.sock"))).toBe(false);
    const ends = auditRows(home, "agent.run_stopped");
    const requested = ends.filter(({ metadata }) => metadata["phase"] === "requested").map(({ subject }) => subject);
    expect(requested).toEqual(runs.map((run) => run.run_id).toReversed());
    expect(ends.filter(({ metadata }) => metadata["phase"] === "ended")).toHaveLength(3);
    expect(types().at(-1)).toBe("core.stopped");
    expect(await home.json(["core", "stop"])).toMatchObject({ running: false, was_running: false });
    const { items } = await home.json<{ items: Run[] }>(["agents", "ps", "--all"]);
    expect(items.map((run) => run.status)).toEqual(["stopped", "stopped", "stopped"]);
    expect(types()).not.toContain("core.reconciled");
  });

  test("meanwhile `core status` says stopping, and `core stop` waits for the same end", async () => {
    await smallAgentAt(home, "stop.slow", "enabled", {}, misbehaving("ignores-sigterm.sh"));
    await home.json(["core", "restart", "--set", "launcher.stop_grace_ms=8000"]);
    await home.json<Run>(["agents", "run", "stop.slow"]);
    const pid = await home.corePid();
    const first = home.json(["core", "stop"]);
    await eventually(() => !existsSync(join(home.folder, "run/core.sock")), "the control socket to be gone");
    expect(await home.json(["core", "status"], { codes: [5] })).toMatchObject({
      running: true,
      state: "stopping",
      pid,
      degraded: null,
    });
    const shown = await home.cli(["core", "status"]);
    expect(shown.stdout).toMatch(/^ *core +stopping$/m);
    expect(shown.stderr).toBe("next: opensentience core stop\n");
    expect(await home.json(["core", "stop"])).toMatchObject({ running: false, was_running: true, pid });
    expect(await first).toMatchObject({ running: false, was_running: true, pid });
    expect(existsSync(join(home.folder, "run/core.pid"))).toBe(false);
    expect(await home.json(["core", "status"], { codes: [5] })).toMatchObject({ running: false, state: "stopped" });
  });

  test("Ctrl-C on `serve` is the same", async () => {
    const serving = new Following(home, ["serve"]);
    await serving.until(/OpenSentience Core is running/);
    await smallAgentAt(home, "serve.agent", "enabled");
    const run = await home.json<Run>(["agents", "run", "serve.agent"]);
    const members = membersOf(run);
    expect(await serving.interrupt()).toMatchObject({ code: 0, stderr: "" });
    expect(stillAlive(members)).toEqual([]);
    expect(types().slice(-2)).toEqual(["agent.run_stopped", "core.stopped"]);
    expect(existsSync(join(home.folder, "run/core.sock"))).toBe(false);
  });

  test("a second Ctrl-C does not wait for a stubborn agent, which ends all the same", async () => {
    const serving = new Following(home, ["serve", "--set", "launcher.stop_grace_ms=600000"]);
    await serving.until(/OpenSentience Core is running/);
    await smallAgentAt(home, "serve.stubborn", "enabled", {}, misbehaving("ignores-sigterm.sh"));
    const run = await home.json<Run>(["agents", "run", "serve.stubborn"]);
    const members = membersOf(run);
    process.kill(await home.corePid(), "SIGTERM");
    await eventually(() => auditRows(home, "agent.run_stopped").length > 0, "the stop to be asked for");
    expect((await serving.interrupt()).code).toBe(130);
    await eventually(() => stillAlive(members).length === 0, "the agent to be gone");
    expect((await home.json<{ run: Run }>(["agents", "info", "serve.stubborn"])).run).toMatchObject({
      status: "crashed",
      reason: "core_lost",
    });
  });
});

describe("kill -9 of Core", () => {
  test("12 Core gets kill -9 while agents run", async () => {
    await smallAgentAt(home, "lost.stubborn", "enabled", {}, misbehaving("refuses-to-die.sh"));
    await smallAgentAt(home, "lost.always", "enabled");
    const stubborn = await home.json<Run>(["agents", "run", "lost.stubborn"]);
    const always = await home.json<Run>(["agents", "run", "lost.always", "--restart", "always"]);
    await eventually(() => membersOf(stubborn).length >= 3, "the whole tree");
    const members = [...membersOf(stubborn), ...membersOf(always)];
    await killCore();
    await eventually(
      () => stillAlive(members).length === 0,
      () => `nothing to be alive, but ${stillAlive(members).join(" ")}`,
      5_000,
    );
    expect(marked(stubborn.run_id)).toEqual([]);
    // Nothing has told the database yet.
    expect(types().at(-1)).toBe("agent.run_started");

    const started = await home.cli(["core", "start"]);
    expect(started.stdout).toMatch(/^Core is started\n/);
    const fate = "(is being started again|will be started again in \\d+ s .*|is started again)";
    const lines = [`  lost\\.always ${fate}\n`, "  lost\\.stubborn is not started again\n"];
    const said = `^Core was lost, and with it 2 runs:\n(${lines.join("")}|${lines.toReversed().join("")})next: .* ps --all\n$`;
    expect(started.stderr).toMatch(new RegExp(said));
    // Who finds Core running has been told.
    expect((await home.cli(["core", "start"])).stderr).toBe("");
    expect((await home.json<{ run: Run }>(["agents", "info", "lost.stubborn"])).run).toMatchObject({
      run_id: stubborn.run_id,
      status: "crashed",
      reason: "core_lost",
    });
    expect((await home.cli(["agents", "ps"])).stderr).toMatch(new RegExp(said));
    const resumed = await eventually(async () => {
      const { run } = await home.json<{ run: Run }>(["agents", "info", "lost.always"]);
      return run.status === "running" ? run : undefined;
    }, "the agent whose policy is always");
    expect(resumed).toMatchObject({ restart_count: 1 });
    expect(resumed.run_id).not.toBe(always.run_id);
    const { items } = await home.json<{ items: Run[] }>(["agents", "ps"]);
    expect(items.map((run) => run.run_id)).toEqual([resumed.run_id]);
    expect((await home.cli(["agents", "ps"])).stderr).toContain("  lost.always is started again\n");
    // Who starts it by hand knows of it.
    await home.json(["agents", "run", "lost.stubborn"]);
    const { stderr } = await home.cli(["agents", "ps"]);
    expect(stderr).toContain("with it 1 run:\n  lost.always is");
    await home.json(["agents", "stop", "lost.always"]);
    expect((await home.cli(["agents", "ps"])).stderr).toContain(
      "  lost.always was started again, and has ended since\n",
    );
    expect(auditRows(home, "core.reconciled").map(({ metadata }) => metadata)).toEqual([
      {
        runs_closed: 2,
        processes_ended: 0,
        builds_closed: 0,
        installs_closed: 0,
        approvals_closed: 0,
        calls_closed: 0,
      },
    ]);
    const crashes = auditRows(home, "agent.run_crashed");
    expect(crashes.map(({ subject, metadata }) => [subject, metadata["reason"]])).toEqual(
      [stubborn, always].map((run) => [run.run_id, "core_lost"]),
    );
    expect(await home.json(["audit", "verify"])).toMatchObject({ status: "intact" });
  });

  test("what had arguments is not started again without them, whether it ran or its restart was pending", async () => {
    await smallAgentAt(home, "lost.running", "enabled", {}, program('#!/bin/sh\necho "with $*"\nexec sleep 1000\n'));
    await smallAgentAt(home, "lost.pending", "enabled", {}, misbehaving("ends-on-word.sh"));
    await home.json(["agents", "run", "lost.running", "--restart", "always", "--", "late", "60"]);
    await home.json(["core", "stop"]);
    await home.json(["core", "start", "--set", "restart.initial_ms=600000", "--set", "restart.max_ms=600000"]);
    await home.json(["agents", "run", "lost.running", "--", "late", "60"]);
    await home.json(["agents", "run", "lost.pending", "--restart", "always", "--", "quick"]);
    say(home, "lost.pending", "code 1");
    await agentBecomes(home, "lost.pending", ({ run }) => run?.status === "crashed");
    await killCore();

    type Info = { run: Run; last_error: string; next_step: string; status: string };
    const { items } = await home.json<{ items: Run[] }>(["agents", "ps"]);
    expect(items).toEqual([]);
    expect((await home.cli(["agents", "ps"])).stderr).toContain(
      "  lost.running not started again: its arguments are not",
    );
    for (const id of ["lost.running", "lost.pending"]) {
      const why = `not started again: its arguments are not kept, start it with \`opensentience agents run ${id} -- …\``;
      const info = await home.json<Info>(["agents", "info", id]);
      expect(info.last_error).toContain(why);
      expect(info.next_step).toBe(`opensentience agents run ${id} -- …`);
      expect(info.run.reason).toBe(id === "lost.running" ? `core_lost; ${why}` : "exited with code 1");
      expect((await home.cli(["agents", "info", id])).stdout).toContain("its arguments are not kept");
    }
    const calledOff = auditRows(home, "agent.run_stopped").find(
      ({ metadata }) => metadata["phase"] === "restart called off",
    );
    expect(calledOff?.metadata).toMatchObject({ agent_id: "lost.pending" });
    // Nobody saw the end: the time until another Core closed the run is not its uptime.
    const all = await home.json<{ items: PsItemJson[] }>(["agents", "ps", "--all"]);
    const lost = all.items.find((run) => run.agent_id === "lost.running" && run.reason?.startsWith("core_lost"));
    const wroteAfter = statSync(lost?.log_path ?? "").mtimeMs - Date.parse(lost?.started_at ?? "");
    expect(lost).toMatchObject({ uptime_is_least: true, uptime_ms: Math.round(wroteAfter) });
    // Another Core later finds nothing that it owes either.
    await killCore();
    expect((await home.json<{ items: Run[] }>(["agents", "ps"])).items).toEqual([]);
    expect(await home.json(["agents", "run", "lost.running", "--", "late"])).toMatchObject({ status: "running" });
    expect((await home.json<Info>(["agents", "info", "lost.running"])).next_step).toBe(
      "opensentience agents logs lost.running",
    );
  });

  test("during a build: its tree is gone, the build is closed as failed, and can be done again", async () => {
    const build = { build: { steps: [{ phase: "compile", argv: ["sh", "build.sh"] }] } };
    const files = {
      "build.sh": '[ -z "$FIRST" ] && exit 0\n(setsid sleep 1000 &)\necho half > half-built\nsleep 1000\n',
    };
    // A build leaves nothing to the next one: the Core that it was lost with is the only one that passes this on.
    await home.json(["core", "start"], { env: { FIRST: "1", OPENSENTIENCE_BUILD_PASS_ENV: "FIRST" } });
    await smallAgentAt(home, "lost.build", "installed", build, files);
    const building = home.cli(["agents", "build", "lost.build", "--yes", "--json"]);
    await eventually(
      () => existsSync(join(home.folder, "agents/lost.build/src/half-built")),
      "the build to be half done",
    );
    await killCore();
    await eventually(() => marked(buildMarker(home, "lost.build")).length === 0, "the build's tree to be gone", 5_000);
    const { code, stderr } = await building;
    expect([code, JSON.parse(stderr)]).toEqual([
      5,
      { error: expect.objectContaining({ code: "core.unreachable", next_step: "opensentience core status" }) },
    ]);
    expect(await home.json(["agents", "info", "lost.build"])).toMatchObject({
      status: "error",
      build_status: "failed",
      last_error: "Core ended during the build",
    });
    expect(auditRows(home, "core.reconciled").at(-1)?.metadata).toMatchObject({ builds_closed: 1 });
    expect(auditRows(home, "agent.build_failed").at(-1)).toMatchObject({
      outcome: "failed",
      metadata: { code: "core_lost" },
    });
    expect((await home.cli(["audit", "list", "--agent", "lost.build"])).stdout).toMatch(/build_failed .* core_lost/);
    await refuse(home, ["agents", "run", "lost.build"], {
      code: "build.not_built",
      exit: 4,
      next: "opensentience agents build lost.build",
    });
    await typeNextStep(home, "opensentience agents build lost.build");
    expect(await home.json(["agents", "info", "lost.build"])).toMatchObject({
      status: "installed",
      build_status: "built",
      last_error: null,
    });
    expect(await home.json(["audit", "verify"])).toMatchObject({ status: "intact" });
  });

  test("without namespaces: what the build left is ended by the next Core, and nothing of another home", async () => {
    const tools = join(home.projects, "../tools");
    mkdirSync(tools);
    for (const tool of ["sh", "git", "sleep", "setsid", "mkfifo", "touch"])
      symlinkSync(`/usr/bin/${tool}`, join(tools, tool));
    const env = { OPENSENTIENCE_TOOLS_PATH: tools };
    writeFileSync(join(home.folder, "config.toml"), '[sandbox]\nmode = "off"\n');
    await home.json(["core", "start"], { env });
    const build = { build: { steps: [{ phase: "compile", argv: ["sh", "build.sh"] }] } };
    await smallAgentAt(home, "lost.tree", "installed", build, {
      "build.sh": "setsid sleep 1000 &\ntouch half-built\nsleep 1000\n",
    });
    const building = home.cli(["agents", "build", "lost.tree", "--yes", "--json"]);
    await eventually(
      () => existsSync(join(home.folder, "agents/lost.tree/src/half-built")),
      "the build to be half done",
    );
    const other = buildMarker(home, "lost.tree").replace(/-\w+/, "-0000000000000000");
    const foreign = spawn("/bin/sleep", ["1000"], { env: { OPENSENTIENCE_RUN_ID: other }, stdio: "ignore" });
    onTestFinished(() => void foreign.kill("SIGKILL"));
    const marker = buildMarker(home, "lost.tree");
    await eventually(() => marked(marker).length >= 3, "the shell and both of its children");
    await killCore();
    await building;
    expect(marked(marker).length).toBeGreaterThanOrEqual(2);
    await home.json(["core", "start"], { env });
    expect([marked(marker), marked(other)]).toEqual([[], [foreign.pid]]);
    const { metadata } = auditRows(home, "core.reconciled").at(-1) ?? {};
    expect(metadata).toMatchObject({ builds_closed: 1, processes_ended: expect.any(Number) });
    expect(Number(metadata?.["processes_ended"])).toBeGreaterThanOrEqual(2);
  });

  test("right after an act was answered: the act is there", async () => {
    await smallAgentAt(home, "lost.act", "enabled");
    await killCore();
    expect(await home.json(["agents", "info", "lost.act"])).toMatchObject({ status: "enabled", build_status: "built" });
    expect(await home.json(["audit", "verify"])).toMatchObject({ status: "intact" });
    expect((await status()).degraded).toBeNull();
  });

  test("leaves a log that the next Core goes on with", async () => {
    await smallAgentAt(home, "lost.log", "running");
    const { log_path: logPath } = (await home.json<{ run: Run }>(["agents", "info", "lost.log"])).run;
    await eventually(() => readFileSync(logPath ?? "", "utf8").includes("started"), "the first line");
    await killCore();
    const records = await home.jsonLines<{ line: string }>(["agents", "logs", "lost.log"]);
    expect(records.map(({ line }) => line)).toEqual(["started "]);
    await home.json(["agents", "run", "lost.log"]);
    expect(home.coreLog().split("started: version")).toHaveLength(3);
  });
});
