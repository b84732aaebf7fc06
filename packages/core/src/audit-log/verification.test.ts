import { createHash } from "node:crypto";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Storage } from "../storage/storage.ts";
import { AuditLog, Checkpoints, Redactor, SYSTEM_ACT } from "./audit-log.ts";
import { JournalFile } from "../host/journal-file.ts";
import { digestMetadata, GENESIS, hashRow, type AuditRow } from "./chain.ts";
import { rowsMatching } from "./store.ts";

let folder = "";
let storage: Storage;
let audit: AuditLog;
let torn: number[];

async function open(): Promise<AuditLog> {
  return new AuditLog({
    storage,
    redactor: new Redactor(),
    checkpoints: await Checkpoints.open(join(folder, "key"), join(folder, "checkpoints"), (bytes) => torn.push(bytes)),
    journal: new JournalFile(join(folder, "audit.journal")),
    observer: "core_test",
    checkpointEvents: 1_000,
    checkpointIntervalMs: 3_600_000,
    onCheckpointError: (error) => {
      throw error;
    },
  });
}

beforeEach(async () => {
  torn = [];
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

describe("the file of checkpoints", () => {
  const file = (): string => join(folder, "checkpoints");
  const notes = (): string[] =>
    readFileSync(file(), "utf8")
      .split(/(?<=\n\u2014 [^\n]*\n)\n/)
      .filter((one) => one !== "");

  test("links each note to the one before, as a line of a signed note", () => {
    const [first = "", second = ""] = notes();
    expect(first).not.toContain("previous");
    const digest = createHash("sha256").update(first).digest("base64");
    expect(second).toMatch(
      /^opensentience\/audit\n7\n[^\n]+\nat [^\n]+\nprevious [^\n]+\n\n\u2014 opensentience-core [^\n]+\n$/,
    );
    expect(second).toContain(`\nprevious ${digest}\n`);
  });

  test.each([
    ["removed", () => rmSync(file())],
    ["emptied", () => writeFileSync(file(), "")],
    ["shortened by its last note", () => writeFileSync(file(), `${notes()[0]}\n`)],
    ["shortened by its first note", () => writeFileSync(file(), `${notes()[1]}\n`)],
  ])("finds a file of checkpoints that was %s, also after Core signed again", async (_how, attack) => {
    attack();
    const missing = {
      status: "tampered",
      first_bad_seq: null,
      message: expect.stringContaining("checkpoint is missing"),
    };
    expect(await audit.verify()).toMatchObject(missing);
    audit = await open();
    expect(await audit.verify()).toMatchObject(missing);
    started("c");
    await audit.checkpoint();
    expect(await audit.verify()).toMatchObject(missing);
    audit = await open();
    expect(await audit.verify()).toMatchObject(missing);
  });

  test.each([[40], [120], [200], [-1]])(
    "takes half a note that a crash left for none, and cuts it off (%i)",
    async (kept) => {
      started("c");
      const copy = await Checkpoints.open(join(folder, "key"), join(folder, "other"), () => {});
      const { note } = await copy.write(11, audit.head.hash, new Date().toISOString(), "ab".repeat(32));
      appendFileSync(file(), note.slice(0, kept));
      audit = await open();
      expect(await audit.verify()).toMatchObject({ status: "intact" });
      await audit.checkpoint();
      expect(torn).toEqual([Buffer.byteLength(note.slice(0, kept))]);
      expect(notes()).toHaveLength(3);
      expect(await audit.verify()).toMatchObject({ status: "intact", checkpoint: { size: 11 } });
    },
  );

  test("with a whole note that nobody signed stays tampered", async () => {
    const [, second = ""] = notes();
    appendFileSync(file(), `${second.replace("\n7\n", "\n8\n")}\n`);
    audit = await open();
    started("c");
    await audit.checkpoint();
    expect(await audit.verify()).toMatchObject({
      status: "tampered",
      message: expect.stringContaining("not signed by"),
    });
  });

  test("that has one note more than the database knows is what a crash between the two leaves", async () => {
    const before = storage.prepare("SELECT * FROM audit_checkpoint").get() as Record<string, number | string>;
    started("c");
    await audit.checkpoint();
    storage
      .prepare("UPDATE audit_checkpoint SET size = ?, row_hash = ?, note_hash = ?")
      .run(before["size"] ?? 0, before["row_hash"] ?? "", before["note_hash"] ?? "");
    audit = await open();
    started("d");
    await audit.checkpoint();
    expect(await audit.verify()).toMatchObject({ status: "intact", checkpoint: { size: 12 } });
  });
});
