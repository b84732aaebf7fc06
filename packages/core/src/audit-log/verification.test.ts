import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Storage } from "../storage/storage.ts";
import { AuditLog, Checkpoints, Redactor, SYSTEM_ACT } from "./audit-log.ts";
import { digestMetadata, GENESIS, hashRow, type AuditRow } from "./chain.ts";
import { rowsAfter } from "./store.ts";

let folder = "";
let storage: Storage;
let audit: AuditLog;

async function open(): Promise<AuditLog> {
  return new AuditLog({
    storage,
    redactor: new Redactor(),
    checkpoints: await Checkpoints.open(join(folder, "key"), join(folder, "checkpoints")),
    observer: "core_test",
    checkpointEvents: 1_000,
    checkpointIntervalMs: 3_600_000,
    onCheckpointError: (error) => {
      throw error;
    },
  });
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "os-verify-"));
  storage = Storage.open(":memory:");
  audit = await open();
  for (let seq = 1; seq <= 10; seq += 1) {
    audit.record({
      type: "core.started",
      act: SYSTEM_ACT,
      subject: { type: "core", id: `c${seq}` },
      metadata: { version: `v${seq}` },
    });
    if (seq === 3 || seq === 7) await audit.checkpoint();
  }
});
afterEach(async () => {
  await audit.close();
  storage.close();
  rmSync(folder, { recursive: true, force: true });
});

/** What a program with the file open could do: the triggers fall first. */
function tamper(...statements: string[]): void {
  for (const trigger of ["audit_dense", "audit_no_delete", "audit_no_update"])
    storage.prepare(`DROP TRIGGER IF EXISTS ${trigger}`).run();
  for (const sql of statements) storage.prepare(sql).run();
}

/** Writes all rows from `fromSeq` again so that every hash fits. */
function rewriteFrom(fromSeq: number, change: (row: AuditRow) => AuditRow): void {
  let previous = fromSeq === 1 ? GENESIS : (rowsAfter(storage, fromSeq - 2, 1)[0]?.row_hash ?? "");
  for (const old of rowsAfter(storage, fromSeq - 1, 1_000)) {
    const row = change({ ...old, prev_hash: previous });
    row.meta_digest = digestMetadata(row.meta_salt ?? "", row.metadata_json ?? "");
    row.row_hash = hashRow(row);
    storage
      .prepare("UPDATE audit_events SET metadata_json = ?, meta_digest = ?, prev_hash = ?, row_hash = ? WHERE seq = ?")
      .run(row.metadata_json, row.meta_digest, row.prev_hash, row.row_hash, row.seq);
    previous = row.row_hash;
  }
}
const forged = (row: AuditRow): AuditRow => (row.seq === 5 ? { ...row, metadata_json: '{"version":"forged"}' } : row);

describe("verification", () => {
  test("of an untouched log says that every hash fits, and shows the newest checkpoint", async () => {
    expect(await audit.verify()).toMatchObject({
      status: "intact",
      events: 10,
      first_bad_seq: null,
      checkpoint: { size: 7, valid: true },
    });
  });

  test("of an empty log is intact", async () => {
    const empty = new AuditLog({
      storage: Storage.open(":memory:"),
      redactor: new Redactor(),
      checkpoints: await Checkpoints.open(join(folder, "k2"), join(folder, "c2")),
      observer: "x",
      checkpointEvents: 1,
      checkpointIntervalMs: 1,
      onCheckpointError: () => {},
    });
    expect(await empty.verify()).toMatchObject({ status: "intact", events: 0, checkpoint: null });
  });

  test.each([
    ["a field", "UPDATE audit_events SET outcome = 'failed' WHERE seq = 5", 5],
    ["the time", "UPDATE audit_events SET at = '2020-01-01T00:00:00.000Z' WHERE seq = 1", 1],
    ["the metadata", "UPDATE audit_events SET metadata_json = '{}' WHERE seq = 5", 5],
    ["the salt", "UPDATE audit_events SET meta_salt = '00' WHERE seq = 5", 5],
    [
      "metadata removed without a tombstone",
      "UPDATE audit_events SET metadata_json = NULL, meta_salt = NULL WHERE seq = 5",
      5,
    ],
    ["a hash", "UPDATE audit_events SET row_hash = prev_hash WHERE seq = 5", 5],
    ["a link", "UPDATE audit_events SET prev_hash = row_hash WHERE seq = 5", 5],
    ["a row deleted in the middle", "DELETE FROM audit_events WHERE seq = 5", 5],
    ["the first row deleted", "DELETE FROM audit_events WHERE seq = 1", 1],
    ["a row moved", "UPDATE audit_events SET seq = 50 WHERE seq = 5", 5],
  ])("finds %s changed, at its position", async (_what, sql, at) => {
    tamper(sql);
    expect(await audit.verify()).toMatchObject({ status: "tampered", first_bad_seq: at });
  });

  test("finds two rows swapped at the first of them", async () => {
    tamper(
      "UPDATE audit_events SET seq = 99 WHERE seq = 4",
      "UPDATE audit_events SET seq = 4 WHERE seq = 6",
      "UPDATE audit_events SET seq = 6 WHERE seq = 99",
    );
    expect(await audit.verify()).toMatchObject({ status: "tampered", first_bad_seq: 4 });
  });

  test("finds a cut tail by the head that is known, at the first row that is gone", async () => {
    tamper("DELETE FROM audit_events WHERE seq > 6");
    expect(await audit.verify()).toMatchObject({ status: "truncated", events: 6, first_bad_seq: 7 });
  });

  test("finds a tail cut while Core was down by the newest checkpoint, and vouches for no row after the one before", async () => {
    tamper("DELETE FROM audit_events WHERE seq > 4");
    audit = await open();
    // What Core appends since stands where other rows stood.
    audit.record({ type: "core.started", act: SYSTEM_ACT, subject: { type: "core", id: "c" } });
    expect(await audit.verify()).toMatchObject({
      status: "truncated",
      events: 5,
      first_bad_seq: 4,
      checkpoint: { size: 7 },
    });
  });

  test("finds everything deleted", async () => {
    tamper("DELETE FROM audit_events");
    expect(await audit.verify()).toMatchObject({ status: "truncated", events: 0, first_bad_seq: 1 });
  });

  test("finds a chain rewritten below a checkpoint, after the last checkpoint that fits", async () => {
    tamper();
    rewriteFrom(5, forged);
    expect(await audit.verify()).toMatchObject({
      status: "tampered",
      first_bad_seq: 4,
      message: expect.stringContaining("checkpoint of 7 events"),
    });
    audit = await open();
    expect(await audit.verify()).toMatchObject({ status: "tampered", first_bad_seq: 4 });
  });

  test("finds a chain rewritten above the newest checkpoint by the head that is known", async () => {
    tamper();
    rewriteFrom(8, (row) => (row.seq === 9 ? { ...row, metadata_json: "{}" } : row));
    expect(await audit.verify()).toMatchObject({
      status: "tampered",
      first_bad_seq: 8,
      message: expect.stringContaining("head that Core knows"),
    });
  });

  test("finds a checkpoint that was changed or is not ours", async () => {
    const path = join(folder, "checkpoints");
    writeFileSync(path, readFileSync(path, "utf8").replace("\n7\n", "\n6\n"));
    expect(await audit.verify()).toMatchObject({
      status: "tampered",
      message: expect.stringContaining("checkpoint is damaged"),
    });
  });

  test("finds rows that somebody added behind Core's back when Core appends next", async () => {
    const last = rowsAfter(storage, 9, 1)[0] as AuditRow;
    const planted = { ...last, seq: 11, event_id: "evt_planted", prev_hash: last.row_hash };
    planted.row_hash = hashRow(planted);
    const columns = Object.keys(planted).join(", ");
    storage
      .prepare(
        `INSERT INTO audit_events (${columns}) VALUES (${Object.keys(planted)
          .map(() => "?")
          .join(",")})`,
      )
      .run(...Object.values(planted));
    expect(() => audit.record({ type: "core.started", act: SYSTEM_ACT, subject: { type: "core", id: "c" } })).toThrow(
      expect.objectContaining({ code: "audit.unavailable" }),
    );
  });

  test("accepts metadata that a tombstone names as erased, and only those", async () => {
    audit.record({
      type: "audit.erased",
      act: SYSTEM_ACT,
      subject: { type: "audit_event", id: "5" },
      metadata: { reason: "a value had leaked" },
    });
    storage.prepare("UPDATE audit_events SET metadata_json = NULL, meta_salt = NULL WHERE seq = 5").run();
    expect(await audit.verify()).toMatchObject({ status: "intact", events: 11 });
    expect(() =>
      storage.prepare("UPDATE audit_events SET metadata_json = NULL, meta_salt = NULL WHERE seq = 6").run(),
    ).toThrow(/append-only/);
  });

  test("of a table that is gone says unreadable and does not fail", async () => {
    storage.prepare("DROP TABLE audit_events").run();
    expect(await audit.verify()).toMatchObject({ status: "unreadable" });
  });
});
