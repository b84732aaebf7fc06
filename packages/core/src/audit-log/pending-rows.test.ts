import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runTool } from "../host/child-process.ts";
import { JournalFile } from "../host/journal-file.ts";
import { Storage } from "../storage/storage.ts";
import { AuditLog, Checkpoints, Redactor, SYSTEM_ACT, type AuditEvent } from "./audit-log.ts";
import { digestMetadata, fieldsJsonOf, hashRow, type AuditRow } from "./chain.ts";
import { journalLine, rowOfLine } from "./journal-line.ts";
import { rowsToReplay } from "./pending-rows.ts";

let folder = "";
let storage: Storage;
let journal: JournalFile;
let audit: AuditLog;

async function open(): Promise<AuditLog> {
  journal = new JournalFile(join(folder, "journal"));
  return new AuditLog({
    storage,
    redactor: new Redactor(),
    checkpoints: await Checkpoints.open(join(folder, "key"), join(folder, "checkpoints")),
    journal,
    observer: "core_test",
    checkpointEvents: 1_000_000,
    checkpointIntervalMs: 3_600_000,
    onCheckpointError: () => {},
  });
}

const call = (id: string): AuditEvent => ({
  type: "tool.call_routed",
  act: SYSTEM_ACT,
  subject: { type: "tool", id },
  outcome: "unknown",
  metadata: { call_id: id },
});
const inTable = (): string[] =>
  storage.all<{ subject_id: string }>("SELECT subject_id FROM audit_events ORDER BY seq").map((row) => row.subject_id);
const lines = (): AuditRow[] =>
  readFileSync(join(folder, "journal"), "utf8")
    .split("\n")
    .map((line) => rowOfLine(line))
    .filter((row) => row !== undefined);

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "os-pending-"));
  storage = Storage.open(join(folder, "db"));
  audit = await open();
});
afterEach(() => {
  storage.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("the row of a call", () => {
  test("is in the journal when its caller hears of it, and in the table before anybody reads or anything else is recorded", async () => {
    const ids = await Promise.all([audit.recordSoon(call("a")), audit.recordSoon(call("b"))]);
    expect(lines().map((row) => row.event_id)).toEqual(ids);
    expect(inTable()).toEqual([]);
    expect(audit.list({}, { limit: 10 }).items.map((event) => event.subject_id)).toEqual(["b", "a"]);
    await audit.recordSoon(call("c"));
    audit.record({ type: "core.started", act: SYSTEM_ACT, subject: { type: "core", id: "d" } });
    expect(inTable()).toEqual(["a", "b", "c", "d"]);
    expect((await audit.verify()).status).toBe("intact");
  });

  test("comes into the table by itself", async () => {
    const appended = Promise.withResolvers<void>();
    audit.onAppend(() => appended.resolve());
    await audit.recordSoon(call("a"));
    // Its timer holds no process.
    const alive = setInterval(() => {}, 1_000);
    await appended.promise;
    clearInterval(alive);
    expect(inTable()).toEqual(["a"]);
  });

  test("survives a Core that ends before it is in the table, and is taken once", async () => {
    await audit.recordSoon(call("a"));
    await audit.recordSoon(call("b"));
    audit = await open();
    expect(inTable()).toEqual(["a", "b"]);
    audit = await open();
    await audit.recordSoon(call("c"));
    expect(audit.list({}, { limit: 10 }).items).toHaveLength(3);
    expect((await audit.verify()).status).toBe("intact");
  });

  test("is in the table when its caller hears of it where the journal cannot be written", async () => {
    journal.close();
    await audit.recordSoon(call("a"));
    expect(inTable()).toEqual(["a"]);
    expect((await audit.verify()).status).toBe("intact");
  });

  test("stays in the journal while the table refuses it, and the log is closed for everything else", async () => {
    await audit.recordSoon(call("a"));
    const other = Storage.open(join(folder, "db"));
    other.transaction((tx) => {
      other.run(tx, "CREATE TRIGGER full BEFORE INSERT ON audit_events BEGIN SELECT RAISE(ABORT, 'full'); END");
    });
    const record = (): string =>
      audit.record({ type: "core.started", act: SYSTEM_ACT, subject: { type: "core", id: "x" } });
    expect(record).toThrow(expect.objectContaining({ code: "audit.unavailable" }) as Error);
    await expect(audit.recordSoon(call("b"))).rejects.toMatchObject({ code: "audit.unavailable" });
    expect(lines().map((row) => row.subject_id)).toEqual(["a"]);
    other.transaction((tx) => other.run(tx, "DROP TRIGGER full"));
    other.close();
    record();
    await audit.recordSoon(call("c"));
    expect(audit.list({}, { limit: 10 }).items.map((event) => event.subject_id)).toEqual(["c", "x", "a"]);
    expect((await audit.verify()).status).toBe("intact");
  });
});

describe("verify, while rows are on their way into the table,", () => {
  const full = (): void => {
    const { page_count: pages } = storage.get<{ page_count: number }>("PRAGMA page_count") ?? { page_count: 0 };
    storage.get(`PRAGMA max_page_count = ${pages}`);
  };

  test("calls those not missing that come while it runs", async () => {
    audit.record({ type: "core.started", act: SYSTEM_ACT, subject: { type: "core", id: "x" } });
    const verdict = audit.verify();
    const soon = audit.recordSoon(call("a"));
    expect(await verdict).toMatchObject({ status: "intact" });
    await soon;
    expect(await audit.verify()).toMatchObject({ status: "intact", events: 2 });
  });

  test("says of a full disk that rows wait in the journal, and that nothing is known to be missing", async () => {
    audit.record({ type: "core.started", act: SYSTEM_ACT, subject: { type: "core", id: "x" } });
    full();
    const ids = Array.from({ length: 100 }, (_, index) => `call-${index}`);
    await Promise.all(ids.map((id) => audit.recordSoon(call(id))));
    await expect(audit.verify()).rejects.toMatchObject({
      code: "audit.unavailable",
      message: expect.stringMatching(/nothing is known to be missing, but 100 events wait in state\/audit\.journal/),
    });
    expect(inTable()).toEqual(["x"]);
    storage.get("PRAGMA max_page_count = 1000000");
    expect(await audit.verify()).toMatchObject({ status: "intact", events: 101 });
  });

  test("finds on a full disk, too, what is wrong with the rows that are in the table", async () => {
    for (const id of ["x", "y"]) audit.record({ type: "core.started", act: SYSTEM_ACT, subject: { type: "core", id } });
    await audit.recordSoon(call("a"));
    storage.prepare("DROP TRIGGER audit_no_delete").run();
    storage.prepare("DELETE FROM audit_events WHERE seq = 2").run();
    expect(await audit.verify()).toMatchObject({ status: "truncated", first_bad_seq: 2 });
  });
});

test("only rows that go on from the head are taken", async () => {
  const { head } = audit;
  for (const id of ["a", "b", "c"]) await audit.recordSoon(call(id));
  const lineOf = (row: AuditRow): string => journalLine({ row, fieldsJson: fieldsJsonOf(row) }).trimEnd();
  const [first] = lines() as [AuditRow];
  const [a, b, c] = lines().map(lineOf) as [string, string, string];
  const taken = (...given: string[]): string[] => rowsToReplay(given, head).map((row) => row.subject_id);
  expect(taken(a, b, c)).toEqual(["a", "b", "c"]);
  // Rows of before behind them, half a line, no rows at all.
  expect(taken(a, b, c, a, c, b, b.slice(3), "", "{}", "null", "[1]", "\t\t\t\t", `${a}\t`)).toEqual(["a", "b", "c"]);
  expect(taken(b, c)).toEqual([]);
  expect(taken(a, c)).toEqual(["a"]);
  const forged = (change: Partial<AuditRow>): string => lineOf({ ...first, ...change });
  for (const change of [
    { subject_id: "x" },
    { metadata_json: "{}" },
    { meta_salt: null },
    { meta_salt: `${first.meta_salt}zz` },
    { meta_salt: String(first.meta_salt).toUpperCase() },
    { row_hash: "0".repeat(64) },
    { seq: 2 },
    { prev_hash: "1".repeat(64) },
  ]) {
    expect(taken(forged(change), b), JSON.stringify(change)).toEqual([]);
  }
});

test("a line that is no row of a call is none", async () => {
  const { head } = audit;
  await audit.recordSoon(call("a"));
  const [row] = lines() as [AuditRow];
  /** With the hashes that belong to it. */
  const made = (change: object): string => {
    const changed = { ...row, ...change } as AuditRow;
    changed.meta_digest = digestMetadata(String(changed.meta_salt), String(changed.metadata_json));
    changed.row_hash = hashRow(changed);
    return journalLine({ row: changed, fieldsJson: fieldsJsonOf(changed) }).trimEnd();
  };
  expect(rowsToReplay([made({ subject_id: "other" })], head)).toHaveLength(1);
  for (const change of [
    { event_type: "agent.enabled" },
    { event_type: "audit.erased" },
    { severity: "loud" },
    { outcome: null },
    { actor_type: "root" },
    { subject_id: 5 },
    { correlation_id: {} },
    { at: null },
    { metadata_json: "no JSON" },
    { metadata_json: "[]" },
    { metadata_json: JSON.stringify({ status: "x".repeat(10_000) }) },
  ])
    expect(rowsToReplay([made(change)], head), JSON.stringify(change)).toEqual([]);
});

test("what the table refuses of a journal is a problem of the log, and stays where it is", async () => {
  await audit.recordSoon(call("a"));
  await audit.recordSoon(call("b"));
  storage.transaction((tx) => {
    storage.run(tx, "CREATE TRIGGER full BEFORE INSERT ON audit_events BEGIN SELECT RAISE(ABORT, 'full'); END");
  });
  audit = await open();
  expect(audit.problem).toContain("state/audit.journal");
  expect(() => audit.record({ type: "core.started", act: SYSTEM_ACT, subject: { type: "core", id: "x" } })).toThrow(
    expect.objectContaining({ code: "audit.not_intact" }) as Error,
  );
  storage.transaction((tx) => storage.run(tx, "DROP TRIGGER full"));
  audit = await open();
  expect(audit.problem).toBeNull();
  expect(inTable()).toEqual(["a", "b"]);
});

test("nothing of a call stays in the journal behind its erasure, a start and a clean stop", async () => {
  const text = (): string => readFileSync(join(folder, "journal"), "latin1");
  await audit.recordSoon(call("call-that-is-erased"));
  expect(text()).toContain("call-that-is-erased");
  const [event] = audit.list({}, { limit: 1 }).items;
  expect(text()).toContain("call-that-is-erased");
  audit.erase(event?.seq ?? 0, "a name", SYSTEM_ACT);
  expect(text()).toBe("");
  await audit.recordSoon(call("a"));
  audit = await open();
  expect(text()).toBe("");
  await audit.recordSoon(call("b"));
  await audit.close();
  expect(text()).toBe("");
  expect(inTable().filter((id) => id === "a" || id === "b")).toEqual(["a", "b"]);
});

test("a journal is no link and no FIFO, and private", async () => {
  expect(statSync(join(folder, "journal")).mode & 0o777).toBe(0o600);
  writeFileSync(join(folder, "elsewhere"), "mine");
  symlinkSync(join(folder, "elsewhere"), join(folder, "link"));
  expect(() => new JournalFile(join(folder, "link"))).toThrow("ELOOP");
  await runTool(["mkfifo", join(folder, "fifo")], { env: {}, timeoutMs: 20_000, maxBytes: 100 });
  expect(() => new JournalFile(join(folder, "fifo"))).toThrow("no regular file");
  expect(readFileSync(join(folder, "elsewhere"), "utf8")).toBe("mine");
});
