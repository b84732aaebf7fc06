import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { exchangeIndex } from "../../../../tests/support/audit-forgery.ts";
import { disposeLog, logOfTen } from "../../../../tests/support/audit-log.ts";
import { Storage } from "../storage/storage.ts";
import { type AuditLog, SYSTEM_ACT } from "./audit-log.ts";
import { indexProblem } from "./index-check.ts";

let folder = "";
let storage: Storage;
let audit: AuditLog;

const AGENT = { type: "agent", id: "com.example.hidden" } as const;
beforeEach(async () => {
  ({ folder, storage, audit } = await logOfTen({ file: "db" }));
  const act = { actor: AGENT, correlationId: null };
  for (const id of ["a", "b"]) audit.record({ type: "core.started", act, subject: { type: "tool", id } });
});
afterEach(() => disposeLog({ folder, storage, audit }));

/** Another program with the file open. */
function elsewhere(act: (database: DatabaseSync) => void): void {
  const database = new DatabaseSync(join(folder, "db"), { timeout: 5_000, defensive: false });
  try {
    act(database);
  } finally {
    database.close();
  }
}

const COPY =
  "CREATE TABLE copied AS SELECT seq, event_id, actor_type, actor_id, subject_type, subject_id FROM audit_events";

test.each([
  [
    "audit_by_subject",
    "of which rows were left out",
    ["CREATE INDEX planted ON audit_events (subject_type, subject_id, seq) WHERE seq <> 5"],
    5,
  ],
  [
    "audit_by_subject",
    "that is empty",
    ["CREATE INDEX planted ON audit_events (subject_type, subject_id, seq) WHERE seq < 0"],
    1,
  ],
  [
    "audit_by_subject",
    "that has a row under another key",
    ["CREATE INDEX planted ON audit_events (subject_type, iif(seq = 7, 'c', subject_id), seq)"],
    7,
  ],
  [
    "audit_by_agent",
    "of which rows were left out",
    ["CREATE INDEX planted ON audit_events (actor_id, seq) WHERE actor_type = 'agent' AND seq < 12"],
    12,
  ],
  [
    "audit_by_agent",
    "that has more than its rows",
    ["CREATE INDEX planted ON audit_events (actor_id, seq) WHERE seq > 8"],
    null,
  ],
  [
    "sqlite_autoindex_audit_events_1",
    "of which rows were left out",
    ["CREATE INDEX planted ON audit_events (event_id) WHERE seq <> 3"],
    3,
  ],
  [
    "sqlite_autoindex_audit_events_1",
    "that leads from one event to another",
    [
      COPY,
      "UPDATE copied SET event_id = (SELECT event_id FROM audit_events WHERE seq = 13 - copied.seq)",
      "CREATE INDEX planted ON copied (event_id)",
    ],
    1,
  ],
  [
    "audit_by_subject",
    "whose entries lead to other rows",
    [
      COPY,
      "CREATE TABLE turned AS SELECT * FROM copied ORDER BY seq DESC",
      "CREATE INDEX planted ON turned (subject_type, subject_id, seq)",
    ],
    1,
  ],
] as const)("finds an index that hides rows: %s %s", async (name, _what, statements, at) => {
  elsewhere((database) => {
    for (const sql of statements) database.exec(sql);
    exchangeIndex(database, name, "planted");
    database.exec("DROP TABLE IF EXISTS copied");
  });
  const found = { status: "tampered", first_bad_seq: at, message: expect.stringContaining(`the index ${name}`) };
  expect(await audit.verify()).toMatchObject(found);
});

test.each([
  ["a trigger that is gone", "DROP TRIGGER audit_dense", "trigger audit_dense"],
  ["an index that is gone", "DROP INDEX audit_by_agent", "index audit_by_agent"],
  [
    "a trigger that swallows events",
    "CREATE TRIGGER mine BEFORE INSERT ON AUDIT_EVENTS WHEN new.severity = 'security' BEGIN SELECT RAISE(IGNORE); END",
    "trigger mine",
  ],
  [
    "a trigger of another table that acts on this one",
    "CREATE TRIGGER mine AFTER INSERT ON runs BEGIN DELETE FROM audit_checkpoint; END",
    "trigger mine",
  ],
  ["an index of its own", "CREATE INDEX mine ON audit_events (at)", "index mine"],
  ["a column more", "ALTER TABLE audit_events ADD COLUMN mine TEXT", "table audit_events"],
  ["a view of it", "CREATE VIEW mine AS SELECT * FROM audit_events", "view mine"],
])("finds a schema that was changed: %s", async (_what, sql, name) => {
  elsewhere((database) => database.exec(sql));
  expect(await audit.verify()).toMatchObject({
    status: "tampered",
    first_bad_seq: null,
    message: `the schema of the audit log was changed: ${name} is not what Core made`,
  });
});

test("a database that cannot be read is a problem, and no rejection that nobody waits for", async () => {
  const closed = Storage.open(":memory:");
  closed.close();
  expect(await indexProblem(closed)).toEqual({ at: null, message: expect.stringContaining("cannot be read") });
});

test("what is no part of the log may be there, and a database that was packed is the same", async () => {
  elsewhere((database) =>
    database.exec("CREATE TABLE notes (text); CREATE INDEX by_name ON agents (name); ANALYZE; VACUUM"),
  );
  expect(await audit.verify()).toMatchObject({ status: "intact", events: 12 });
  audit.record({ type: "core.started", act: SYSTEM_ACT, subject: { type: "core", id: "x" } });
  expect(await audit.verify()).toMatchObject({ status: "intact", events: 13 });
});
