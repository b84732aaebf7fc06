/**
 * Acts on agents whose outcome the audit log does not take: each is told as what it was, its agent is left in no state between,
 * and the outcome is recorded once, as soon as it can be or, where Core ended before, at the next start.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type AuditRow, auditRows } from "../support/audit-rows.ts";
import { type CliError, type CoreHome, eventually, newHome } from "../support/core-home.ts";
import { smallDisk } from "../support/full-disk.ts";
import { manifestText, MANIFEST, smallAgentAt } from "../support/small-agent.ts";

const MEBI = 1024 * 1024;
const KIBI = 1024;
/** Of acts that begin with an intent. */
const ENDS = ["agent.built", "agent.build_failed", "agent.installed", "agent.install_failed", "agent.removed"];

let home: CoreHome;
beforeAll(async () => {
  home = await newHome();
});
afterAll(() => home.dispose());

/** While `act` goes on, the database takes intents and no outcome: as on a full disk, but always at the same place. */
async function withoutOutcomes<T>(act: () => Promise<T>): Promise<T> {
  const database = new DatabaseSync(join(home.folder, "state/core.sqlite3"), { timeout: 5_000 });
  try {
    database.exec(`CREATE TRIGGER disk_full BEFORE INSERT ON audit_events 
      WHEN new.outcome <> 'unknown' AND new.event_type <> 'agent.build_plan_shown' BEGIN SELECT RAISE(ABORT, 'disk full'); END`);
    return await act();
  } finally {
    database.exec("DROP TRIGGER disk_full");
    database.close();
  }
}

const about = (of: CoreHome, agentId: string): AuditRow[] => auditRows(of).filter(({ subject }) => subject === agentId);

/** Type and outcome of what is on record about the agent, after `before` rows. */
const recorded = (agentId: string, before: number): string[] =>
  about(home, agentId)
    .slice(before)
    .map(({ type, outcome }) => `${type} ${outcome}`);

async function failing(args: string[]): Promise<CliError> {
  return (await withoutOutcomes(() => home.fails(args))).error;
}

async function expectRecorded(agentId: string, before: number, rows: string[]): Promise<void> {
  await eventually(
    () => recorded(agentId, before).length >= rows.length,
    () => `the outcome: ${recorded(agentId, before).join(", ")}\n${home.coreLog()}`,
  );
  expect(recorded(agentId, before)).toEqual(rows);
}

const info = (agentId: string) =>
  home.json<{ status: string; version: string; build_status: string; approval: { status: string } | null }>([
    "agents",
    "info",
    agentId,
  ]);

test("a build", async () => {
  const id = "owed.build";
  await smallAgentAt(home, id, "installed", { build: { steps: [{ phase: "compile", argv: ["touch", "made"] }] } });
  const before = about(home, id).length;
  await withoutOutcomes(async () => {
    const { error } = await home.fails(["agents", "build", id, "--yes"]);
    expect(error.code).toBe("audit.outcome_unrecorded");
    expect(error.message).toContain("the agent is not built; this is not on record yet");
    // Until it is, nobody else gets the agent.
    expect((await home.fails(["agents", "build", id, "--yes"])).error.code).toBe("install.busy");
  });
  await eventually(async () => (await info(id)).build_status === "failed", "the build to be called failed");
  const rows = recorded(id, before).filter((row) => row.startsWith("agent.build_") && !row.includes("plan"));
  expect(rows).toEqual(["agent.build_started unknown", "agent.build_failed failed"]);
  await eventually(async () => (await home.cli(["agents", "build", id, "--yes"])).code === 0, "the next build");
  expect((await info(id)).build_status).toBe("built");
});

test("a first install, which leaves no folder", async () => {
  const id = "owed.install";
  const repository = await smallAgentAt(home, "owed.other", "installed");
  await repository.commit({ [MANIFEST]: manifestText(id) });
  const error = await failing(["agents", "install", repository.url, "--allow-local"]);
  expect(error).toMatchObject({ code: "audit.unavailable", next_step: "opensentience audit verify" });
  expect(error.message).toContain("the agent is as it was before; this is not on record yet");
  expect(existsSync(join(home.folder, "agents", id))).toBe(false);
  await expectRecorded(id, 0, ["agent.installed unknown", "agent.install_failed failed"]);
  await eventually(
    async () => (await home.cli(["agents", "install", repository.url, "--allow-local"])).code === 0,
    "the next install",
  );
});

test("an update and a rollback, which leave the tree from before", async () => {
  const id = "owed.update";
  const repository = await smallAgentAt(home, id, "enabled");
  await repository.commit({ [MANIFEST]: manifestText(id, { version: "2.0.0" }) });
  let before = about(home, id).length;
  const update = ["agents", "update", id, "--allow-local"];
  expect((await failing(update)).code).toBe("audit.unavailable");
  await expectRecorded(id, before, [
    "agent.installed unknown",
    "agent.installed unknown",
    "agent.install_failed failed",
  ]);
  expect(await info(id)).toMatchObject({ version: "1.0.0", status: "enabled", build_status: "built" });
  await eventually(async () => (await home.cli(update)).code === 0, "the update");
  before = about(home, id).length;
  const error = await failing(["agents", "rollback", id]);
  expect(error.message).toContain("the agent is as it was before; this is not on record yet");
  await expectRecorded(id, before, ["agent.installed unknown", "agent.install_failed failed"]);
  expect(await info(id)).toMatchObject({ version: "2.0.0" });
});

test("a removal, which ends the approval too", async () => {
  const id = "owed.remove";
  await smallAgentAt(home, id, "enabled");
  const before = about(home, id).length;
  const error = await failing(["agents", "remove", id, "--yes"]);
  expect(error).toMatchObject({ code: "audit.outcome_unrecorded" });
  expect(error.message).toContain(`the files of ${id} are removed, which is not on record yet`);
  expect(existsSync(join(home.folder, "agents", id))).toBe(false);
  await expectRecorded(id, before, ["agent.removed unknown", "agent.removed ok", "agent.permissions_revoked ok"]);
  expect(await info(id)).toMatchObject({ approval: { status: "revoked" } });
});

test("an approval", async () => {
  const id = "owed.enable";
  await smallAgentAt(home, id, "built");
  const before = about(home, id).length;
  expect((await failing(["agents", "enable", id, "--all"])).code).toBe("audit.unavailable");
  await expectRecorded(id, before, ["agent.enable_requested unknown", "security.denied failed"]);
});

test("the token of the page", async () => {
  const before = auditRows(home, "web.token_rotated").length;
  const error = await failing(["core", "rotate-token"]);
  expect(error).toMatchObject({ code: "audit.outcome_unrecorded" });
  const rows = (): string[] =>
    auditRows(home, "web.token_rotated")
      .slice(before)
      .map(({ outcome }) => outcome);
  await eventually(() => rows().length > 1, "the outcome");
  expect(rows()).toEqual(["unknown", "ok"]);
});

test("what Core is stopped before is closed by its next start, once", async () => {
  const id = "owed.stopped";
  await smallAgentAt(home, id, "installed");
  const before = about(home, id).length;
  await withoutOutcomes(async () => {
    const { error } = await home.fails(["agents", "build", id, "--yes"]);
    expect(error.code).toBe("audit.outcome_unrecorded");
    expect((await home.cli(["core", "stop"], { timeoutMs: 20_000 })).code).toBe(0);
  });
  await home.json(["core", "start"]);
  const rows = recorded(id, before).filter((row) => !row.includes("plan"));
  expect(rows).toEqual(["agent.build_started unknown", "agent.build_failed failed"]);
  expect((await info(id)).build_status).toBe("failed");
  expect(home.coreLog()).not.toContain("core.internal");
  expect(await home.json(["audit", "verify"])).toMatchObject({ status: "intact" });
});

test("a stop of Core does not wait for the end of a run that cannot be recorded", async () => {
  const id = "owed.run";
  await smallAgentAt(home, id, "running");
  await withoutOutcomes(async () => {
    const asked = home.cli(["agents", "stop", id]);
    await eventually(() => home.coreLog().includes("the end of run_"), "Core to try in vain");
    expect((await home.cli(["core", "stop"], { timeoutMs: 20_000 })).code).toBe(0);
    await asked;
  });
  await home.json(["core", "start"]);
  const ends = auditRows(home).filter(({ metadata }) => metadata["agent_id"] === id && metadata["phase"] === "ended");
  expect(ends.map(({ type, metadata }) => [type, metadata["reason"]])).toEqual([["agent.run_crashed", "core_lost"]]);
  expect(await home.json(["agents", "ps"])).toMatchObject({ items: [] });
});

/** Intents of acts on agents without exactly one outcome. */
function open(of: CoreHome): string[] {
  const database = new DatabaseSync(join(of.folder, "state/core.sqlite3"), { readOnly: true });
  try {
    return database
      .prepare(
        `SELECT intent.event_type || ' of ' || intent.subject_id || ': ' || count(ends.seq) AS what FROM audit_events AS intent
          LEFT JOIN audit_events AS ends ON ends.causation_id = intent.event_id AND ends.subject_type = 'agent'
            AND ends.event_type IN (${ENDS.map((type) => `'${type}'`).join(",")})
          WHERE intent.subject_type = 'agent' AND intent.outcome = 'unknown' AND intent.event_type <> 'agent.enable_requested'
          GROUP BY intent.seq HAVING count(ends.seq) <> 1`,
      )
      .all()
      .map((row) => String(row["what"]));
  } finally {
    database.close();
  }
}

test("whatever a disk has room for: nothing stays open, half done or untold", async () => {
  if (process.geteuid?.() !== 0) return;
  const full = await newHome();
  const disk = await smallDisk(full.folder, 12 * MEBI, () => full.corePid());
  try {
    const steps = [{ phase: "compile", argv: ["dd", "if=/dev/zero", "of=made", "bs=1024", "count=24"] }];
    await smallAgentAt(full, "room.built", "installed", { build: { steps } });
    const repository = await smallAgentAt(full, "room.other", "installed");
    for (const [round, leave] of [8, 32, 56, 88].entries()) {
      const id = `room.fresh${round}`;
      await repository.commit({ [MANIFEST]: manifestText(id) });
      const texts: string[] = [];
      for (const args of [
        ["install", repository.url, "--allow-local"],
        ["build", "room.built", "--yes"],
        ["remove", id, "--yes"],
      ]) {
        if (args[0] === "remove") await full.cli(["agents", "install", repository.url, "--allow-local"]);
        await disk.fill(leave * KIBI);
        texts.push((await full.cli(["agents", ...args, "--json"])).stderr);
        await disk.free();
        await eventually(
          () => open(full).length === 0,
          () => `with ${leave} KiB after ${args.join(" ")}: ${open(full).join(", ")}\n${full.coreLog()}`,
        );
      }
      expect(texts.join("")).not.toContain("core.internal");
      const listed = await full.json<{ items: { agent_id: string; status: string; build_status: string }[] }>([
        "agents",
        "list",
      ]);
      for (const one of listed.items) expect(one.build_status, one.agent_id).not.toBe("building");
      for (const name of readdirSync(join(full.folder, "agents")).filter((one) => one !== ".staging"))
        expect(readdirSync(join(full.folder, "agents", name)), `${name} with ${leave} KiB`).not.toEqual([]);
      await full.cli(["agents", "remove", id, "--yes"]);
    }
    expect(JSON.stringify(auditRows(full))).not.toContain("core.internal");
    expect(await full.json(["audit", "verify"])).toMatchObject({ status: "intact" });
    expect((await full.cli(["agents", "build", "room.built", "--yes"])).code).toBe(0);
  } finally {
    await full.cli(["core", "stop"]);
    await disk.remove();
    await full.dispose();
  }
}, 120_000);
