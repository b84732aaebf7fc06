/** Reads what a log holds at one moment, rotated files included; the last lines are found from the end backwards. */

import {
  ForwardJoiner,
  LONGEST_JOINED,
  type LogRecord,
  type LogStream,
  parseRecord,
  stampOf,
  type StoredRecord,
} from "./log-record.ts";
import { endOfLastLine, linesBackward, linesForward, openAllStored, type StoredFile } from "./stored-lines.ts";

/** How much further back the beginning of a cut line is looked for. */
const MOST_EXTRA_CHARACTERS = 1 << 20;

export type ReadOptions = {
  /** Only so many of the last lines. */
  tail?: number;
  /** RFC 3339; only lines from then on. */
  since?: string;
};

/** What was found, lines that are still being written, and where to read on. */
export type History = {
  records: LogRecord[];
  open: LogRecord[];
  position: { file: StoredFile; offset: number } | undefined;
};

/**
 * The records of a log in order, over rotated files, up to where it ends at this moment; none when there is no file.
 * Memory depends on `tail` or, without it, on nothing: the reader takes the records one by one, and what it does not
 * take is not read. Time depends on `tail` too, where there is one.
 */
export async function* readLog(path: string, options: ReadOptions = {}): AsyncGenerator<LogRecord, void, undefined> {
  const from = sinceStamp(options.since);
  if (options.tail === undefined) {
    for await (const record of everyRecord(path)) if (record.at >= from) yield record;
    return;
  }
  const { records, open, position } = await readHistory(path, { ...options, tail: options.tail });
  await position?.file.handle.close();
  const unfinished = open.filter((record) => record.at >= from).map((record) => ({ ...record, truncated: true }));
  const all = [...records, ...unfinished];
  yield* all.slice(all.length - Math.min(all.length, Math.max(0, options.tail)));
}

/** The last records, in memory. The caller closes `position.file`. */
export async function readHistory(path: string, options: ReadOptions & { tail: number }): Promise<History> {
  const files = await openAllStored(path);
  const [newest, ...older] = files;
  try {
    const from = sinceStamp(options.since);
    const { records, open } = await readTail(files, options.tail);
    const offset = newest === undefined ? 0 : await endOfLastLine(newest);
    return {
      records: records.filter((record) => record.at >= from),
      open,
      position: newest === undefined ? undefined : { file: newest, offset },
    };
  } catch (error) {
    await newest?.handle.close();
    throw error;
  } finally {
    for (const file of older) await file.handle.close();
  }
}

/** A time that is not one counts as "from the beginning". The result compares as text with stored times. */
export function sinceStamp(since: string | undefined): string {
  const ms = since === undefined ? Number.NaN : Date.parse(since);
  return Number.isNaN(ms) ? "" : stampOf(new Date(ms));
}

async function* everyRecord(path: string): AsyncGenerator<LogRecord, void, undefined> {
  const files = await openAllStored(path);
  const joiner = new ForwardJoiner();
  try {
    for (const file of files.toReversed())
      for await (const lines of linesForward(file))
        for (const line of lines) {
          const stored = parseRecord(line);
          const record = stored === undefined ? undefined : joiner.add(stored);
          if (record !== undefined) yield record;
        }
    yield* joiner.unfinished();
  } finally {
    for (const file of files) await file.handle.close();
  }
}

async function readTail(
  files: readonly StoredFile[],
  tail: number,
): Promise<{ records: LogRecord[]; open: LogRecord[] }> {
  const joiner = new BackwardJoiner(Math.max(0, tail));
  for (const file of files)
    for await (const lines of linesBackward(file))
      for (const line of lines.toReversed()) {
        if (joiner.enough) return joiner.result();
        const stored = parseRecord(line);
        if (stored !== undefined) joiner.add(stored);
      }
  return joiner.result();
}

/** Joins the pieces of cut lines, reading backwards: the last piece of a line comes first. */
class BackwardJoiner {
  readonly #tail: number;
  /** The newest first. */
  readonly #records: LogRecord[] = [];
  readonly #unfinished: LogRecord[] = [];
  readonly #growing = new Map<LogStream, LogRecord>();
  readonly #seen = new Set<LogStream>();
  #extra = 0;

  constructor(tail: number) {
    this.#tail = tail;
  }

  get #full(): boolean {
    return this.#records.length >= this.#tail;
  }

  get enough(): boolean {
    return this.#full && (this.#growing.size === 0 || this.#extra > MOST_EXTRA_CHARACTERS);
  }

  add(stored: StoredRecord): void {
    if (this.#full) this.#extra += stored.text.length;
    if (stored.final) this.#begin(stored);
    else this.#prepend(stored);
    this.#seen.add(stored.stream);
  }

  #begin(stored: StoredRecord): void {
    // A last piece also says that the line after it in this stream is complete to its beginning.
    this.#growing.delete(stored.stream);
    if (this.#full) return;
    const record: LogRecord = { at: stored.at, stream: stored.stream, line: stored.text.slice(0, LONGEST_JOINED) };
    if (stored.text.length > LONGEST_JOINED) record.truncated = true;
    this.#records.push(record);
    this.#growing.set(stored.stream, record);
  }

  #prepend(stored: StoredRecord): void {
    let record = this.#growing.get(stored.stream);
    if (record === undefined) {
      // Only the newest line of a stream can lack its last piece; any other belongs to a line that is not wanted.
      if (this.#seen.has(stored.stream)) return;
      record = { at: stored.at, stream: stored.stream, line: "" };
      this.#unfinished.push(record);
      this.#growing.set(stored.stream, record);
    }
    record.at = stored.at;
    if (record.line.length + stored.text.length > LONGEST_JOINED) record.truncated = true;
    record.line = (stored.text + record.line).slice(0, LONGEST_JOINED);
  }

  result(): { records: LogRecord[]; open: LogRecord[] } {
    return { records: this.#records.toReversed(), open: this.#unfinished };
  }
}
