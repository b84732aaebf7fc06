/**
 * The CRI log format, one record per line: `<RFC 3339, 9 digits, UTC> <stream> F|P <text>`. `P` marks a piece of a
 * line that continues in the next record of the same stream.
 */

export type LogStream = "stdout" | "stderr" | "core";
/** One line of output. `truncated`: the rest of the line is missing or follows in the next record. */
export type LogRecord = { at: string; stream: LogStream; line: string; truncated?: boolean };
/** A record as it stands in the file. */
export type StoredRecord = { at: string; stream: LogStream; final: boolean; text: string };

/** A line that was cut into pieces is joined again up to this many characters. */
export const LONGEST_JOINED = 65_536;

const RECORD = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) (stdout|stderr|core) ([FP]) (.*)$/s;

/** Formats times; formatting is dear, so the text of the last millisecond is kept. */
export class Clock {
  readonly #now: () => Date;
  #ms = Number.NaN;
  #text = "";

  constructor(now: () => Date) {
    this.#now = now;
  }

  stamp(): string {
    const date = this.#now();
    const ms = date.getTime();
    if (ms !== this.#ms) {
      this.#ms = ms;
      this.#text = stampOf(date);
    }
    return this.#text;
  }
}

/** RFC 3339 in UTC with 9 fractional digits. */
export function stampOf(date: Date): string {
  return `${date.toISOString().slice(0, -1)}000000Z`;
}

/** Undefined for a line that Core did not write in this form (torn by a crash, or foreign). */
export function parseRecord(line: string): StoredRecord | undefined {
  const match = RECORD.exec(line);
  if (match === null) return undefined;
  const [, at = "", stream, flag, text = ""] = match;
  return { at, stream: stream as LogStream, final: flag === "F", text };
}

/** Joins the pieces of cut lines, reading forward. */
export class ForwardJoiner {
  readonly #open = new Map<LogStream, LogRecord>();

  /** Continues lines whose beginning was read already. */
  seed(open: Iterable<LogRecord>): void {
    for (const record of open) this.#open.set(record.stream, { ...record });
  }

  /** The finished line, or undefined when it goes on. */
  add(stored: StoredRecord): LogRecord | undefined {
    const open = this.#open.get(stored.stream);
    const record = open ?? { at: stored.at, stream: stored.stream, line: "" };
    const room = LONGEST_JOINED - record.line.length;
    if (stored.text.length > room) record.truncated = true;
    if (room > 0) record.line += stored.text.slice(0, room);
    if (stored.final) {
      this.#open.delete(stored.stream);
      return record;
    }
    if (open === undefined) this.#open.set(stored.stream, record);
    return undefined;
  }

  /** Lines whose last piece never came. */
  unfinished(): LogRecord[] {
    const left = [...this.#open.values()].map((record) => ({ ...record, truncated: true }));
    this.#open.clear();
    return left;
  }
}
