/**
 * The audit log: an append-only, hash-chained table that shows tampering.
 *
 * `transact` is the only way to change governed state: the change and its event rows are one SQLite transaction, so
 * there is no effect without a record and no record of an effect that did not happen. For effects outside the
 * database (a spawn, a rename) the caller records the intent in one `transact` and the outcome in the next; what a
 * crash leaves between them is closed by reconciliation at Core's start, and an outcome that the log does not take while
 * Core lives is `owed` (owed-outcomes.ts). If a row cannot be written, the act fails with
 * `audit.unavailable`: the log fails closed.
 *
 * The head of the chain is kept in memory, so that a table cut or changed by another program is refused at the next
 * append (the dense trigger) and found by `verify`. At Core's start the head is adopted only if the rows after the
 * newest checkpoint follow from it; otherwise `problem` says why, and nothing is appended or signed: such a log can be
 * verified and nothing else. Checkpoints are signed every N events, every interval with events,
 * at a clean stop and after each security event.
 *
 * Metadata passes the allow-list of its event type and the redactor before it is stored; tool inputs, environment
 * values and tokens never come here at all.
 */
import { CoreError, type AuditEventJson, type VerifyJson } from "@opensentience/protocol";
import type { JournalFile } from "../host/journal-file.ts";
import { killPoint } from "../host/kill-point.ts";
import type { Storage, Tx } from "../storage/storage.ts";
import type { AuditRow } from "./chain.ts";
import type { Checkpoint, Checkpoints } from "./checkpoints.ts";
import type { AuditEventType } from "./events.ts";
import { newRow, type Act, type AuditEvent } from "./new-row.ts";
import { OwedOutcomes } from "./owed-outcomes.ts";
import { PendingRows, rowsToReplay, rowsWait } from "./pending-rows.ts";
import type { Redactor } from "./redaction.ts";
import {
  eraseMetadata,
  insertRow,
  newestIntent,
  newestRow,
  openCalls,
  openIntents,
  recordCheckpoint,
  rowByEventId,
  rowBySeq,
  rowsMatching,
  type AuditFilter,
} from "./store.ts";
import { headBefore, headToAdopt, unrecordedNote, verifyChain, type Head } from "./verification.ts";

export { eventType, eventTypes, TRUST_BOUNDARY } from "./events.ts";
export { Checkpoints } from "./checkpoints.ts";
export { shortened } from "./redacted-arguments.ts";
export { Redactor, SHORTEST_SECRET_BYTES } from "./redaction.ts";
export { notYetRecorded, unrecorded, type Owed } from "./owed-outcomes.ts";
export type { Act, AuditEvent } from "./new-row.ts";
export type { AuditRow } from "./chain.ts";
export type { AuditFilter } from "./store.ts";

export const SYSTEM_ACT: Act = { actor: { type: "system", id: "system:core" }, correlationId: null };

/** Appends one row inside the current transaction; returns its event id, usable as `causationId` of what follows. */
export type RecordEvent = (event: AuditEvent) => string;

export type AuditLogDeps = {
  storage: Storage;
  redactor: Redactor;
  checkpoints: Checkpoints;
  /** Of this log alone. */
  journal: JournalFile;
  /** The Core instance that writes the rows. */
  observer: string;
  checkpointEvents: number;
  checkpointIntervalMs: number;
  onCheckpointError: (error: unknown) => void;
  onOwed?: (what: string, error: unknown) => void;
};

/** The number of an event, as text: of a whole number that JavaScript has. */
const SEQ = /^\d{1,15}$/;

export class AuditLog {
  /** Why Core must not go on with this log, or null. */
  readonly problem: string | null;
  /** Of acts that are over. */
  readonly owed: OwedOutcomes;
  readonly #deps: AuditLogDeps;
  readonly #pending: PendingRows;
  #head: Head;
  #checkpointed: number;
  /** Hash of the newest signed note. */
  #newestNote: string | null;
  #listeners = new Set<(rows: readonly AuditRow[]) => void>();
  #timer: NodeJS.Timeout | undefined;
  #checkpointQueue: Promise<unknown> = Promise.resolve();

  constructor(deps: AuditLogDeps) {
    this.#deps = deps;
    this.owed = new OwedOutcomes((what, error) => deps.onOwed?.(what, error));
    const found = headToAdopt(deps.storage, deps.checkpoints.read());
    this.#head = found.head;
    this.#checkpointed = found.checkpointed;
    this.#newestNote = found.newestNote;
    this.#pending = new PendingRows({
      journal: deps.journal,
      insert: (rows) => this.#insert(rows),
      withdraw: ([first]) => {
        this.#head = headBefore(first) ?? this.#head;
      },
    });
    this.problem = found.problem ?? this.#replay();
  }

  /** What an earlier Core committed to the journal and was killed before it reached the table; why that cannot be, or null. */
  #replay(): string | null {
    const { storage, journal } = this.#deps;
    const rows = rowsToReplay(journal.lines(), this.#head);
    const last = rows.at(-1);
    if (last !== undefined) {
      try {
        storage.transaction((tx) => {
          for (const row of rows) insertRow(storage, tx, row);
        });
      } catch (error) {
        if (!isSqliteError(error)) throw error;
        return "the newest calls stand in state/audit.journal and the database does not take them; free space on the disk, or move that file aside";
      }
      this.#head = { seq: last.seq, hash: last.row_hash };
    }
    journal.clear();
    return null;
  }

  /**
   * Runs `change` and appends what it records, all or nothing. Errors of `change` pass through unchanged; a failure to
   * write becomes `audit.unavailable`. A change that records nothing is a programming error and is rolled back.
   */
  transact<T>(change: (tx: Tx, record: RecordEvent) => T): T {
    if (this.problem !== null) throw this.#notIntact();
    this.#pending.flush();
    const before = this.#head;
    const rows: AuditRow[] = [];
    try {
      const result = this.#deps.storage.transaction((tx) => {
        const value = change(tx, (event) => {
          const row = this.#append(tx, event);
          rows.push(row);
          return row.event_id;
        });
        if (this.#head === before) throw new Error("a governed change recorded nothing");
        return value;
      });
      killPoint("audit.event_committed");
      this.#afterCommit(rows);
      return result;
    } catch (error) {
      this.#head = before;
      throw isSqliteError(error) ? unavailable(error) : error;
    }
  }

  /** One event without a state change, e.g. a refusal. */
  record(event: AuditEvent): string {
    return this.transact((_tx, record) => record(event));
  }

  /**
   * One event of many a second, in the order of the calls. Resolves with the event's id when it is committed to the journal
   * (see pending-rows.ts; a power cut may take the last of them), rejects with `audit.unavailable`.
   */
  recordSoon(event: AuditEvent): Promise<string> {
    if (this.problem !== null) return Promise.reject(this.#notIntact());
    const made = newRow(event, this.#head, this.#deps);
    this.#head = { seq: made.row.seq, hash: made.row.row_hash };
    return this.#pending.add(made);
  }

  #insert(rows: readonly AuditRow[]): void {
    const { storage } = this.#deps;
    try {
      storage.quickTransaction((tx) => {
        for (const row of rows) insertRow(storage, tx, row);
      });
    } catch (error) {
      throw isSqliteError(error) ? unavailable(error) : error;
    }
    killPoint("audit.rows_inserted");
    this.#afterCommit(rows);
  }

  /** What waits is in the table; where that fails, whoever writes next hears of it, and a reader is shown what there is. */
  #settle(): Error | undefined {
    try {
      this.#pending.flush();
      return undefined;
    } catch (error) {
      return error as Error;
    }
  }

  /** Writes that govern nothing (when a folder was last seen); never for status, approvals or runs. */
  bookkeep<T>(change: (tx: Tx) => T): T {
    return this.#deps.storage.transaction(change);
  }

  /** The newest intent about that subject: the cause of what closes it after a crash. */
  intentOf(subject: AuditEvent["subject"], type?: AuditEventType): string | null {
    return newestIntent(this.#deps.storage, subject, type);
  }

  /** By its id, or by its number as lists show it. */
  find(id: string): AuditEventJson | undefined {
    this.#settle();
    const { storage } = this.#deps;
    const row = SEQ.test(id) ? rowBySeq(storage, Number(id)) : rowByEventId(storage, id);
    return row === undefined ? undefined : eventOfRow(row);
  }

  newestAbout(subject: AuditEvent["subject"]): AuditEventJson | undefined {
    const row = newestRow(this.#deps.storage, subject);
    return row === undefined ? undefined : eventOfRow(row);
  }

  /** Newest first; `next` is the cursor of the following page. */
  list(
    filter: AuditFilter,
    page: { limit: number; cursor?: string | undefined },
  ): { items: AuditEventJson[]; next: string | null } {
    this.#settle();
    const before = page.cursor === undefined ? undefined : Number(page.cursor);
    if (page.cursor !== undefined && !SEQ.test(page.cursor)) {
      throw new CoreError("usage.invalid", "the cursor is not one that a list gave out", {
        nextStep: "opensentience audit list",
      });
    }
    const rows = rowsMatching(this.#deps.storage, filter, { order: "newest", before, limit: page.limit + 1 });
    const items = rows.slice(0, page.limit).map(eventOfRow);
    return { items, next: rows.length > page.limit ? String(items.at(-1)?.seq) : null };
  }

  /** Calls that the Core before this one handed over and did not see the end of; `startSeq` is the row of this one's start. */
  openCalls(startSeq: number): AuditEventJson[] {
    return openCalls(this.#deps.storage, startSeq).map(eventOfRow);
  }

  /** Intents of these types about agents that nothing followed, oldest first: what a crash left open. */
  openIntents(types: readonly AuditEventType[]): AuditEventJson[] {
    return openIntents(this.#deps.storage, types).map(eventOfRow);
  }

  /** Oldest first after `afterSeq`, one batch; empty when there is nothing newer. */
  after(filter: AuditFilter, afterSeq: number, limit = 500): AuditEventJson[] {
    this.#settle();
    return rowsMatching(this.#deps.storage, filter, { order: "oldest", after: afterSeq, limit }).map(eventOfRow);
  }

  /** The seq before the last `count` matching events: where a tail begins. */
  tailStart(filter: AuditFilter, count: number): number {
    this.#settle();
    if (count === 0) return this.#head.seq;
    const oldest = rowsMatching(this.#deps.storage, filter, { order: "newest", limit: count }).at(-1);
    return oldest === undefined ? 0 : oldest.seq - 1;
  }

  get head(): Head {
    return this.#head;
  }

  /** Called with the rows of every commit that appended; must not throw. Returns how to unsubscribe. */
  onAppend(listener: (rows: readonly AuditRow[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * `against`: a checkpoint kept elsewhere. Throws `audit.invalid_note` for a text that this Core did not sign, and
   * `audit.unavailable` where all that is in the table fits, and the table does not take the newest rows.
   */
  async verify(against?: string): Promise<VerifyJson> {
    const failure = this.#settle();
    await this.#checkpointQueue;
    const verdict = await verifyChain(this.#deps.storage, {
      notes: this.#deps.checkpoints.read(),
      newestNote: this.#newestNote,
      against: against === undefined ? undefined : this.#signed(against),
      head: () => headBefore(this.#pending.outside.oldest) ?? this.#head,
    });
    if (failure !== undefined && verdict.status === "intact") throw rowsWait(this.#pending.outside.count, failure);
    return verdict;
  }

  #signed(text: string): Checkpoint {
    const note = this.#deps.checkpoints.parse(text);
    if (note.valid) return note;
    throw new CoreError("audit.invalid_note", "the note is not a checkpoint that this Core signed", {
      nextStep: "opensentience audit checkpoint",
    });
  }

  /**
   * Erases the metadata of one row, e.g. a secret that got past the redaction. The tombstone is written in the same
   * transaction; the row's digest stays, so the chain stays whole. Throws audit.event_not_found, audit.not_erasable.
   */
  erase(seq: number, reason: string, act: Act): AuditEventJson {
    const { storage } = this.#deps;
    const row = rowBySeq(storage, seq);
    if (row === undefined)
      throw new CoreError("audit.event_not_found", "no audit event has that number", {
        nextStep: "opensentience audit list",
      });
    if (row.metadata_json === null || row.event_type === "audit.erased") {
      throw new CoreError("audit.not_erasable", "that row is erased already, or is a tombstone itself", {
        nextStep: `opensentience audit show ${row.event_id}`,
      });
    }
    this.transact((tx, record) => {
      record({ type: "audit.erased", act, subject: { type: "audit_event", id: String(seq) }, metadata: { reason } });
      eraseMetadata(storage, tx, seq);
    });
    killPoint("audit.erased");
    storage.flushJournal();
    this.#deps.journal.clear();
    return eventOfRow({ ...row, metadata_json: null, meta_salt: null });
  }

  /** Signs the head as it is now; one after another, so that the file stays in order. */
  checkpoint(): Promise<{ note: string; size: number }> {
    if (this.problem !== null) return Promise.reject(this.#notIntact());
    this.#settle();
    const { seq, hash } = this.#head;
    this.#checkpointed = seq;
    const written = this.#checkpointQueue.then(async () => ({ note: await this.#sign(seq, hash), size: seq }));
    this.#checkpointQueue = written.catch(() => undefined);
    return written;
  }

  /** The note first: a crash in between leaves a note more than the database knows, never one less. */
  async #sign(size: number, rowHash: string): Promise<string> {
    const { checkpoints, storage } = this.#deps;
    const unrecorded = unrecordedNote(storage, checkpoints);
    if (unrecorded !== undefined) storage.transaction((tx) => recordCheckpoint(storage, tx, unrecorded));
    const { note, noteHash } = await checkpoints.write(size, rowHash, new Date().toISOString(), this.#newestNote);
    killPoint("audit.checkpoint_written");
    this.#newestNote = noteHash;
    storage.transaction((tx) => recordCheckpoint(storage, tx, { size, rowHash, noteHash }));
    killPoint("audit.checkpoint_recorded");
    return note;
  }

  /** Last checkpoint, no more timers. The storage is closed by its owner afterwards. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#settle();
    await this.#checkpointQueue;
    if (this.problem === null && this.#head.seq > this.#checkpointed) await this.checkpoint();
    if (this.problem === null && this.#pending.isEmpty) this.#deps.journal.clear();
  }

  #notIntact(): CoreError {
    return new CoreError("audit.not_intact", `the audit log is not intact: ${this.problem}`, {
      nextStep: "opensentience audit verify",
    });
  }

  #append(tx: Tx, event: AuditEvent): AuditRow {
    const { row } = newRow(event, this.#head, this.#deps);
    insertRow(this.#deps.storage, tx, row);
    this.#head = { seq: row.seq, hash: row.row_hash };
    return row;
  }

  #afterCommit(rows: readonly AuditRow[]): void {
    for (const listener of this.#listeners) listener(rows);
    const isSecurity = rows.some(({ severity }) => severity === "security");
    const pending = this.#head.seq - this.#checkpointed;
    if (isSecurity || pending >= this.#deps.checkpointEvents) {
      this.checkpoint().catch(this.#deps.onCheckpointError);
    } else {
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined;
        if (this.#head.seq > this.#checkpointed) this.checkpoint().catch(this.#deps.onCheckpointError);
      }, this.#deps.checkpointIntervalMs).unref();
    }
  }
}

/** As every interface shows it. */
export function eventOfRow(row: AuditRow): AuditEventJson {
  const { meta_salt: _salt, meta_digest: _digest, metadata_json, observer: _observer, ...rest } = row;
  return { ...rest, metadata: metadata_json === null ? null : JSON.parse(metadata_json) } as AuditEventJson;
}

function isSqliteError(error: unknown): boolean {
  return (error as { code?: string } | null)?.code === "ERR_SQLITE_ERROR";
}

function unavailable(cause: unknown): CoreError {
  return new CoreError("audit.unavailable", "the audit log cannot be written, so nothing was done", {
    cause,
    nextStep: "opensentience audit verify",
  });
}
