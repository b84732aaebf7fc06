/** What follows a run that ended by itself: restarts with backoff, their end, and what cancels them. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RunJson } from "@opensentience/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { agentBecomes } from "../support/agent-acts.ts";
import { auditRows } from "../support/audit-rows.ts";
import { type CoreHome, eventually, newHome } from "../support/core-home.ts";
import { controlOf } from "../support/control-of.ts";
import { refuse } from "../support/refuse.ts";
import { inSession, misbehaving, program, say } from "../support/run-trees.ts";
import { smallAgentAt } from "../support/small-agent.ts";
import { Following } from "../support/terminal.ts";

const FIRST_DELAY_MS = 400;
const MAX_RESTARTS = 3;

let home: CoreHome;
beforeAll(async () => {
  home = await newHome({
    settings: {
      "restart.initial_ms": FIRST_DELAY_MS,
      "restart.max_ms": 2 * FIRST_DELAY_MS,
      "restart.max_attempts": MAX_RESTARTS,
      "runtime.handshake_timeout_ms": 500,
    },
  });
});
afterAll(() => home.dispose());

/** Runs of the agent, oldest first. */
async function runsOf(where: CoreHome, agentId: string): Promise<RunJson[]> {
  const { items } = await where.json<{ items: RunJson[] }>(["agents", "ps", "--all"]);
  return items.filter((run) => run.agent_id === agentId).toReversed();
}
type Agent = { status: string; last_error: string | null; restart_policy: string; run: RunJson };
const info = (where: CoreHome, agentId: string): Promise<Agent> => where.json<Agent>(["agents", "info", agentId]);
const isLive = (run: RunJson | undefined): boolean => run?.status === "running";
async function restarted(where: CoreHome, agentId: string, times: number): Promise<RunJson[]> {
  const control = await controlOf(where);
  await eventually(async () => {
    const { items } = await control.call("list_runs", { query: { agent: agentId, all: true } });
    return items.length > times && isLive(items[0]);
  }, `${agentId} to be started again`);
  return await runsOf(where, agentId);
}

describe("an agent that crashes again and again", () => {
  test("21 a restart storm", async () => {
    await smallAgentAt(
      home,
      "loop.fail",
      "enabled",
      {},
      program('#!/bin/sh\nsleep 1000 &\necho "no settings" >&2\nexit 3\n'),
    );
    await refuse(home, ["agents", "run", "loop.fail", "--restart", "on-failure"], {
      code: "launcher.exited_early",
      exit: 1,
    });
    await agentBecomes(home, "loop.fail", ({ last_error: error }) => error?.startsWith("gave up") === true);
    const { last_error: lastError } = await info(home, "loop.fail");
    expect(lastError).toBe(`gave up after ${MAX_RESTARTS} restarts within 60 s; last end: exited with code 3`);
    expect(await info(home, "loop.fail")).toMatchObject({ status: "error", restart_policy: "on-failure" });
    const runs = await runsOf(home, "loop.fail");
    expect(runs.map((run) => [run.status, run.exit_code, run.restart_count])).toEqual(
      Array.from({ length: MAX_RESTARTS + 1 }, (_, index) => ["crashed", 3, index]),
    );
    const waits = runs
      .slice(1)
      .map((run, index) => Date.parse(run.started_at) - Date.parse(runs[index]?.stopped_at ?? ""));
    const shortest = [FIRST_DELAY_MS / 2, FIRST_DELAY_MS, FIRST_DELAY_MS];
    for (const [index, wait] of waits.entries()) expect(wait).toBeGreaterThanOrEqual((shortest[index] ?? 0) - 5);
    const events = auditRows(home, "agent.run_crashed").filter(({ subject }) => subject === runs.at(-1)?.run_id);
    expect(events.map(({ metadata }) => metadata["phase"])).toEqual(["ended", "gave_up"]);
    expect(home.processes().filter(({ command }) => command.includes("sleep 1000"))).toEqual([]);
  });

  test("starts from the beginning when it is run by hand", async () => {
    await refuse(home, ["agents", "run", "loop.fail", "--restart", "never"], {
      code: "launcher.exited_early",
      exit: 1,
    });
    expect((await info(home, "loop.fail")).run).toMatchObject({ restart_count: 0, status: "crashed" });
  });
});

describe("the policy", () => {
  test("on-failure leaves an end without a failure alone, always does not", async () => {
    await smallAgentAt(home, "policy.failure", "enabled", {}, misbehaving("ends-on-word.sh"));
    await smallAgentAt(home, "policy.always", "enabled", {}, misbehaving("ends-on-word.sh"));
    await home.json(["agents", "run", "policy.failure", "--restart", "on-failure"]);
    await home.json(["agents", "run", "policy.always", "--restart", "always"]);
    say(home, "policy.failure", "code 0");
    await agentBecomes(home, "policy.failure", ({ run }) => run?.status === "crashed");
    // What ends later is started again twice, which takes longer than the only delay the other could be waiting for.
    for (const times of [1, 2]) {
      say(home, "policy.always", "code 0");
      await restarted(home, "policy.always", times);
    }
    expect(await runsOf(home, "policy.failure")).toHaveLength(1);
    say(home, "policy.always", "signal KILL");
    const runs = await restarted(home, "policy.always", 3);
    expect(runs.at(-2)).toMatchObject({ status: "crashed", signal: "SIGKILL" });
    await home.json(["agents", "stop", "policy.always"]);
  });

  test("what Core ends for a fault has failed, also when it goes with a code of 0; what closes its session has not", async () => {
    const tools = { capabilities: ["tools"] };
    const polite = program("#!/bin/sh\ntrap 'exit 0' TERM\nwhile :; do sleep 0.05; done\n");
    await smallAgentAt(home, "policy.silent", "enabled", tools, polite);
    await home.json(["agents", "run", "policy.silent", "--restart", "on-failure"]);
    const [first] = await restarted(home, "policy.silent", 1);
    expect(first).toMatchObject({ status: "crashed", exit_code: 0 });
    expect(first?.reason).toMatch(/^its session ended: no handshake within 0.5 s/);
    await home.json(["agents", "stop", "policy.silent"]);
    await smallAgentAt(
      home,
      "policy.done",
      "enabled",
      tools,
      inSession(
        "import signal\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\ntime.sleep(1.5)\ncore.close()\ntime.sleep(1)\n",
      ),
    );
    await home.json(["agents", "run", "policy.done", "--restart", "on-failure"]);
    await agentBecomes(home, "policy.done", ({ run }) => run?.status === "crashed");
    const { run, ...rest } = await home.json<Agent & { restart_at: string | null }>(["agents", "info", "policy.done"]);
    expect([run.exit_code, run.reason, rest.restart_at]).toEqual([
      0,
      expect.stringMatching(/closed its conn|code 0/),
      null,
    ]);
  });

  test("a restart passes the same gate as a run: none without an approval", async () => {
    await smallAgentAt(home, "policy.gate", "enabled", {}, misbehaving("ends-on-word.sh"));
    await home.json(["agents", "run", "policy.gate", "--restart", "always"]);
    writeFileSync(join(home.folder, "agents/policy.gate/src/planted.js"), "");
    say(home, "policy.gate", "code 1");
    await eventually(
      () => auditRows(home, "agent.manifest_drift_detected").some(({ subject }) => subject === "policy.gate"),
      "the restart to be refused",
    );
    expect(await runsOf(home, "policy.gate")).toHaveLength(1);
    expect(home.coreLog()).toContain("a restart of policy.gate was refused: enablement.drifted");
  });
});

describe("following the logs", () => {
  test("goes on with the run that follows, and says why nothing follows", async () => {
    await smallAgentAt(home, "follow.on", "enabled", {}, misbehaving("ends-on-word.sh"));
    await home.json(["agents", "run", "follow.on", "--restart", "on-failure"]);
    const following = new Following(home, ["agents", "logs", "follow.on", "-f"]);
    await following.until(/ready/);
    say(home, "follow.on", "code 7");
    await following.until(/core: — run ended: exited with code 7; the next run began —/);
    await restarted(home, "follow.on", 1);
    await home.json(["agents", "restart", "follow.on"]);
    await following.until(/core: — run ended: stopped; the next run began —/);
    await home.json(["agents", "stop", "follow.on"]);
    const { code, lines, stderr } = await following.end();
    expect([code, stderr]).toEqual([0, "run ended: stopped\n"]);
    expect(lines.filter((line) => line.endsWith("ready"))).toHaveLength(3);

    const over = await home.cli(["agents", "logs", "follow.on", "-f"]);
    expect(over.code).toBe(0);
    expect(over.stdout).toContain("ready");
    expect(over.stderr).toMatch(
      /^\(the newest of 3 runs; --run RUN for another\)\nfollow\.on is not running; its last run ended .*\(stopped\)\n$/,
    );
  });
});

describe("a pending restart", () => {
  /** At least half of it passes before the restart: time enough to act on it. */
  const LONG_DELAY_MS = 4_000;
  let slow: CoreHome;
  beforeAll(async () => {
    slow = await newHome({ settings: { "restart.initial_ms": LONG_DELAY_MS } });
  });
  afterAll(() => slow.dispose());

  async function crashed(agentId: string): Promise<void> {
    await smallAgentAt(slow, agentId, "enabled", {}, misbehaving("ends-on-word.sh"));
    await slow.json(["agents", "run", agentId, "--restart", "always"]);
    say(slow, agentId, "code 1");
    await agentBecomes(slow, agentId, ({ run }) => run?.status === "crashed");
  }

  test("is forgotten when Core stops", async () => {
    await crashed("pending.core");
    expect((await slow.cli(["core", "stop"])).code).toBe(0);
    expect(slow.processes()).toEqual([]);
  });

  test("is told wherever the agent is, and by the stop that calls it off", async () => {
    const notice = (limit: string): RegExp =>
      new RegExp(`will be started again in [1-4] s \\(restart 1 of ${limit}\\)`);
    await smallAgentAt(slow, "pending.told", "enabled", {}, program("#!/bin/sh\nexit 3\n"));
    const refused = await slow.cli(["agents", "run", "pending.told", "--restart", "on-failure"]);
    expect([refused.code, refused.stdout]).toEqual([1, ""]);
    expect(refused.stderr).toMatch(notice("5"));
    expect(refused.stderr).toContain("next: opensentience agents logs pending.told -f");
    const shown = await Promise.all(
      [["ps"], ["info", "pending.told"], ["list"]].map((words) => slow.cli(["agents", ...words])),
    );
    for (const { stdout } of shown) expect(stdout).toMatch(notice("5"));
    const { items } = await slow.json<{ items: RunJson[] }>(["agents", "ps"]);
    const waiting = items.find((run) => run.agent_id === "pending.told");
    expect(waiting).toMatchObject({ status: "crashed", restart_attempt: 1, restart_limit: 5 });
    expect(Date.parse(waiting?.restart_at ?? "")).toBeGreaterThan(Date.parse(waiting?.stopped_at ?? ""));
    expect(await slow.json(["agents", "info", "pending.told"])).toMatchObject({
      restart_at: waiting?.restart_at,
      restart_attempt: 1,
      next_step: "opensentience agents logs pending.told -f",
    });
    const stopped = await slow.cli(["agents", "stop", "pending.told"]);
    expect(stopped.code).toBe(0);
    expect(stopped.stdout).toContain("its pending restart was called off");
    expect(await info(slow, "pending.told")).toMatchObject({ restart_at: null, run: { restart_at: null } });
  });

  test("is cancelled by a stop, which answers with the run that crashed", async () => {
    await crashed("pending.stop");
    expect(await slow.json(["agents", "stop", "pending.stop"])).toMatchObject({
      status: "crashed",
      exit_code: 1,
      restart_called_off: true,
    });
    expect(await slow.json(["agents", "stop", "pending.stop"])).toMatchObject({ restart_called_off: false });
  });

  test("is cancelled by a revocation", async () => {
    await crashed("pending.revoke");
    expect(await slow.json(["agents", "revoke", "pending.revoke"])).toMatchObject({ approval: { status: "revoked" } });
  });

  test("does not come on top of a run that was asked for meanwhile", async () => {
    await crashed("pending.run");
    expect(await slow.json(["agents", "run", "pending.run"])).toMatchObject({ status: "running", restart_count: 0 });
  });

  test("never comes afterwards: another agent that crashed last has been started again twice, which takes longer", async () => {
    await crashed("pending.other");
    await restarted(slow, "pending.other", 1);
    say(slow, "pending.other", "code 1");
    await restarted(slow, "pending.other", 2);
    for (const agentId of ["pending.core", "pending.stop", "pending.revoke"])
      expect(await runsOf(slow, agentId), agentId).toHaveLength(1);
    expect((await runsOf(slow, "pending.run")).map(({ status }) => status)).toEqual(["crashed", "running"]);
    expect(slow.coreLog()).not.toContain("was refused");
  });
});
