/** What a program that has the audit log's database open can do to it. */
import type { DatabaseSync } from "node:sqlite";
import { GENESIS, hashRow, type AuditRow } from "../../packages/core/src/audit-log/chain.ts";

/** The triggers stand in the file itself: whoever wants to change a row drops them first. */
export function untrigger(database: DatabaseSync): void {
  for (const name of ["audit_dense", "audit_no_delete", "audit_no_update"])
    database.exec(`DROP TRIGGER IF EXISTS ${name}`);
}

/** Changes the outcome of one row and writes it and all after it again, so that every hash fits. */
export function rewriteFrom(database: DatabaseSync, seq: number, outcome: string): void {
  const rows = database.prepare("SELECT * FROM audit_events WHERE seq >= ? ORDER BY seq").all(seq) as AuditRow[];
  const before = database.prepare("SELECT row_hash FROM audit_events WHERE seq = ?").get(seq - 1);
  let previous = String(before?.["row_hash"] ?? GENESIS);
  const update = database.prepare("UPDATE audit_events SET outcome = ?, prev_hash = ?, row_hash = ? WHERE seq = ?");
  for (const old of rows) {
    const row = { ...old, outcome: old.seq === seq ? outcome : old.outcome, prev_hash: previous };
    previous = hashRow(row);
    update.run(row.outcome, row.prev_hash, previous, row.seq);
  }
}

/** Puts one index in the place of another, so that it is read under that name; the schema reads as before. */
export function exchangeIndex(database: DatabaseSync, name: string, planted: string): void {
  const rootOf = database.prepare("SELECT rootpage FROM sqlite_schema WHERE name = ?");
  const rootPage = Number(rootOf.get(planted)?.["rootpage"]);
  database.exec("PRAGMA writable_schema = ON; BEGIN IMMEDIATE");
  database.prepare("UPDATE sqlite_schema SET rootpage = ? WHERE name = ?").run(rootPage, name);
  database.prepare("DELETE FROM sqlite_schema WHERE name IN (?, 'turned')").run(planted);
  const { schema_version: version } = database.prepare("PRAGMA schema_version").get() ?? {};
  // So that whoever has the database open reads the schema again.
  database.exec(`PRAGMA schema_version = ${Number(version) + 1}; COMMIT`);
}
