/** The database as another program sees it: rows of its file, read while Core runs. */
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

type EventRow = {
  seq: number;
  event_type: string;
  outcome: string;
  subject_id: string;
  correlation_id: string | null;
  metadata_json: string | null;
};

/** In order; only of that type when one is given. */
export function auditRows(home: CoreHome, type?: string): AuditRow[] {
  const rows = select(home, "SELECT * FROM audit_events ORDER BY seq") as EventRow[];
  return rows
    .filter((row) => type === undefined || row.event_type === type)
    .map((row) => ({
      seq: row.seq,
      type: row.event_type,
      outcome: row.outcome,
      subject: row.subject_id,
      correlation: row.correlation_id,
      metadata: JSON.parse(row.metadata_json ?? "{}") as Record<string, unknown>,
    }));
}

/** Every approval the agent ever had, oldest first, columns as they are. */
export function approvalRows(home: CoreHome, agentId: string): Record<string, unknown>[] {
  return select(home, "SELECT * FROM permission_approvals WHERE agent_id = ? ORDER BY id", agentId);
}

/** What the row of a run says at this moment; quicker than any command, for states that pass soon. */
export function runStatus(home: CoreHome, runId: string): unknown {
  return select(home, "SELECT status FROM runs WHERE run_id = ?", runId)[0]?.["status"];
}

function select(home: CoreHome, sql: string, ...values: string[]): Record<string, unknown>[] {
  const database = new DatabaseSync(join(home.folder, "state/core.sqlite3"), { readOnly: true });
  try {
    return database.prepare(sql).all(...values);
  } finally {
    database.close();
  }
}
