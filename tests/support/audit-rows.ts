/** The audit log as another program sees it: rows of the database file, read while Core runs. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { CoreHome } from "./core-home.ts";

export type AuditRow = {
  seq: number;
  type: string;
  outcome: string;
  subject: string;
  correlation: string | null;
  metadata: Record<string, unknown>;
};

/** In order; only of that type when one is given. */
export function auditRows(home: CoreHome, type?: string): AuditRow[] {
  const database = new DatabaseSync(join(home.folder, "state/core.sqlite3"), { readOnly: true });
  try {
    const rows = database.prepare("SELECT * FROM audit_events ORDER BY seq").all();
    return rows
      .map((row) => ({
        seq: Number(row["seq"]),
        type: String(row["event_type"]),
        outcome: String(row["outcome"]),
        subject: String(row["subject_id"]),
        correlation: row["correlation_id"] === null ? null : String(row["correlation_id"]),
        metadata: JSON.parse(String(row["metadata_json"] ?? "{}")) as Record<string, unknown>,
      }))
      .filter((row) => type === undefined || row.type === type);
  } finally {
    database.close();
  }
}
