/** What follows a run that ended by itself: restarts with backoff, their end, and what cancels them. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RunJson } from "@opensentience/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { type CoreHome, eventually, newHome } from "../support/core-home.ts";
import { refuse } from "../support/refuse.ts";
import { misbehaving, program } from "../support/run-trees.ts";
import { smallAgentAt } from "../support/small-agent.ts";

const FIRST_DELAY_MS = 400;
const MAX_RESTARTS = 3;

let home: CoreHome;
beforeAll(async () => {
  home = await newHome({
    settings: {
      "restart.initial_ms": FIRST_DELAY_MS,
      "restart.max_ms": 2 * FIRST_DELAY_MS,
      "restart.max_attempts": MAX_RESTARTS,
    },
  });
});
afterAll(() => home.dispose());

/** Runs of the agent, oldest first. */
async function runsOf(agentId: string): Promise<RunJson[]> {
  const { items } = await home.json<{ items: RunJson[] }>(["agents", "ps", "--all"]);
  return items.filter((run) => run.agent_id === agentId).toReversed();
}
const info = (agentId: string) =>
  home.json<{ status: string; last_error: string | null; restart_policy: string; run: RunJson }>([
    "agents",
    "info",
    agentId,
  ]);
const say = (agentId: string, word: string): void =>
  writeFileSync(join(home.folder, "agents", agentId, "data/word"), `${word}\n`);
const isLive = (run: RunJson | undefined): boolean => run?.status === "running";
const restarted = (agentId: string, times: number): Promise<RunJson[]> =>
  eventually(async () => {
    const runs = await runsOf(agentId);
    return runs.length > times && isLive(runs.at(-1)) ? runs : undefined;
  }, `${agentId} to be started again`);

describe("an agent that crashes again and again", () => {
  test("is started again with growing delays, then given up with a reason, its tree gone each time", async () => {
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
    const { last_error: lastError } = await eventually(async () => {
      const agent = await info("loop.fail");
      return agent.last_error?.startsWith("gave up") === true ? agent : undefined;
    }, "Core to give up");
    expect(lastError).toBe(`gave up after ${MAX_RESTARTS} restarts within 60 s; last: no settings`);
    expect(await info("loop.fail")).toMatchObject({ status: "error", restart_policy: "on-failure" });
    const runs = await runsOf("loop.fail");
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
    expect((await info("loop.fail")).run).toMatchObject({ restart_count: 0, status: "crashed" });
  });
});

describe("the policy", () => {
  test("on-failure leaves an end without a failure alone, always does not", async () => {
    await smallAgentAt(home, "policy.failure", "enabled", {}, misbehaving("ends-on-word.sh"));
    await smallAgentAt(home, "policy.always", "enabled", {}, misbehaving("ends-on-word.sh"));
    await home.json(["agents", "run", "policy.failure", "--restart", "on-failure"]);
    await home.json(["agents", "run", "policy.always", "--restart", "always"]);
    say("policy.failure", "code 0");
    await eventually(async () => (await info("policy.failure")).run.status === "crashed", "the end without a failure");
    // What ends later is started again twice, which takes longer than the only delay the other could be waiting for.
    for (const times of [1, 2]) {
      say("policy.always", "code 0");
      await restarted("policy.always", times);
    }
    expect(await runsOf("policy.failure")).toHaveLength(1);
    say("policy.always", "signal KILL");
    const runs = await restarted("policy.always", 3);
    expect(runs.at(-2)).toMatchObject({ status: "crashed", signal: "SIGKILL" });
    await home.json(["agents", "stop", "policy.always"]);
  });

  test("a restart passes the same gate as a run: none without an approval", async () => {
    await smallAgentAt(home, "policy.gate", "enabled", {}, misbehaving("ends-on-word.sh"));
    await home.json(["agents", "run", "policy.gate", "--restart", "always"]);
    writeFileSync(join(home.folder, "agents/policy.gate/src/planted.js"), "");
    say("policy.gate", "code 1");
    await eventually(
      () => auditRows(home, "agent.manifest_drift_detected").some(({ subject }) => subject === "policy.gate"),
      "the restart to be refused",
    );
    expect(await runsOf("policy.gate")).toHaveLength(1);
    expect(home.coreLog()).toContain("a restart of policy.gate was refused: enablement.drifted");
  });
});

describe("a pending restart", () => {
  async function crashed(agentId: string): Promise<void> {
    await smallAgentAt(home, agentId, "enabled", {}, misbehaving("ends-on-word.sh"));
    await home.json(["agents", "run", agentId, "--restart", "always"]);
    say(agentId, "code 1");
    await eventually(async () => (await info(agentId)).run.status === "crashed", `${agentId} to crash`);
  }

  /** Longer than any first delay: another agent that crashed later has been started again twice. */
  async function outlastDelay(agentId: string): Promise<void> {
    await crashed(agentId);
    await restarted(agentId, 1);
    say(agentId, "code 1");
    await restarted(agentId, 2);
    await home.json(["agents", "stop", agentId]);
  }

  test("is cancelled by a stop", async () => {
    await crashed("pending.stop");
    expect(await home.json(["agents", "stop", "pending.stop"])).toMatchObject({ status: "crashed", exit_code: 1 });
    await outlastDelay("pending.other");
    expect(await runsOf("pending.stop")).toHaveLength(1);
  });

  test("is cancelled by a revocation", async () => {
    await crashed("pending.revoke");
    await home.json(["agents", "revoke", "pending.revoke"]);
    await outlastDelay("pending.another");
    expect(await runsOf("pending.revoke")).toHaveLength(1);
    expect(home.coreLog()).not.toContain("a restart of pending.revoke was refused");
  });

  test("does not come on top of a run that was asked for meanwhile", async () => {
    await crashed("pending.run");
    const run = await home.json<RunJson>(["agents", "run", "pending.run"]);
    await outlastDelay("pending.third");
    expect((await runsOf("pending.run")).map(({ run_id: id, status }) => [id, status]).at(-1)).toEqual([
      run.run_id,
      "running",
    ]);
    expect(await runsOf("pending.run")).toHaveLength(2);
    await home.json(["agents", "stop", "pending.run"]);
  });

  test("is forgotten when Core stops", async () => {
    await crashed("pending.core");
    expect((await home.cli(["core", "stop"])).code).toBe(0);
    expect(home.processes()).toEqual([]);
    await outlastDelay("pending.fourth");
    expect(await runsOf("pending.core")).toHaveLength(1);
  });
});
