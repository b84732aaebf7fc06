import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Storage } from "../storage/storage.ts";
import { auditLogIn, disposeLog, logOfTen } from "../../../../tests/support/audit-log.ts";
import { type AuditLog, SYSTEM_ACT } from "./audit-log.ts";
import { digestMetadata, GENESIS, hashRow, type AuditRow } from "./chain.ts";
import { rowsMatching } from "./store.ts";

let folder = "";
let storage: Storage;
let audit: AuditLog;

const open = (): Promise<AuditLog> => auditLogIn(folder, storage);

beforeEach(async () => {
  ({ folder, storage, audit } = await logOfTen());
});
afterEach(() => disposeLog({ folder, storage, audit }));

test("a row of any characters verifies", async () => {
  const controls = Array.from({ length: 32 }, (_, code) => String.fromCharCode(code)).join("");
  const texts = [
    `${controls}\u007f"\\/'`,
    "\u2028\u2029\u00a0\ufeffä€😀\uffff",
    ',"x"]',
    "\u0000",
    "x".repeat(300_000),
  ];
  for (const id of texts) {
    audit.record({ type: "core.started", act: { ...SYSTEM_ACT, correlationId: id }, subject: { type: "core", id } });
  }
  expect(await audit.verify()).toMatchObject({ status: "intact", events: 10 + texts.length });
});

/** What a program with the file open could do: the triggers fall first. */
function tamper(...statements: string[]): void {
  for (const trigger of ["audit_dense", "audit_no_delete", "audit_no_update"])
    storage.prepare(`DROP TRIGGER IF EXISTS ${trigger}`).run();
  for (const sql of statements) storage.prepare(sql).run();
}

/** Row 5 under another number. */
const COPIED = `INSERT INTO audit_events SELECT NEW, 'evt_x', at, event_type, severity, outcome, observer, actor_type, actor_id,
  subject_type, subject_id, correlation_id, causation_id, metadata_json, meta_salt, meta_digest, prev_hash, row_hash
  FROM audit_events WHERE seq = 5`;

/** Writes all rows from `fromSeq` again so that every hash fits. */
function rewriteFrom(fromSeq: number, change: (row: AuditRow) => AuditRow): void {
  let previous =
    fromSeq === 1
      ? GENESIS
      : (rowsMatching(storage, {}, { order: "oldest", after: fromSeq - 2, limit: 1 })[0]?.row_hash ?? "");
  for (const old of rowsMatching(storage, {}, { order: "oldest", after: fromSeq - 1, limit: 1_000 })) {
    const row = change({ ...old, prev_hash: previous });
    row.meta_digest = digestMetadata(row.meta_salt ?? "", row.metadata_json ?? "");
    row.row_hash = hashRow(row);
    storage
      .prepare("UPDATE audit_events SET metadata_json = ?, meta_digest = ?, prev_hash = ?, row_hash = ? WHERE seq = ?")
      .run(row.metadata_json, row.meta_digest, row.prev_hash, row.row_hash, row.seq);
    previous = row.row_hash;
  }
}

/** A row behind the last one; its own hash fits. */
function plant(change: Partial<AuditRow>): void {
  const last = rowsMatching(storage, {}, { order: "oldest", after: 9, limit: 1 })[0] as AuditRow;
  const planted = { ...last, seq: 11, event_id: "evt_planted", prev_hash: last.row_hash, ...change };
  planted.row_hash = hashRow(planted);
  const columns = Object.keys(planted);
  storage
    .prepare(`INSERT INTO audit_events (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(",")})`)
    .run(...Object.values(planted));
}

function started(id: string): string {
  return audit.record({ type: "core.started", act: SYSTEM_ACT, subject: { type: "core", id } });
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
    storage.close();
    storage = Storage.open(":memory:");
    rmSync(join(folder, "checkpoints"));
    audit = await open();
    expect(await audit.verify()).toMatchObject({ status: "intact", events: 0, checkpoint: null });
  });

  test.each([
    ["a field", "UPDATE audit_events SET outcome = 'failed' WHERE seq = 5", 5],
    ["the time", "UPDATE audit_events SET at = '2020-01-01T00:00:00.000Z' WHERE seq = 1", 1],
    ["the metadata", "UPDATE audit_events SET metadata_json = '{}' WHERE seq = 5", 5],
    ["the salt", "UPDATE audit_events SET meta_salt = '00' WHERE seq = 5", 5],
    ["the salt, by what stands behind it,", "UPDATE audit_events SET meta_salt = meta_salt || 'zz' WHERE seq = 5", 5],
    ["the salt, by half a byte behind it,", "UPDATE audit_events SET meta_salt = meta_salt || '0' WHERE seq = 5", 5],
    ["the salt, in capitals,", "UPDATE audit_events SET meta_salt = upper(meta_salt) WHERE seq = 5", 5],
    ["a hash, in capitals,", "UPDATE audit_events SET row_hash = upper(row_hash) WHERE seq = 5", 5],
    ["a link, in capitals,", "UPDATE audit_events SET prev_hash = upper(prev_hash) WHERE seq = 5", 5],
    [
      "a digest, by what stands behind it,",
      "UPDATE audit_events SET meta_digest = meta_digest || 'zz' WHERE seq = 5",
      5,
    ],
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

  test.each([
    ["0", 0],
    ["-5", -5],
    ["-9223372036854775808", Number.MIN_SAFE_INTEGER],
    ["9223372036854775807", Number.MAX_SAFE_INTEGER],
  ])("finds a row in front of the first one, and one beyond all numbers (%s)", async (seq, at) => {
    tamper(COPIED.replace("NEW", seq));
    const found = { status: "tampered", first_bad_seq: at, message: expect.stringContaining("not written by Core") };
    expect(await audit.verify()).toMatchObject(found);
    audit = await open();
    expect(audit.problem).toContain("was not written by Core");
    expect(() => started("c")).toThrow(expect.objectContaining({ code: "audit.not_intact" }));
    expect(await audit.verify()).toMatchObject(found);
  });

  test("finds a row in front of the first one also where everything else is gone", async () => {
    tamper(COPIED.replace("NEW", "-5"), "DELETE FROM audit_events WHERE seq > 0");
    audit = await open();
    expect(audit.problem).not.toBeNull();
    expect(await audit.verify()).toMatchObject({ status: "tampered", first_bad_seq: -5 });
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
    expect(audit.problem).toContain("first 7 events");
    expect(() => started("c")).toThrow(expect.objectContaining({ code: "audit.not_intact" }));
    expect(await audit.verify()).toMatchObject({
      status: "truncated",
      events: 4,
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

  test("finds rows behind the head that Core knows, which Core cannot append to either", async () => {
    plant({});
    expect(await audit.verify()).toMatchObject({ status: "tampered", first_bad_seq: 11, events: 10 });
    expect(() => started("c")).toThrow(expect.objectContaining({ code: "audit.unavailable" }));
  });

  test("does not call Core's own rows foreign that are written while it runs", async () => {
    const verdict = audit.verify();
    started("c");
    expect(await verdict).toMatchObject({ status: "intact", events: 11 });
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

  test("does not believe a tombstone that is not part of the chain", async () => {
    plant({ event_type: "audit.erased", subject_type: "audit_event", subject_id: "5" });
    storage.prepare("UPDATE audit_events SET metadata_json = NULL, meta_salt = NULL WHERE seq = 5").run();
    expect(await audit.verify()).toMatchObject({ status: "tampered", first_bad_seq: 5 });
  });

  test("does not believe a tombstone that comes before the row it names", async () => {
    audit.record({
      type: "audit.erased",
      act: SYSTEM_ACT,
      subject: { type: "audit_event", id: "12" },
      metadata: { reason: "in advance" },
    });
    started("c");
    tamper("UPDATE audit_events SET metadata_json = NULL, meta_salt = NULL WHERE seq = 12");
    expect(await audit.verify()).toMatchObject({ status: "tampered", first_bad_seq: 12 });
  });

  test("of a table that is gone says unreadable and does not fail", async () => {
    storage.prepare("DROP TABLE audit_events").run();
    expect(await audit.verify()).toMatchObject({ status: "unreadable" });
    audit = await open();
    expect(audit.problem).toBe("the audit log cannot be read");
    expect(await audit.verify()).toMatchObject({ status: "unreadable" });
  });
});

describe("a Core that starts refuses to go on", () => {
  test.each([
    ["behind a row that does not follow", () => plant({ prev_hash: GENESIS }), "tampered", 11],
    [
      "behind a row that was changed",
      () => tamper("UPDATE audit_events SET outcome = 'failed' WHERE seq = 9"),
      "tampered",
      9,
    ],
    [
      "when rows after the newest checkpoint are missing",
      () => tamper("DELETE FROM audit_events WHERE seq = 8"),
      "tampered",
      8,
    ],
    ["when signed rows are gone", () => tamper("DELETE FROM audit_events WHERE seq > 5"), "truncated", 4],
    ["when everything is gone", () => tamper("DELETE FROM audit_events"), "truncated", 1],
    [
      "when signed rows were written again",
      () => {
        tamper();
        rewriteFrom(5, forged);
      },
      "tampered",
      4,
    ],
  ])("%s, and still says where", async (_what, attack, status, at) => {
    attack();
    const before = readFileSync(join(folder, "checkpoints"), "utf8");
    audit = await open();
    expect(audit.problem).not.toBeNull();
    expect(() => started("c")).toThrow(expect.objectContaining({ code: "audit.not_intact" }));
    await expect(audit.checkpoint()).rejects.toMatchObject({ code: "audit.not_intact" });
    expect(await audit.verify()).toMatchObject({ status, first_bad_seq: at });
    await audit.close();
    expect(readFileSync(join(folder, "checkpoints"), "utf8")).toBe(before);
  });

  test("when signed rows and the file of checkpoints are gone, because the database remembers", async () => {
    tamper("DELETE FROM audit_events WHERE seq > 5");
    rmSync(join(folder, "checkpoints"));
    audit = await open();
    expect(audit.problem).toContain("first 7 events");
    expect(await audit.verify()).toMatchObject({ status: "truncated", first_bad_seq: 1 });
  });

  test("but goes on after a crash that left rows without a checkpoint", async () => {
    audit = await open();
    expect(audit.problem).toBeNull();
    started("c");
    expect(await audit.verify()).toMatchObject({ status: "intact", events: 11 });
  });
});
