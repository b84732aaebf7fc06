/**
 * Rows of calls on their way into the table: many a second, and a caller waits for each.
 *
 * A row is finished (its place in the chain, its hashes) when it comes here. It is committed by one write into the
 * journal, those of one callback together; who waits for it hears of it then. The table gets it a little later, with all
 * that came meanwhile, in one transaction. A Core that was killed in between left it in the journal, and the next one
 * puts it where it belongs before it does anything else: `rowsToReplay`.
 *
 * Nobody sees the difference: what reads the log, and what writes to it in another way, makes it `flush` before.
 * A log that cannot be written stays closed: after a failure each row waits for the table.
 */
import { CoreError } from "@opensentience/protocol";
import type { JournalFile } from "../host/journal-file.ts";
import { killPoint } from "../host/kill-point.ts";
import type { AuditRow } from "./chain.ts";
import { journalLine, rowOfLine } from "./journal-line.ts";
import type { NewRow } from "./new-row.ts";
import type { Head } from "./verification.ts";

/** How long a row may stay in the journal alone, in ms; and while the table cannot be written. */
const [PENDING_MS, RETRY_MS] = [50, 1_000];
/** Rows that may stay there: to insert them takes a few ms, in which nothing else happens. */
const MOST_PENDING = 500;

type Unwritten = { made: NewRow; resolve: (eventId: string) => void; reject: (error: unknown) => void };

export type PendingRowsDeps = {
  journal: JournalFile;
  /** Puts all rows into the table or throws. */
  insert: (rows: readonly AuditRow[]) => void;
  /** These, the newest of all, will never be in the log. */
  withdraw: (rows: readonly AuditRow[]) => void;
};

export class PendingRows {
  readonly #deps: PendingRowsDeps;
  /** In the journal, not in the table. */
  #pending: AuditRow[] = [];
  #unwritten: Unwritten[] = [];
  #isFailing = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: PendingRowsDeps) {
    this.#deps = deps;
  }

  /** Resolves with its event's id when the row survives Core; rejects when it was withdrawn. */
  add(made: NewRow): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.#unwritten.push({ made, resolve, reject }) === 1) process.nextTick(() => this.#write());
    });
  }

  /** Whether everything is in the table. */
  get isEmpty(): boolean {
    return this.#pending.length === 0 && this.#unwritten.length === 0;
  }

  /** What the table does not have yet: how many rows, and the oldest of them. */
  get outside(): { count: number; oldest: AuditRow | undefined } {
    const oldest = this.#pending[0] ?? this.#unwritten[0]?.made.row;
    return { count: this.#pending.length + this.#unwritten.length, oldest };
  }

  /** Everything goes into the table now. Throws when it cannot; what was in the journal only stays there. */
  flush(): void {
    const unwritten = this.#unwritten;
    if (this.isEmpty) return;
    this.#unwritten = [];
    try {
      this.#deps.insert([...this.#pending, ...unwritten.map(({ made }) => made.row)]);
    } catch (error) {
      this.#isFailing = true;
      this.#deps.withdraw(unwritten.map(({ made }) => made.row));
      for (const { reject } of unwritten) reject(error);
      throw error;
    }
    this.#isFailing = false;
    this.#pending = [];
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#deps.journal.restart();
    for (const { made, resolve } of unwritten) resolve(made.row.event_id);
  }

  #write(): void {
    if (this.#unwritten.length === 0) return;
    if (this.#isFailing || this.#pending.length > MOST_PENDING) return this.#tryToFlush();
    const unwritten = this.#unwritten;
    this.#unwritten = [];
    try {
      let lines = "";
      for (const { made } of unwritten) lines += journalLine(made);
      this.#deps.journal.append(lines);
    } catch {
      // The table may still take them.
      this.#unwritten = unwritten;
      return this.#tryToFlush();
    }
    killPoint("audit.rows_journaled");
    for (const { made, resolve } of unwritten) {
      this.#pending.push(made.row);
      resolve(made.row.event_id);
    }
    this.#timer ??= setTimeout(() => this.#late(), PENDING_MS).unref();
  }

  #late(): void {
    this.#timer = undefined;
    this.#tryToFlush();
    if (this.#pending.length > 0) this.#timer ??= setTimeout(() => this.#late(), RETRY_MS).unref();
  }

  /** Whoever waits was told; the next one who needs the table will hear of it, too. */
  #tryToFlush(): void {
    try {
      this.flush();
    } catch {
      // Said by `reject`.
    }
  }
}

/**
 * Of what a journal holds, the rows that go on from `head`; the others are in the table, or are none. SECURITY: each is held
 * to the chain, so that nothing else in that file becomes a row. Pinned by "only rows that go on from the head are taken".
 */
export function rowsToReplay(lines: readonly string[], head: Head): AuditRow[] {
  const rows: AuditRow[] = [];
  let { seq, hash } = head;
  for (const line of lines) {
    const row = rowOfLine(line);
    if (row?.seq !== seq + 1 || row.prev_hash !== hash) continue;
    rows.push(row);
    ({ seq, row_hash: hash } = row);
  }
  return rows;
}

/** For who asks whether the log is whole: nothing is known to be missing, and nothing more can be said. */
export function rowsWait(count: number, cause: unknown): CoreError {
  const what = count === 1 ? "1 event waits" : `${count} events wait`;
  return new CoreError(
    "audit.unavailable",
    `what is in the audit log fits and nothing is known to be missing, but ${what} in state/audit.journal and the database takes nothing: free space on the disk and verify again`,
    { cause, nextStep: "opensentience audit verify" },
  );
}
