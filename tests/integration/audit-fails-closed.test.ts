/** When an event cannot be written: the act fails, its effect is not there, and all is well again once it can be. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { type CoreHome, eventually, newHome } from "../support/core-home.ts";
import { program } from "../support/run-trees.ts";
import { manifestText, MANIFEST, smallAgentAt } from "../support/small-agent.ts";

let home: CoreHome;
beforeAll(async () => {
  home = await newHome();
});
afterAll(() => home.dispose());

/** While `act` goes on, the database takes no event of that type and outcome: as on a full disk, but at one place only. */
async function withoutEvent<T>(type: string, outcome: string, act: () => Promise<T>): Promise<T> {
  const database = new DatabaseSync(join(home.folder, "state/core.sqlite3"), { timeout: 5_000 });
  try {
    database.exec(`CREATE TRIGGER disk_full BEFORE INSERT ON audit_events WHEN new.event_type = '${type}' AND new.outcome = '${outcome}'
      BEGIN SELECT RAISE(ABORT, 'disk full'); END`);
    return await act();
  } finally {
    database.exec("DROP TRIGGER disk_full");
    database.close();
  }
}

async function expectUnavailable(args: string[]): Promise<void> {
  const { code, error } = await home.fails(args);
  expect([args[1], code, error.code, error.next_step]).toEqual([
    args[1],
    1,
    "audit.unavailable",
    "opensentience audit verify",
  ]);
}
const info = (agentId: string) =>
  home.json<{
    status: string;
    version: string;
    build_status: string;
    approval: { status: string } | null;
    run: { status: string } | null;
  }>(["agents", "info", agentId]);

describe("a run", () => {
  const LEAVES_A_TRACE = program('#!/bin/sh\ntouch "$HOME/ran"\nexec sleep 1000\n');
  const trace = (agentId: string): boolean => existsSync(join(home.folder, "agents", agentId, "data/ran"));

  test.each([
    ["its intent", "closed.intent", "unknown"],
    ["its start", "closed.start", "ok"],
  ])("refuses a run when the audit log cannot be written: %s", async (_what, agentId, outcome) => {
    await smallAgentAt(home, agentId, "enabled", {}, LEAVES_A_TRACE);
    await withoutEvent("agent.run_started", outcome, () => expectUnavailable(["agents", "run", agentId]));
    // Not one instruction of the agent has run.
    expect(trace(agentId)).toBe(false);
    expect(home.processes().map(({ pid }) => pid)).toEqual([await home.corePid()]);
    expect(await home.json(["agents", "ps"])).toEqual({ items: [], next: null });
    expect((await info(agentId)).status).toBe(outcome === "ok" ? "error" : "enabled");
    expect(await home.json(["agents", "run", agentId])).toMatchObject({ status: "running" });
    await eventually(() => trace(agentId), "the agent to run");
    await home.json(["agents", "stop", agentId]);
  });

  test("whose end cannot be recorded is shown as ended as soon as it can be", async () => {
    await smallAgentAt(home, "closed.end", "running");
    const { stopping } = await withoutEvent("agent.run_stopped", "ok", async () => {
      const asked = home.json(["agents", "stop", "closed.end"]);
      await eventually(() => home.coreLog().includes("could not be recorded yet"), "Core to try in vain");
      // Not called stopped before that is on record, although nothing of it is alive.
      expect(await home.json(["agents", "ps"])).toMatchObject({ items: [{ status: "stopping" }] });
      expect(home.processes().filter(({ command }) => command.includes("sleep"))).toEqual([]);
      return { stopping: asked };
    });
    expect(await stopping).toMatchObject({ status: "stopped", reason: "stopped" });
    expect(
      auditRows(home, "agent.run_stopped")
        .filter(({ metadata }) => metadata["agent_id"] === "closed.end")
        .map(({ metadata }) => metadata["phase"]),
    ).toEqual(["requested", "ended"]);
  });
});

describe("an install", () => {
  test.each([
    ["unknown", "its intent"],
    ["ok", "its outcome"],
  ])("leaves the old tree when %s cannot be recorded (%s)", async (outcome) => {
    const agentId = `closed.install-${outcome}`;
    const repository = await smallAgentAt(home, agentId, "enabled");
    await repository.commit({ [MANIFEST]: manifestText(agentId, { version: "2.0.0" }) });
    await withoutEvent("agent.installed", outcome, () =>
      expectUnavailable(["agents", "install", agentId, "--allow-local"]),
    );
    expect(await info(agentId)).toMatchObject({ version: "1.0.0", status: "enabled", build_status: "built" });
    const onDisk = JSON.parse(readFileSync(join(home.folder, "agents", agentId, "src", MANIFEST), "utf8")) as {
      version: string;
    };
    expect(onDisk.version).toBe("1.0.0");
    await home.json(["agents", "run", agentId]);
    await home.json(["agents", "stop", agentId]);
    await home.json(["agents", "install", agentId, "--allow-local"]);
    expect(await info(agentId)).toMatchObject({ version: "2.0.0", build_status: "not_built" });
  });
});

describe("a build", () => {
  const BUILD = { build: { steps: [{ phase: "compile", argv: ["touch", "built-here"] }] } };

  test("does not begin when its start cannot be recorded", async () => {
    await smallAgentAt(home, "closed.build", "installed", BUILD);
    await withoutEvent("agent.build_started", "unknown", () =>
      expectUnavailable(["agents", "build", "closed.build", "--yes"]),
    );
    expect(existsSync(join(home.folder, "agents/closed.build/src/built-here"))).toBe(false);
    expect((await info("closed.build")).build_status).toBe("not_built");
  });

  test("does not count when its outcome cannot be recorded", async () => {
    await smallAgentAt(home, "closed.built", "installed", BUILD);
    await withoutEvent("agent.built", "ok", async () => {
      const { code, error } = await home.fails(["agents", "build", "closed.built", "--yes"]);
      expect([code, error.code]).toEqual([1, "audit.outcome_unrecorded"]);
      expect(error.message).toContain("it does not count: the agent is not built");
    });
    expect((await info("closed.built")).build_status).toBe("failed");
    await home.json(["agents", "build", "closed.built", "--yes"]);
    expect((await info("closed.built")).build_status).toBe("built");
  });
});

describe("an approval", () => {
  test("is not given, superseded or withdrawn without its record", async () => {
    await smallAgentAt(home, "closed.approval", "built");
    for (const [type, outcome] of [
      ["agent.enable_requested", "unknown"],
      ["agent.enabled", "ok"],
    ] as const)
      await withoutEvent(type, outcome, () => expectUnavailable(["agents", "enable", "closed.approval", "--all"]));
    expect((await info("closed.approval")).approval).toBeNull();
    await home.json(["agents", "enable", "closed.approval", "--all"]);
    await withoutEvent("agent.permissions_revoked", "ok", () =>
      expectUnavailable(["agents", "revoke", "closed.approval"]),
    );
    expect((await info("closed.approval")).approval?.status).toBe("active");
  });
});

test("a refusal stands when it cannot be recorded", async () => {
  await smallAgentAt(home, "closed.denied", "built");
  await withoutEvent("security.denied", "denied", async () => {
    const { code, error } = await home.fails(["agents", "run", "closed.denied"]);
    expect([code, error.code]).toEqual([4, "enablement.not_enabled"]);
  });
  expect(home.coreLog()).toContain("a refusal could not be recorded");
});

test("afterwards the log is whole", async () => {
  expect(await home.json(["audit", "verify"])).toMatchObject({ status: "intact" });
});
