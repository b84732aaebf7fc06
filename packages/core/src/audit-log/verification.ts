/** Recomputes the whole chain and holds it against the checkpoints and the head that the running Core knows. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { VerifyJson } from "@opensentience/protocol";
import type { Storage } from "../storage/storage.ts";
import { digestMetadata, GENESIS, hashFields, isSalt, type AuditRow } from "./chain.ts";
import type { Checkpoint, Checkpoints } from "./checkpoints.ts";
import { indexProblem } from "./index-check.ts";
import {
  chainRowsAfter,
  lastRow,
  recordedCheckpoint,
  rowBySeq,
  rowOutOfRange,
  type ChainRow,
  type CheckpointRecord,
} from "./store.ts";

/** Rows per turn of the event loop, a few ms: other requests are answered in between, and no row outlives a collection. */
const BATCH = 500;

export type Head = { seq: number; hash: string };

export type Evidence = {
  /** Every note of Core's own file, oldest first. */
  notes: Checkpoint[];
  /** Hash of the newest note that this Core wrote or found at its start; null when there was none. */
  newestNote: string | null;
  /** A valid checkpoint that was kept elsewhere. */
  against?: Checkpoint | undefined;
  /** The head as Core knows it at this moment: it moves while verification runs. */
  head: () => Head;
};

type Problem = { status: "tampered" | "truncated"; at: number | null; message: string };

/**
 * `first_bad_seq` is the first row that is not what was written; for a cut under a running Core, the first row that is
 * gone. A cut that Core found at its start, and a row rewritten together with all its successors, are known by the
 * checkpoints only: the position is then the first row after the last checkpoint that still fits.
 */
export async function verifyChain(storage: Storage, evidence: Evidence): Promise<VerifyJson> {
  const notes = { checkpoint: noteJson(evidence.notes.at(-1)), against: noteJson(evidence.against) };
  try {
    const recorded = recordedCheckpoint(storage);
    const scan = new Scan(storage, evidence.head, marksOf([...evidence.notes, evidence.against], recorded));
    const indexes = indexProblem(storage);
    const found = (await scan.run()) ?? (await indexes.then((one) => one && tampered(one.at, one.message)));
    const problem =
      found ?? notesProblem(evidence, recorded?.noteHash ?? null) ?? recordProblem(evidence.notes, recorded);
    const events = scan.previous.seq;
    if (problem === undefined)
      return { status: "intact", events, first_bad_seq: null, ...notes, message: `${events} events, every hash fits` };
    return { status: problem.status, events, first_bad_seq: problem.at, ...notes, message: problem.message };
  } catch {
    return { status: "unreadable", events: 0, first_bad_seq: null, ...notes, message: "the audit log cannot be read" };
  }
}

function noteJson(note: Checkpoint | undefined): VerifyJson["checkpoint"] {
  return note === undefined ? null : { size: note.size, hash: note.hash, at: note.at, valid: note.valid };
}

class Scan {
  previous: Head = { seq: 0, hash: GENESIS };
  readonly #storage: Storage;
  readonly #head: () => Head;
  readonly #marks: Head[];
  #lastFitting = 0;
  /** Rows without metadata for which no tombstone has come yet. */
  readonly #erased = new Set<number>();

  constructor(storage: Storage, head: () => Head, marks: Head[]) {
    this.#storage = storage;
    this.#head = head;
    this.#marks = marks;
  }

  async run(): Promise<Problem | undefined> {
    const broken = await this.#rows();
    const outOfRange = numberProblem(this.#storage);
    if (outOfRange !== undefined && outOfRange.at < (broken?.at ?? outOfRange.at + 1)) return outOfRange;
    // SECURITY: only a tombstone that verified, later than the row, excuses missing metadata: anybody can write a row
    // that looks like one behind a break. Pinned by "does not believe a tombstone that is not part of the chain".
    const [erased] = this.#erased;
    if (erased === undefined || (broken?.at !== undefined && broken.at !== null && broken.at < erased)) return broken;
    return {
      status: "tampered",
      at: erased,
      message: `the metadata of event ${erased} was removed without a tombstone`,
    };
  }

  async #rows(): Promise<Problem | undefined> {
    const hashesAt = Map.groupBy(this.#marks, (one) => one.seq);
    for (;;) {
      const rows = chainRowsAfter(this.#storage, this.previous.seq, BATCH);
      for (const row of rows) {
        const seq = row[0];
        const hash = row[3];
        if (seq > this.#head().seq) break;
        const problem = rowProblem(row, this.previous);
        if (problem !== undefined) return tampered(this.previous.seq + 1, problem);
        this.previous = { seq, hash };
        this.#noteErasure(row);
        const expected = hashesAt.get(seq);
        if (expected?.some((one) => one.hash !== hash) === true) return this.#rewritten(seq);
        if (expected !== undefined) this.#lastFitting = seq;
      }
      // Nothing is awaited between this look at the head and the last one at the table.
      if (rows.length < BATCH || this.previous.seq >= this.#head().seq) return this.#end(this.#head());
      await nextTurn();
    }
  }

  #noteErasure(row: ChainRow): void {
    if (row[5] === null) this.#erased.add(row[0]);
    else if (row[6] !== null) this.#erased.delete(Number(row[6]));
  }

  #end(head: Head): Problem | undefined {
    const { seq, hash } = this.previous;
    if (seq < head.seq)
      return { status: "truncated", at: seq + 1, message: `${head.seq - seq} events at the end are gone` };
    const signed = this.#marks.reduce((largest, one) => Math.max(largest, one.seq), 0);
    if (seq < signed)
      return {
        status: "truncated",
        at: this.#lastFitting + 1,
        message: `events up to ${signed} were signed, and there are only ${seq}; what follows event ${this.#lastFitting} cannot be relied on`,
      };
    if (hash !== head.hash)
      return tampered(this.#lastFitting + 1, "the chain was rewritten: it does not fit the head that Core knows");
    // SECURITY: rows that Core did not write are shown by lists all the same, so they must not pass here.
    // Pinned by "finds rows behind the head that Core knows".
    if (chainRowsAfter(this.#storage, seq, 1).length > 0)
      return tampered(seq + 1, `what follows event ${seq} was not written by Core`);
    return undefined;
  }

  #rewritten(seq: number): Problem {
    return tampered(this.#lastFitting + 1, `the chain was rewritten: it does not fit the checkpoint of ${seq} events`);
  }
}

/** The head that comes before that row; undefined without one. */
export function headBefore(row: AuditRow | undefined): Head | undefined {
  return row === undefined ? undefined : { seq: row.seq - 1, hash: row.prev_hash };
}

type Adopted = {
  head: Head;
  /** Why Core must not go on, or null. */
  problem: string | null;
  /** Events that the newest note covers. */
  checkpointed: number;
  /** Hash of the newest note that the database knows. */
  newestNote: string | null;
};

/** What the table and the notes say at Core's start. Never throws: a table that cannot be read is a problem, too. */
export function headToAdopt(storage: Storage, notes: Checkpoint[]): Adopted {
  const checkpointed = notes.at(-1)?.size ?? 0;
  try {
    const recorded = recordedCheckpoint(storage);
    const found = headAmong(storage, marksOf(notes, recorded));
    const problem = found.problem ?? recordProblem(notes, recorded)?.message ?? null;
    return { head: found.head, problem, checkpointed, newestNote: recorded?.noteHash ?? null };
  } catch {
    const problem = "the audit log cannot be read";
    return { head: { seq: 0, hash: GENESIS }, problem, checkpointed, newestNote: null };
  }
}

/**
 * The head from which Core may go on, or why it must not. Looks at what no checkpoint covers yet, and that the newest
 * checkpoint still fits; the rest is for `verify`. SECURITY: a Core that adopted whatever row is last would append to
 * and sign what somebody else wrote or cut while it was down. Pinned by "a Core that starts refuses to go on".
 */
function headAmong(storage: Storage, marks: Head[]): Pick<Adopted, "head" | "problem"> {
  const newest = marks.reduce((one, other) => (other.seq > one.seq ? other : one), { seq: 0, hash: GENESIS });
  const last = lastRow(storage);
  const head = last === undefined ? { seq: 0, hash: GENESIS } : { seq: last.seq, hash: last.row_hash };
  if (newest.seq > 0) {
    const row = rowBySeq(storage, newest.seq);
    if (row === undefined || marks.some((one) => one.seq === newest.seq && one.hash !== row.row_hash))
      return { head, problem: `what was signed as the first ${newest.seq} events is not there any more` };
  }
  const outOfRange = numberProblem(storage);
  if (outOfRange !== undefined) return { head, problem: outOfRange.message };
  let previous: Head = newest;
  for (;;) {
    const rows = chainRowsAfter(storage, previous.seq, BATCH);
    for (const row of rows) {
      const problem = rowProblem(row, previous);
      if (problem !== undefined) return { head, problem };
      previous = { seq: row[0], hash: row[3] };
    }
    if (rows.length < BATCH) return { head: previous, problem: null };
  }
}

/** What the chain has to fit: every valid note, and the newest checkpoint as the database remembers it. */
function marksOf(notes: (Checkpoint | undefined)[], recorded: CheckpointRecord | null): Head[] {
  const signed = notes.flatMap((one) => (one?.valid === true ? [{ seq: one.size, hash: one.hash }] : []));
  return recorded === null ? signed : [...signed, { seq: recorded.size, hash: recorded.rowHash }];
}

/**
 * SECURITY: the chain begins at 1, so a row in front of it breaks no hash, and lists show it all the same.
 * Pinned by "finds a row in front of the first one".
 */
function numberProblem(storage: Storage): (Problem & { at: number }) | undefined {
  const at = rowOutOfRange(storage);
  return at === undefined ? undefined : { ...tampered(at, `event ${at} was not written by Core`), at };
}

function tampered(at: number | null, message: string): Problem {
  return { status: "tampered", at, message };
}

/** The notes among themselves: each signed by this Core, each following the one before, the newest still there. */
function notesProblem({ notes, newestNote }: Evidence, recordedNote: string | null): Problem | undefined {
  if (notes.some((one) => !one.valid)) return tampered(null, "a checkpoint is damaged or was not signed by this Core");
  const hashes = notes.map((one) => one.noteHash);
  const isChained = notes.every((one, at) => one.previous === (hashes[at - 1] ?? null));
  // SECURITY: whoever removes the file of checkpoints removes what a cut or rewritten log does not fit.
  // Pinned by "finds a file of checkpoints that was removed, also after Core signed again".
  const hasNewest = [newestNote, recordedNote].every((one) => one === null || hashes.includes(one));
  return isChained && hasNewest ? undefined : tampered(null, "a checkpoint is missing from the file of checkpoints");
}

/**
 * SECURITY: without what the database remembers, notes could be taken off the end of their file. It is written behind each
 * note, and made good before the second one (`AuditLog.#sign`), so only a crash behind the very first explains that there is
 * none. Pinned by "finds that the database was made to forget the newest checkpoint".
 */
function recordProblem(notes: Checkpoint[], recorded: CheckpointRecord | null): Problem | undefined {
  return recorded !== null || notes.length <= 1
    ? undefined
    : tampered(null, `there are ${notes.length} checkpoints, and the database has lost the newest of them`);
}

/** The first note, where a crash behind it kept the database from remembering it. */
export function unrecordedNote(storage: Storage, checkpoints: Checkpoints): CheckpointRecord | undefined {
  const [first, second] = recordedCheckpoint(storage) === null ? checkpoints.read() : [];
  if (first?.valid !== true || second !== undefined) return undefined;
  return { size: first.size, rowHash: first.hash, noteHash: first.noteHash };
}

/** Whether the row is what follows `previous`; whether missing metadata are excused is decided at the end. */
function rowProblem(row: ChainRow, previous: Head): string | undefined {
  // By number: taking an array apart by a pattern walks an iterator, for each of what may be millions of rows.
  const seq = row[0];
  const fieldsJson = row[1];
  const metaSalt = row[4];
  const metadataJson = row[5];
  if (seq !== previous.seq + 1) return `event ${previous.seq + 1} is missing`;
  if (row[2] !== previous.hash) return `event ${seq} does not follow the one before it`;
  if (hashFields(previous.hash, fieldsJson) !== row[3]) return `event ${seq} was changed`;
  if (metadataJson === null) return undefined;
  return metaSalt !== null && isSalt(metaSalt) && endsWithText(fieldsJson, digestMetadata(metaSalt, metadataJson))
    ? undefined
    : `the metadata of event ${seq} was changed`;
}

/**
 * Whether that text is the last of the array. No text inside the array can look like its end: a quotation mark in a text is
 * escaped. Piece by piece: to put the end together takes as long as a hash, for each of what may be millions of rows.
 */
function endsWithText(arrayJson: string, text: string): boolean {
  const end = arrayJson.length - 2;
  return arrayJson.endsWith(text, end) && arrayJson.endsWith(',"', end - text.length) && arrayJson.endsWith('"]');
}
