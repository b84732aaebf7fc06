/** The audit log against a program that has the database open: what it refuses, and what it cannot hide from Core. */
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { VerifyJson } from "@opensentience/protocol";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { rewriteFrom, untrigger } from "../support/audit-forgery.ts";
import { type CoreHome, newHome } from "../support/core-home.ts";
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
  const database = new DatabaseSync(path("core.sqlite3"), { timeout: 5_000 });
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
const count = (): number =>
  elsewhere((database) => Number(database.prepare("SELECT MAX(seq) AS n FROM audit_events").get()?.["n"]));
const verify = (): Promise<VerifyJson> => home.json<VerifyJson>(["audit", "verify"], { codes: [1] });

beforeEach(async () => {
  await home.cli(["core", "stop"]);
  for (const name of ["core.sqlite3-wal", "core.sqlite3-shm"]) rmSync(path(name), { force: true });
  for (const name of STATE) copyFileSync(path(`${name}.good`), path(name));
});

const SWAPPED =
  "UPDATE audit_events SET seq = -1 WHERE seq = 6; UPDATE audit_events SET seq = 6 WHERE seq = 8; UPDATE audit_events SET seq = 8 WHERE seq = -1";

describe.each([
  [
    "while Core runs",
    async (change: () => void): Promise<void> => {
      await home.json(["core", "start"]);
      change();
    },
  ],
  [
    "while Core is stopped",
    async (change: () => void): Promise<void> => {
      change();
      await home.json(["core", "start"]);
    },
  ],
])("%s, verify finds", (_when, around) => {
  test.each([
    ["a changed field", "UPDATE audit_events SET actor_id = 'somebody else' WHERE seq = 6", 6],
    ["a changed outcome", "UPDATE audit_events SET outcome = 'ok' WHERE outcome = 'unknown'", undefined],
    [
      "changed metadata",
      `UPDATE audit_events SET metadata_json = json_set(metadata_json, '$.git_url', 'https://example.com/other.git') WHERE seq = 2`,
      2,
    ],
    ["erased metadata", "UPDATE audit_events SET metadata_json = NULL, meta_salt = NULL WHERE seq = 6", 6],
    ["a row deleted in the middle", "DELETE FROM audit_events WHERE seq = 6", 6],
    ["two rows swapped", SWAPPED, 6],
  ])("%s, with its position", async (_what, sql, seq) => {
    const first =
      seq ??
      elsewhere((database) =>
        Number(database.prepare("SELECT MIN(seq) AS n FROM audit_events WHERE outcome = 'unknown'").get()?.["n"]),
      );
    await around(() => tamper(sql));
    expect(await verify()).toMatchObject({ status: "tampered", first_bad_seq: first });
    const shown = await home.cli(["audit", "verify"]);
    expect(shown.code).toBe(1);
    expect(shown.stdout).toMatch(new RegExp(`^tampered: .*\\n\\s*first bad event\\s+${first}\\b`, "m"));
  });

  test("a chain rewritten from a row on, every hash made to fit", async () => {
    await around(() =>
      elsewhere((database) => {
        untrigger(database);
        rewriteFrom(database, 4, "failed");
      }),
    );
    const verdict = await verify();
    expect(verdict).toMatchObject({ status: "tampered", message: expect.stringContaining("rewritten") });
    // From the last checkpoint that still fits: not after the row, and never a row that was not touched by then.
    expect(verdict.first_bad_seq).toBeLessThanOrEqual(4);
  });

  test("a checkpoint that was changed", async () => {
    const text = readFileSync(path("audit.checkpoints"), "utf8");
    await around(() => writeFileSync(path("audit.checkpoints"), text.replace(/at 2/, "at 1")));
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

  test("while Core is stopped is found by the checkpoints, and Core's own new rows do not heal it", async () => {
    tamper("DELETE FROM audit_events WHERE seq > 2");
    const positions: (number | null)[] = [];
    for (let start = 0; start < 4; start += 1) {
      await home.json(["core", "start"]);
      const verdict = await verify();
      expect(["truncated", "tampered"]).toContain(verdict.status);
      positions.push(verdict.first_bad_seq);
      await home.cli(["core", "stop"]);
    }
    // No row that stands where another one stood is ever called good.
    for (const position of positions) expect(position).toBeLessThanOrEqual(3);
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
