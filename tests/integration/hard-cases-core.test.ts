/** Hard cases of Core itself: reused pids, signals at bad moments, jumps of the clock, descriptors; listed in docs/hard-cases.md. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { AuditEventJson, PsItemJson } from "@opensentience/protocol";
import { afterAll, afterEach, beforeEach, expect, test } from "vitest";
import { runTool, spawnProcess, whenExited } from "../../packages/core/src/host/child-process.ts";
import { bootId, isAlive, readProcess, type ProcessInfo } from "../../packages/core/src/host/process-tree.ts";
import { actsIn, agentBecomes, type Run } from "../support/agent-acts.ts";
import { auditRows } from "../support/audit-rows.ts";
import { BINARY, type CoreHome, eventually, newHome } from "../support/core-home.ts";
import { marked, membersOf, misbehaving, program, stillAlive } from "../support/run-trees.ts";

const HOUR_MS = 3_600_000;
const clockFolder = mkdtempSync(join(tmpdir(), "os-clock-"));
const clock = join(clockFolder, "shift");
afterAll(() => rmSync(clockFolder, { recursive: true }));

/** From now on Core's clock is off by so much. */
const jump = (byMs: number): void => writeFileSync(clock, String(byMs));

let home: CoreHome;
beforeEach(async () => {
  jump(0);
  home = await newHome({
    env: {
      OPENSENTIENCE_STOP_GRACE_MS: "1000",
      NODE_OPTIONS: `--import=${join(import.meta.dirname, "../support/shifted-clock.mjs")}`,
      OPENSENTIENCE_TEST_CLOCK: clock,
    },
    settings: { "restart.initial_ms": 1, "restart.max_ms": 1, "restart.max_attempts": 30 },
  });
});
afterEach(() => home.dispose());

const { enabled, run, stop, newest, ended, runsOf, logs, said, eventsOf } = actsIn(() => home);

async function killCore(): Promise<void> {
  const core = readProcess(await home.corePid()) as ProcessInfo;
  process.kill(core.pid, "SIGKILL");
  await eventually(() => !isAlive(core), "Core to be dead");
}

/** A process of the operator that has nothing to do with Core. */
function stranger(env: Record<string, string> = {}): { pid: number; startTime: string; end: () => Promise<unknown> } {
  const child = spawnProcess(["/bin/sleep", "1000"], { cwd: "/", env, stdio: "ignore" });
  const over = whenExited(child);
  const pid = child.pid ?? 0;
  return {
    pid,
    startTime: readProcess(pid)?.startTime ?? "",
    end: () => {
      child.kill("SIGKILL");
      return over;
    },
  };
}

/** What is recorded of a run becomes something else while no Core runs. */
function forgeRow(runId: string, row: { pid: number; pid_start_time: string; boot_id: string }): void {
  const database = new DatabaseSync(join(home.folder, "state/core.sqlite3"));
  database
    .prepare("UPDATE runs SET pid = ?, pid_start_time = ?, boot_id = ? WHERE run_id = ?")
    .run(row.pid, row.pid_start_time, row.boot_id, runId);
  database.close();
}

test("13 the pid of a lost run went to another process, before or after a reboot", async () => {
  await enabled("pid.crash", {});
  await enabled("pid.boot", {});
  const [crashed, rebooted] = [await run("pid.crash"), await run("pid.boot")];
  const strangers = [stranger(), stranger()] as const;
  try {
    await killCore();
    await eventually(
      () => [...marked(crashed.run_id), ...marked(rebooted.run_id)].length === 0,
      "the trees to be gone",
    );
    // The same number, another start: after a crash. The same number and start, another boot: after a reboot.
    forgeRow(crashed.run_id, { pid: strangers[0].pid, pid_start_time: "1", boot_id: bootId() });
    forgeRow(rebooted.run_id, {
      pid: strangers[1].pid,
      pid_start_time: strangers[1].startTime,
      boot_id: "another-boot",
    });
    for (const lost of [crashed, rebooted])
      expect(await newest(lost.agent_id)).toMatchObject({
        run_id: lost.run_id,
        status: "crashed",
        reason: "core_lost",
      });
    expect(auditRows(home, "core.reconciled").map(({ metadata }) => metadata)).toEqual([
      expect.objectContaining({ runs_closed: 2, processes_ended: 0 }),
    ]);
    for (const agentId of ["pid.crash", "pid.boot"]) await stop(agentId);
    for (const { pid, startTime } of strangers) expect(isAlive({ pid, startTime })).toBe(true);
  } finally {
    for (const { end } of strangers) await end();
  }
});

const runEvents = (agentId: string): { phase: unknown; subject: string }[] =>
  auditRows(home)
    .filter(({ type, metadata }) => type.startsWith("agent.run_") && metadata["agent_id"] === agentId)
    .map(({ subject, metadata }) => ({ phase: metadata["phase"], subject }));

test("13 what a lost Core had started for a run and could not record is ended, by the run's id alone", async () => {
  await enabled("never.recorded", {});
  await home.json(["core", "stop"]);
  await home.json(["core", "start"], { env: { OPENSENTIENCE_KILL_POINT: "run.intent_written" } });
  await home.cli(["agents", "run", "never.recorded"]);
  const runId = auditRows(home, "agent.run_started").at(-1)?.subject ?? "";
  const [started, foreign] = [stranger({ OPENSENTIENCE_RUN_ID: runId }), stranger({ OPENSENTIENCE_RUN_ID: "other" })];
  try {
    await home.json(["core", "start"]);
    expect([isAlive(started), isAlive(foreign)]).toEqual([false, true]);
    expect(await newest("never.recorded")).toMatchObject({ status: "crashed", reason: "core_lost" });
  } finally {
    await Promise.all([started.end(), foreign.end()]);
  }
});

test("14 Core gets SIGTERM during a start", async () => {
  await enabled("term.start", misbehaving("refuses-to-die.sh"));
  for (const phase of ["asked", "intent", "started"]) {
    await home.json(["core", "start"]);
    const before = runEvents("term.start").length;
    const core = readProcess(await home.corePid()) as ProcessInfo;
    const starting = home.cli(["agents", "run", "term.start", "--json", "--no-start"]);
    if (phase !== "asked")
      await eventually(
        () =>
          runEvents("term.start")
            .slice(before)
            .some((event) => event.phase === phase),
        `the event "${phase}"`,
      );
    process.kill(core.pid, "SIGTERM");
    await starting;
    await eventually(() => !isAlive(core), "Core to have ended");
    const events = runEvents("term.start").slice(before);
    // Whatever was begun is over, in the log as among the processes: nothing is left to the next Core.
    if (events.length > 0) expect(events.at(-1)?.phase).toBe("ended");
    for (const { subject } of events) expect(marked(subject)).toEqual([]);
    expect((await home.cli(["core", "stop"])).code).toBe(0);
    expect(home.processes()).toEqual([]);
  }
  expect(auditRows(home, "core.reconciled")).toEqual([]);
  for (const one of await runsOf("term.start")) expect(["stopped", "crashed"]).toContain(one.status);
  expect(await home.json(["audit", "verify"])).toMatchObject({ status: "intact" });
});

test("18 the clock is set back and forth while Core runs", async () => {
  await enabled("clock.first", {});
  await enabled("clock.stubborn", misbehaving("ignores-sigterm.sh"));
  const first = await run("clock.first");
  await said("clock.first", "started ");
  const saneUptimes = async (): Promise<void> => {
    const { items } = await home.json<{ items: PsItemJson[] }>(["agents", "ps"]);
    for (const item of items) {
      expect(item.uptime_ms).toBeGreaterThanOrEqual(0);
      expect(item.uptime_ms).toBeLessThan(HOUR_MS);
    }
  };
  const started: Run[] = [];
  for (const shift of [-24 * HOUR_MS, 48 * HOUR_MS, -48 * HOUR_MS]) {
    jump(shift);
    await saneUptimes();
    // The grace of a stop is as long as ever, and the newest run is the one that was started last.
    const again = await run("clock.stubborn");
    await said("clock.stubborn", "ready");
    expect(await newest("clock.stubborn")).toMatchObject({ run_id: again.run_id, status: "running" });
    const askedAt = performance.now();
    expect(await stop("clock.stubborn")).toMatchObject({ run_id: again.run_id, reason: "killed after timeout" });
    const took = performance.now() - askedAt;
    expect(took).toBeGreaterThanOrEqual(1_000);
    expect(took).toBeLessThan(20_000);
    started.push(again);
  }
  expect((await runsOf("clock.stubborn")).map((one) => one.run_id)).toEqual(started.map((one) => one.run_id));
  expect(await stop("clock.first")).toMatchObject({ run_id: first.run_id, status: "stopped" });
  for (const one of (await home.json<{ items: PsItemJson[] }>(["agents", "ps", "--all"])).items)
    expect(one.uptime_ms).toBeGreaterThanOrEqual(0);
  // Order in the log is by number, not by time, and it stays whole; the newest of a page is what happened last.
  expect(await home.json(["audit", "verify"])).toMatchObject({ status: "intact" });
  const { items } = await home.json<{ items: AuditEventJson[] }>(["audit", "list", "--limit", "500"]);
  expect(items.map(({ seq }) => seq)).toEqual(items.map((_, index) => (items[0]?.seq ?? 0) - index));
});

test("18 an approval that expired stays expired when the clock is set back", async () => {
  await enabled("clock.expiry", {});
  await home.json(["agents", "enable", "clock.expiry", "--all", "--expires", "1h"]);
  await run("clock.expiry");
  jump(2 * HOUR_MS);
  // Core looks by itself now and then, and ends what ran under it.
  await agentBecomes(home, "clock.expiry", ({ run: newestRun }) => newestRun?.status === "stopped", 25_000);
  expect((await newest("clock.expiry")).status).toBe("stopped");
  for (const shift of [2 * HOUR_MS, 0, -24 * HOUR_MS]) {
    jump(shift);
    const { error } = await home.fails(["agents", "run", "clock.expiry"]);
    expect(["enablement.expired", "enablement.not_enabled"]).toContain(error.code);
  }
});

test("19 the child gets the descriptors 0, 1 and 2", async () => {
  await enabled("fd.list", program("#!/bin/sh\nexec ls -l /proc/self/fd\n"));
  await home.fails(["agents", "run", "fd.list"]);
  const lines = (await logs("fd.list")).flatMap((line) => / (\d+) -> (\S+)/.exec(line)?.slice(1).join(" ") ?? []);
  // The fourth is the listing itself.
  expect(lines).toEqual([
    "0 /dev/null",
    expect.stringMatching(/^1 /),
    expect.stringMatching(/^2 /),
    expect.stringMatching(/^3 \/proc\/\d+\/fd$/),
  ]);
});

test("19 Core's descriptors are as many after dozens of restarts as before", async () => {
  await enabled("fd.loop", program("#!/bin/sh\n(sleep 1000 &)\nexit 1\n"));
  const core = await home.corePid();
  const open = (): number => readdirSync(`/proc/${core}/fd`).length;
  await home.fails(["agents", "run", "fd.loop"]);
  const before = open();
  await home.fails(["agents", "run", "fd.loop", "--restart", "always"]);
  const gaveUp = (error: string | null): boolean => error?.startsWith("gave up after 30") === true;
  await agentBecomes(home, "fd.loop", ({ last_error: error }) => gaveUp(error), 40_000);
  // A connection of the command before may be closing still.
  await eventually(
    () => open() <= before,
    () => `${before} descriptors; there are ${open()}`,
  );
  // The folder of a run goes after its end was recorded.
  await expect.poll(() => readdirSync(join(home.folder, "run/agents")), { timeout: 15_000 }).toEqual([]);
});

/** Starts Core from a shell that allows core files, where the machine lets it. */
async function startWithCoreFiles(env: Record<string, string>): Promise<void> {
  const argv = ["/bin/sh", "-c", 'ulimit -S -c "$(ulimit -H -c)"; exec "$0" core start', BINARY];
  const { exitCode } = await runTool(argv, {
    cwd: home.projects,
    env: { ...home.env, ...env },
    timeoutMs: 30_000,
    maxBytes: 10_000,
  });
  expect(exitCode).toBe(0);
}

test("20 nothing secret in arguments, in --json, or in a memory dump", async () => {
  // Whoever started Core would have taken one.
  const secret = "Vw3Kz8Rn5Ht2Bq7Ld4Xm";
  await startWithCoreFiles({ PLANTED_KEY: secret });
  await enabled(
    "env.secret",
    program('#!/bin/sh\nprintf %s "$OPENSENTIENCE_SESSION_TOKEN" > "$HOME/token"\necho ready\nexec sleep 1000\n'),
    {
      permissions: ["env:read:PLANTED_KEY"],
    },
  );
  const started = await run("env.secret");
  await said("env.secret", "ready");
  const token = readFileSync(join(home.folder, "agents/env.secret/data/token"), "utf8");
  expect(token).toMatch(/^[\w-]{43}$/);
  // The agent has it, and nobody sees it on any command line: not of bubblewrap, not of the shim, not of Core.
  const environment = readFileSync(`/proc/${started.pid}/environ`, "utf8");
  expect(environment).toContain(secret);
  const pids = [...membersOf(started).map(({ pid }) => pid), ...home.processes().map(({ pid }) => pid)];
  expect(pids.length).toBeGreaterThanOrEqual(3);
  const commands = pids.map((pid) => readFileSync(`/proc/${pid}/cmdline`, "latin1"));
  const shown = await Promise.all(
    [
      "agents list",
      "agents info env.secret",
      "agents ps --all",
      "agents logs env.secret",
      "core status",
      "audit list",
      "audit export",
      "doctor",
    ].map(async (words) => (await home.cli([...words.split(" "), "--json"])).stdout),
  );
  for (const text of [...commands, ...shown]) {
    expect(text).not.toContain(secret);
    expect(text).not.toContain(token);
  }
  // A dump of Core's memory would hold both.
  expect(readFileSync(`/proc/${await home.corePid()}/limits`, "utf8")).toMatch(/^Max core file size +0 /m);
  await stop("env.secret");
  expect(stillAlive(membersOf(started))).toEqual([]);
  expect(eventsOf(started.run_id).at(-1)).toBe("agent.run_stopped ended");
  expect((await ended("env.secret")).status).toBe("stopped");
});

test("without bubblewrap nothing runs unless an approval says so, and every door says how it is held", async () => {
  const tools = join(home.projects, "../tools");
  mkdirSync(tools);
  for (const tool of ["sh", "git", "env", "sleep", "setsid", "mkfifo"])
    symlinkSync(`/usr/bin/${tool}`, join(tools, tool));
  await home.json(["core", "restart"], { env: { OPENSENTIENCE_TOOLS_PATH: tools } });
  await enabled("bare.agent", misbehaving("refuses-to-die.sh"));
  // Where no sandbox can be made nothing runs without a grant that says so.
  expect(await home.fails(["agents", "run", "bare.agent"])).toMatchObject({
    code: 4,
    error: { code: "sandbox.required", next_step: "opensentience doctor" },
  });
  const grant = ["agents", "enable", "bare.agent", "--all", "--unsandboxed"];
  // An approval without a sandbox needs an end.
  expect(await home.fails(grant)).toMatchObject({ code: 2, error: { code: "enablement.expiry_required" } });
  expect(await home.json([...grant, "--expires", "1h"])).toMatchObject({
    approval: { unsandboxed: true, expires_at: expect.any(String) },
  });
  expect(auditRows(home, "security.unsandboxed_run")).toEqual([]);
  const started = await run("bare.agent");
  expect(auditRows(home, "security.unsandboxed_run")).toMatchObject([
    { metadata: { agent_id: "bare.agent", allowed_by: "approval" } },
  ]);
  await said("bare.agent", "daemon ready");
  expect(started).toMatchObject({ isolation: "process_group" });
  for (const words of ["core status", "agents info bare.agent", "doctor"]) {
    const { stdout } = await home.cli(words.split(" "));
    expect(stdout, words).toMatch(/bwrap|bubblewrap/);
    expect(stdout, words).toMatch(words === "doctor" ? /can outlive its run/ : /process group/);
  }
  const event = auditRows(home, "agent.run_started").find(({ metadata }) => metadata["phase"] === "started");
  expect(event?.metadata["isolation"]).toBe("process_group");
  const members = membersOf(started);
  expect(members.length).toBeGreaterThanOrEqual(3);
  expect(await stop("bare.agent")).toMatchObject({
    status: "stopped",
    reason: "killed after timeout",
    leaked_pids: [],
  });
  expect(stillAlive(members)).toEqual([]);
});

test("requests that are malformed, or want another protocol, do not end Core", async () => {
  await home.json(["core", "start"]);
  const pid = await home.corePid();
  const ask = (bytes: string): Promise<string> =>
    new Promise((resolve) => {
      let text = "";
      const socket = connect(join(home.folder, "run/core.sock"), () => socket.end(bytes, "latin1"));
      socket.setEncoding("latin1").on("data", (chunk: string) => (text += chunk));
      socket.on("error", () => {}).on("close", () => resolve(text));
    });
  const get = (...headers: string[]): string =>
    ["GET /api/v1/status HTTP/1.1", ...headers, "Connection: close", "", ""].join("\r\n");
  for (const request of [
    get("Host: [::1"),
    get("Host: a b c"),
    get("Host: \u00ff\u00fe"),
    get("Host: x", "Host: y"),
    get("Host:"),
    get(),
    get("Host: x", "Content-Length: -1"),
    get("Host: x", "Transfer-Encoding: chunked", "Content-Length: 5"),
    get("Host: x").replace("/api/v1/status", "http://[::1"),
    get("Host: x").replace("/api/v1/status", "//%zz/\u0001"),
    "\u0016\u0003\u0001\u0002\u0000\u0001\u0000",
    "\0".repeat(70_000),
  ])
    expect(await ask(request)).not.toMatch(/ at .*\.(ts|js):\d+/);
  const upgraded = await ask(
    get(
      "Host: x",
      "Upgrade: websocket",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      "Sec-WebSocket-Version: 13",
    ).replace("Connection: close", "Connection: Upgrade"),
  );
  expect(upgraded).not.toContain("101 Switching");
  expect(await home.corePid()).toBe(pid);
});
