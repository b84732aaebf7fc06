/** SQL of the audit log: insert, read by key, scan in order. The one change of a row is to erase metadata behind a tombstone. */
import type { Storage, Tx } from "../storage/storage.ts";
import { HASHED_COLUMNS, type AuditRow } from "./chain.ts";

export type AuditFilter = {
  type?: string | undefined;
  agent?: string | undefined;
  actor?: string | undefined;
  severity?: string | undefined;
  correlationId?: string | undefined;
  since?: string | undefined;
  until?: string | undefined;
};

const COLUMNS =
  "seq, event_id, at, event_type, severity, outcome, observer, actor_type, actor_id, subject_type, subject_id, correlation_id, causation_id, metadata_json, meta_salt, meta_digest, prev_hash, row_hash";

export function insertRow(storage: Storage, tx: Tx, row: AuditRow): void {
  storage.run(
    tx,
    `INSERT INTO audit_events (${COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
    row.seq,
    row.event_id,
    row.at,
    row.event_type,
    row.severity,
    row.outcome,
    row.observer,
    row.actor_type,
    row.actor_id,
    row.subject_type,
    row.subject_id,
    row.correlation_id,
    row.causation_id,
    row.metadata_json,
    row.meta_salt,
    row.meta_digest,
    row.prev_hash,
    row.row_hash,
  );
}

/** The database refuses it unless an earlier statement of the same transaction wrote the tombstone. */
export function eraseMetadata(storage: Storage, tx: Tx, seq: number): void {
  storage.run(tx, "UPDATE audit_events SET metadata_json = NULL, meta_salt = NULL WHERE seq = ?", seq);
}

export function rowBySeq(storage: Storage, seq: number): AuditRow | undefined {
  return storage.get(`SELECT ${COLUMNS} FROM audit_events WHERE seq = ?`, seq);
}

/** Beyond it JavaScript has no whole numbers, and a row that has one was not written by Core. */
const [SMALLEST, LARGEST] = [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER];

/** The first row with a number that Core never gives, as far as a number can say it. */
export function rowOutOfRange(storage: Storage): number | undefined {
  return (
    storage.get<{ seq: number }>(
      "SELECT max(seq, ?) AS seq FROM audit_events WHERE seq < 1 ORDER BY audit_events.seq LIMIT 1",
      SMALLEST,
    ) ?? storage.get<{ seq: number }>("SELECT ? AS seq FROM audit_events WHERE seq > ? LIMIT 1", LARGEST, LARGEST)
  )?.seq;
}

export function lastRow(storage: Storage): { seq: number; row_hash: string } | undefined {
  return storage.get(
    "SELECT seq, row_hash FROM audit_events WHERE seq BETWEEN 1 AND ? ORDER BY seq DESC LIMIT 1",
    LARGEST,
  );
}

export function rowByEventId(storage: Storage, eventId: string): AuditRow | undefined {
  return storage.get(`SELECT ${COLUMNS} FROM audit_events WHERE event_id = ?`, eventId);
}

/** A row as verification needs it. */
export type ChainRow = [
  seq: number,
  /** JSON array of HASHED_COLUMNS, so it ends with the digest of the metadata. */
  fieldsJson: string,
  prevHash: string,
  rowHash: string,
  metaSalt: string | null,
  metadataJson: string | null,
  /** Of a tombstone: the seq of the row whose metadata it excuses, as text. */
  erasedSeq: string | null,
];

// SQLite writes the array in a fraction of the time in which its parts become texts of JavaScript, byte for byte as
// JSON.stringify does. Pinned by "a row of any characters verifies".
const CHAIN_ROWS = `SELECT seq, json_array(${HASHED_COLUMNS.join(", ")}), prev_hash, row_hash, meta_salt, metadata_json,
  CASE WHEN event_type = 'audit.erased' AND subject_type = 'audit_event' THEN subject_id END
  FROM audit_events WHERE seq > ? AND seq <= ${Number.MAX_SAFE_INTEGER} ORDER BY seq LIMIT ?`;

/** Ascending from `afterSeq` (exclusive), in the table's own order. */
export function chainRowsAfter(storage: Storage, afterSeq: number, limit: number): ChainRow[] {
  return storage.allArrays<ChainRow>(CHAIN_ROWS, afterSeq, limit);
}

/** What does not fit in the table and its indexes, in SQLite's words; none where all does. It reads everything, in a thread. */
export async function integrity(storage: Storage): Promise<string[]> {
  // Of an index of some rows SQLite itself does not count the entries.
  const count = (how: string, what: string): string =>
    `(SELECT count(${what}) FROM audit_events ${how} WHERE actor_type = 'agent')`;
  const [lines, surplus] = (await storage.allBeside([
    "PRAGMA integrity_check(audit_events)",
    `SELECT 'wrong # of entries in index audit_by_agent' AS line
      WHERE ${count("INDEXED BY audit_by_agent", "seq")} <> ${count("NOT INDEXED", "*")}`,
  ])) as [{ integrity_check: string }[], { line: string }[]];
  return [...lines.map((row) => row.integrity_check), ...surplus.map(({ line }) => line)].filter(
    (line) => line !== "ok",
  );
}

/** Every statement of the schema that concerns the tables of the log, in one order. */
export function schemaOf(storage: Storage): { type: string; name: string; sql: string | null }[] {
  return storage.all(
    `SELECT type, name, sql FROM sqlite_schema WHERE tbl_name LIKE 'audit~_%' ESCAPE '~'
      OR sql LIKE '%audit~_events%' ESCAPE '~' OR sql LIKE '%audit~_checkpoint%' ESCAPE '~' ORDER BY type, name, sql`,
  );
}

/** The newest intent about the subject: the row that what follows names as its cause. */
export function newestIntent(storage: Storage, subject: { type: string; id: string }, type?: string): string | null {
  const row = storage.get<{ event_id: string }>(
    "SELECT event_id FROM audit_events WHERE subject_type = ? AND subject_id = ? AND outcome = 'unknown' AND (? IS NULL OR event_type = ?) ORDER BY seq DESC LIMIT 1",
    subject.type,
    subject.id,
    type ?? null,
    type ?? null,
  );
  return row?.event_id ?? null;
}

/** What the database knows of the newest checkpoint: number of events, hash of the last of them, hash of the note. */
export type CheckpointRecord = { size: number; rowHash: string; noteHash: string };

export function recordedCheckpoint(storage: Storage): CheckpointRecord | null {
  return (
    storage.get<CheckpointRecord>(
      'SELECT size, row_hash AS "rowHash", note_hash AS "noteHash" FROM audit_checkpoint WHERE id = 1',
    ) ?? null
  );
}

export function recordCheckpoint(storage: Storage, tx: Tx, record: CheckpointRecord): void {
  storage.run(
    tx,
    "INSERT OR REPLACE INTO audit_checkpoint (id, size, row_hash, note_hash) VALUES (1, ?, ?, ?)",
    record.size,
    record.rowHash,
    record.noteHash,
  );
}

/** `before`/`after` are exclusive bounds of seq. */
export function rowsMatching(
  storage: Storage,
  filter: AuditFilter,
  page: { order: "newest" | "oldest"; before?: number | undefined; after?: number | undefined; limit: number },
): AuditRow[] {
  const where: string[] = [];
  const values: (string | number)[] = [];
  const add = (clause: string, ...clauseValues: (string | number)[]): void => {
    where.push(clause);
    values.push(...clauseValues);
  };
  if (filter.type !== undefined) add("event_type = ?", filter.type);
  if (filter.actor !== undefined) add("actor_id = ?", filter.actor);
  if (filter.severity !== undefined) add("severity = ?", filter.severity);
  if (filter.correlationId !== undefined) add("correlation_id = ?", filter.correlationId);
  if (filter.since !== undefined) add("at >= ?", filter.since);
  if (filter.until !== undefined) add("at <= ?", filter.until);
  if (filter.agent !== undefined) {
    // What happened to it, to its runs and to its tools, and what it did itself: calls of other agents' tools.
    add(
      `((subject_type = 'agent' AND subject_id = ?) OR (subject_type = 'run' AND subject_id IN (SELECT run_id FROM runs WHERE agent_id = ?))
        OR (subject_type = 'tool' AND subject_id > ? AND subject_id < ?) OR (actor_type = 'agent' AND actor_id = ?))`,
      filter.agent,
      filter.agent,
      `${filter.agent}/`,
      // The character behind the slash.
      `${filter.agent}0`,
      filter.agent,
    );
  }
  if (page.before !== undefined) add("seq < ?", page.before);
  if (page.after !== undefined) add("seq > ?", page.after);
  const clause = where.length === 0 ? "" : `WHERE ${where.join(" AND ")}`;
  const order = page.order === "newest" ? "DESC" : "ASC";
  return storage.all(
    `SELECT ${COLUMNS} FROM audit_events ${clause} ORDER BY seq ${order} LIMIT ?`,
    ...values,
    page.limit,
  );
}

/** The newest row about the subject. */
export function newestRow(storage: Storage, subject: { type: string; id: string }): AuditRow | undefined {
  return storage.get(
    `SELECT ${COLUMNS} FROM audit_events WHERE subject_type = ? AND subject_id = ? ORDER BY seq DESC LIMIT 1`,
    subject.type,
    subject.id,
  );
}

/**
 * Calls that were handed over and have no outcome, oldest first: of the newest Core that routed any, which closed those of
 * the ones before it at its own start. `startSeq` is the row of this Core's start.
 */
export function openCalls(storage: Storage, startSeq: number): AuditRow[] {
  const newestOfCore = (type: string, before: number): number =>
    storage.get<{ seq: number | null }>(
      "SELECT max(seq) AS seq FROM audit_events WHERE subject_type = 'core' AND event_type = ? AND seq < ?",
      type,
      before,
    )?.seq ?? 0;
  // The Cores since may have died before they had closed anything. One that routed a call, or stopped, had closed all before.
  const stopped = newestOfCore("core.started", newestOfCore("core.stopped", startSeq));
  const routed = storage.get<{ seq: number }>(
    "SELECT seq FROM audit_events WHERE seq > ? AND seq < ? AND event_type = 'tool.call_routed' ORDER BY seq DESC LIMIT 1",
    stopped,
    startSeq,
  );
  if (routed === undefined) return [];
  const [from, to] = [newestOfCore("core.started", routed.seq), startSeq];
  return storage.all(
    `SELECT ${COLUMNS} FROM audit_events WHERE seq > ? AND seq < ? AND event_type = 'tool.call_routed'
      AND event_id NOT IN (SELECT causation_id FROM audit_events WHERE seq > ? AND seq < ? AND event_type = 'tool.call_completed')
      ORDER BY seq`,
    from,
    to,
    from,
    to,
  );
}

/** Intents of agents, oldest first, that no later event names as its cause, or refuses under the same correlation. */
export function openIntents(storage: Storage, types: readonly string[]): AuditRow[] {
  return storage.all(
    `SELECT ${COLUMNS} FROM audit_events WHERE subject_type = 'agent' AND outcome = 'unknown'
      AND event_type IN (${types.map(() => "?").join(",")})
      AND event_id NOT IN (SELECT causation_id FROM audit_events WHERE subject_type = 'agent' AND causation_id IS NOT NULL)
      AND NOT EXISTS (SELECT 1 FROM audit_events AS refusal WHERE refusal.subject_type = 'agent' AND refusal.subject_id = audit_events.subject_id
        AND refusal.seq > audit_events.seq AND refusal.event_type = 'security.denied' AND refusal.correlation_id = audit_events.correlation_id)
      ORDER BY seq`,
    ...types,
  );
}
