/** The audit log against a program that has the database open: what it refuses, and what it cannot hide from Core. */
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { VerifyJson } from "@opensentience/protocol";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { exchangeIndex, rewriteFrom, untrigger } from "../support/audit-forgery.ts";
import { runTool } from "../../packages/core/src/host/child-process.ts";
import { BINARY, type CoreHome, newHome } from "../support/core-home.ts";
import { smallAgentAt } from "../support/small-agent.ts";

const STATE = ["core.sqlite3", "audit.checkpoints"];
const AGENT = "audit.agent";

let home: CoreHome;
beforeAll(async () => {
  home = await newHome();
  await smallAgentAt(home, AGENT, "running");
  await home.json(["agents", "stop", AGENT]);
  await home.json(["audit", "checkpoint"]);
  for (const args of [
    ["build", AGENT, "--plan"],
    ["enable", AGENT, "--all"],
    ["run", AGENT],
    ["stop", AGENT],
  ])
    await home.json(["agents", ...args]);
  await stopCore();
  for (const name of STATE) copyFileSync(path(name), path(`${name}.good`));
});
afterAll(() => home.dispose());

const path = (name: string): string => join(home.folder, "state", name);

async function stopCore(): Promise<void> {
  await home.cli(["core", "stop"]);
  for (const name of ["core.sqlite3-wal", "core.sqlite3-shm"]) expect(existsSync(path(name)), name).toBe(false);
}

/** Another program with the file open, whether Core runs or not. */
function elsewhere<T>(act: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(path("core.sqlite3"), { timeout: 5_000, defensive: false });
  try {
    return act(database);
  } finally {
    database.close();
  }
}
const tamper = (...statements: string[]): void =>
  elsewhere((database) => {
    untrigger(database);
    for (const sql of statements) database.exec(sql);
  });
const count = (): number => countIn(path("core.sqlite3"));
function countIn(file: string): number {
  const database = new DatabaseSync(file);
  try {
    return Number(database.prepare("SELECT MAX(seq) AS n FROM audit_events").get()?.["n"]);
  } finally {
    database.close();
  }
}
const verify = (): Promise<VerifyJson> => home.json<VerifyJson>(["audit", "verify"], { codes: [1] });

beforeEach(async () => {
  await home.cli(["core", "stop"]);
  for (const name of ["core.sqlite3-wal", "core.sqlite3-shm"]) rmSync(path(name), { force: true });
  for (const name of STATE) copyFileSync(path(`${name}.good`), path(name));
});

const SWAPPED =
  "UPDATE audit_events SET seq = -1 WHERE seq = 6; UPDATE audit_events SET seq = 6 WHERE seq = 8; UPDATE audit_events SET seq = 8 WHERE seq = -1";

const copied = (seq: number): string =>
  `INSERT INTO audit_events SELECT ${seq}, 'evt_x', at, event_type, severity, outcome, observer, actor_type, actor_id, subject_type, subject_id, correlation_id, causation_id, metadata_json, meta_salt, meta_digest, prev_hash, row_hash FROM audit_events WHERE seq = 6`;

const CHANGES: [string, string, number][] = [
  ["a row in front of the first one", copied(0), 0],
  ["a changed field", "UPDATE audit_events SET actor_id = 'somebody else' WHERE seq = 6", 6],
  ["a changed outcome", "UPDATE audit_events SET outcome = iif(outcome = 'ok', 'failed', 'ok') WHERE seq >= 9", 9],
  [
    "changed metadata",
    "UPDATE audit_events SET metadata_json = json_set(metadata_json, '$.ref', 'other') WHERE seq = 2",
    2,
  ],
  ["erased metadata", "UPDATE audit_events SET metadata_json = NULL, meta_salt = NULL WHERE seq = 6", 6],
  ["a row deleted in the middle", "DELETE FROM audit_events WHERE seq = 6", 6],
  ["two rows swapped", SWAPPED, 6],
];

describe("verify finds, with its position,", () => {
  test.each(CHANGES)("%s, made while Core runs", async (_what, sql, seq) => {
    await home.json(["core", "start"]);
    tamper(sql);
    expect(await verify()).toMatchObject({ status: "tampered", first_bad_seq: seq });
  });

  test.each(CHANGES.slice(-2))("%s, made while Core is stopped", async (_what, sql, seq) => {
    tamper(sql);
    const { code, stdout } = await home.cli(["audit", "verify"]);
    expect(code).toBe(1);
    expect(stdout).toMatch(new RegExp(`^tampered: .*\\n\\s*first bad event\\s+${seq}\\b`, "m"));
  });

  test.each([["runs"], ["is stopped"]])("a chain rewritten while Core %s, every hash made to fit", async (when) => {
    if (when === "runs") await home.json(["core", "start"]);
    elsewhere((database) => {
      untrigger(database);
      rewriteFrom(database, 4, "failed");
    });
    const verdict = await verify();
    expect(verdict).toMatchObject({ status: "tampered", message: expect.stringContaining("rewritten") });
    // The first row after the last checkpoint that still fits, so never a row behind the forged one.
    expect(verdict.first_bad_seq).toBeLessThanOrEqual(4);
  });

  test.each([["runs"], ["is stopped"]])(
    "an index that hides an agent's events from lists, put there while Core %s",
    async (when) => {
      const list = ["audit", "list", "--agent", AGENT];
      if (when === "runs") await home.json(["core", "start"]);
      const { items } = await home.json<{ items: { seq: number }[] }>(list);
      const hidden = items.at(-1)?.seq ?? 0;
      if (when === "is stopped") await home.cli(["core", "stop"]);
      elsewhere((database) => {
        database.exec(`CREATE INDEX planted ON audit_events (subject_type, subject_id, seq) WHERE seq < ${hidden}`);
        exchangeIndex(database, "audit_by_subject", "planted");
      });
      expect((await home.json<{ items: unknown[] }>(list)).items.length).toBeLessThan(items.length);
      expect(await verify()).toMatchObject({
        status: "tampered",
        first_bad_seq: hidden,
        message: `the index audit_by_subject hides event ${hidden} from lists`,
      });
    },
  );

  test("a trigger that swallows events before they are written", async () => {
    elsewhere((database) =>
      database.exec(
        "CREATE TRIGGER mine BEFORE INSERT ON audit_events WHEN new.event_type = 'x' BEGIN SELECT RAISE(IGNORE); END",
      ),
    );
    expect(await verify()).toMatchObject({ status: "tampered", message: expect.stringContaining("trigger mine") });
  });

  test("that the database was made to forget the newest checkpoint", async () => {
    elsewhere((database) => database.exec("DELETE FROM audit_checkpoint"));
    expect(await home.json(["core", "start"])).toMatchObject({ degraded: expect.stringContaining("checkpoints") });
    expect(await verify()).toMatchObject({ status: "tampered", message: expect.stringContaining("lost the newest") });
  });

  test("a checkpoint that was changed", async () => {
    const text = readFileSync(path("audit.checkpoints"), "utf8");
    writeFileSync(path("audit.checkpoints"), text.replace(/at 2/, "at 1"));
    expect(await verify()).toMatchObject({ status: "tampered", message: expect.stringContaining("checkpoint") });
  });
});

describe("a cut tail", () => {
  test("is found by the head that the running Core knows, at the first row that is gone", async () => {
    await home.json(["core", "start"]);
    const last = count();
    tamper(`DELETE FROM audit_events WHERE seq > ${last - 3}`);
    expect(await verify()).toMatchObject({ status: "truncated", events: last - 3, first_bad_seq: last - 2 });
  });

  test("while Core is stopped is found by the checkpoints, at every start anew", async () => {
    tamper("DELETE FROM audit_events WHERE seq > 2");
    for (let start = 0; start < 2; start += 1) {
      await home.json(["core", "start"]);
      const verdict = await verify();
      expect(verdict).toMatchObject({ status: "truncated", events: 2 });
      // No row that stands where another one stood is ever called good.
      expect(verdict.first_bad_seq).toBeLessThanOrEqual(3);
      await home.cli(["core", "stop"]);
      expect(count()).toBe(2);
    }
  });

  test("of everything is found", async () => {
    await home.json(["core", "start"]);
    tamper("DELETE FROM audit_events");
    expect(await verify()).toMatchObject({ status: "truncated", events: 0, first_bad_seq: 1 });
  });

  test("is never appended to: the act is refused and has no effect", async () => {
    await home.json(["core", "start"]);
    // A tail cut without dropping anything is what a crash of the disk could leave, too: the triggers come back.
    elsewhere((database) => {
      const triggers = database
        .prepare("SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'audit_events'")
        .all();
      untrigger(database);
      database.exec(`DELETE FROM audit_events WHERE seq > ${count() - 2}`);
      for (const { sql } of triggers) database.exec(String(sql));
    });
    const rows = count();
    const approvals = (): unknown =>
      elsewhere((database) => database.prepare("SELECT id, status FROM permission_approvals ORDER BY id").all());
    const before = approvals();
    for (const args of [
      ["enable", AGENT, "--all"],
      ["revoke", AGENT],
      ["run", AGENT],
      ["build", AGENT, "--yes"],
      ["install", AGENT, "--allow-local"],
    ]) {
      const { code, error } = await home.fails(["agents", ...args]);
      expect([args[0], code, error.code, error.next_step]).toEqual([
        args[0],
        1,
        "audit.unavailable",
        "opensentience audit verify",
      ]);
    }
    expect(approvals()).toEqual(before);
    expect(count()).toBe(rows);
    expect(await home.json(["agents", "info", AGENT])).toMatchObject({ status: "stopped", build_status: "built" });
    expect((await home.json<{ items: unknown[] }>(["agents", "ps"])).items).toEqual([]);
    expect(home.processes().map(({ pid }) => pid)).toEqual([await home.corePid()]);
    expect(await verify()).toMatchObject({ status: "truncated", first_bad_seq: rows + 1 });
  });
});

describe("a Core that starts refuses to go on", () => {
  const PLANTED =
    "INSERT INTO audit_events SELECT seq + 1, 'evt_planted', at, event_type, severity, outcome, observer, actor_type, actor_id, subject_type, subject_id, correlation_id, causation_id, metadata_json, meta_salt, meta_digest, row_hash, row_hash FROM audit_events ORDER BY seq DESC LIMIT 1";

  test.each([
    ["behind a row that somebody added", PLANTED, "tampered"],
    ["behind a row in front of the first one", copied(-5), "tampered"],
    ["when its signed tail is gone", "DELETE FROM audit_events WHERE seq > 5", "truncated"],
    ["when everything is gone", "DELETE FROM audit_events", "truncated"],
  ])("%s: it says what it found, signs nothing, and the next step is the way out", async (_what, sql, status) => {
    const last = count();
    tamper(sql);
    const found = count();
    const notes = readFileSync(path("audit.checkpoints"), "utf8");
    expect(await home.json(["core", "start"])).toMatchObject({
      degraded: expect.stringMatching(/^audit\.not_intact: /),
    });
    const verdict = await verify();
    expect(verdict.status).toBe(status);
    expect(verdict.first_bad_seq).toBeLessThanOrEqual(last + 1);
    const { checks } = await home.json<{ checks: { name: string; status: string; next_step: string | null }[] }>(
      ["doctor"],
      { codes: [1] },
    );
    expect(checks.find(({ name }) => name === "audit")).toMatchObject({ status: "fail" });
    for (const args of [
      ["agents", "run", AGENT],
      ["agents", "list"],
      ["audit", "checkpoint"],
      ["audit", "list"],
    ]) {
      const { code, error } = await home.fails(args);
      expect([code, error.code, error.details]).toEqual([1, "core.degraded", { code: "audit.not_intact" }]);
    }
    const { error } = await home.fails(["agents", "run", AGENT]);
    expect(error.next_step).toBe(checks.find(({ name }) => name === "database")?.next_step);
    const kept = join(home.folder, "kept");
    cpSync(join(home.folder, "state"), kept, { recursive: true });
    const typed = await runTool(
      ["/bin/sh", "-c", (error.next_step ?? "").replaceAll("opensentience core", `${BINARY} core`)],
      {
        cwd: home.folder,
        env: home.env,
        timeoutMs: 60_000,
        maxBytes: 1024 * 1024,
      },
    );
    expect(typed.stderr.toString()).toBe("");
    expect(await home.json(["audit", "verify"])).toMatchObject({ status: "intact" });
    expect(await home.json(["core", "status"])).toMatchObject({ degraded: null });
    await home.cli(["core", "stop"]);
    const [aside = ""] = readdirSync(home.folder).filter((name) => name.startsWith("state.aside-"));
    expect(readFileSync(join(home.folder, aside, "audit.checkpoints"), "utf8")).toBe(notes);
    expect(countIn(join(home.folder, aside, "core.sqlite3"))).toBe(found);
    // The other tests go on with the state as it was.
    for (const name of [aside, "state"]) rmSync(join(home.folder, name), { recursive: true, force: true });
    renameSync(kept, join(home.folder, "state"));
  });
});

test("a file of checkpoints that was removed is found, and no later checkpoint heals it", async () => {
  rmSync(path("audit.checkpoints"));
  for (let start = 0; start < 2; start += 1) {
    await home.json(["core", "start"]);
    expect(await verify()).toMatchObject({
      status: "tampered",
      message: expect.stringContaining("checkpoint is missing"),
    });
    await home.json(["audit", "checkpoint"]);
    expect(await verify()).toMatchObject({ status: "tampered" });
    await home.cli(["core", "stop"]);
  }
});

test("half a note at the end of the file is cut off, and Core says so", async () => {
  appendFileSync(path("audit.checkpoints"), "opensentience/audit\n99\nhalf");
  await home.json(["core", "start"]);
  await home.json(["audit", "checkpoint"]);
  expect(await home.json(["audit", "verify"])).toMatchObject({ status: "intact" });
  expect(home.coreLog()).toContain("half a checkpoint was cut off");
});

test("the table itself refuses UPDATE, DELETE and REPLACE to another program", async () => {
  await home.json(["core", "start"]);
  const rows = count();
  const others =
    "at, event_type, severity, outcome, observer, actor_type, actor_id, subject_type, subject_id, correlation_id, causation_id, metadata_json, meta_salt, meta_digest, prev_hash, row_hash FROM audit_events WHERE seq = 3";
  for (const sql of [
    "UPDATE audit_events SET outcome = 'ok' WHERE seq = 2",
    "UPDATE audit_events SET metadata_json = NULL, meta_salt = NULL WHERE seq = 2",
    "UPDATE OR REPLACE audit_events SET seq = 2 WHERE seq = 3",
    "DELETE FROM audit_events WHERE seq = 2",
    "DELETE FROM audit_events",
    "INSERT OR REPLACE INTO audit_events SELECT * FROM audit_events WHERE seq = 2",
    `REPLACE INTO audit_events SELECT 2, 'evt_x', ${others}`,
    `INSERT INTO audit_events SELECT 100000, 'evt_y', ${others}`,
  ])
    expect(() => elsewhere((database) => database.exec(sql)), sql).toThrow(/append-only/);
  expect(count()).toBe(rows);
  expect(await home.json(["audit", "verify"])).toMatchObject({ status: "intact" });
});
