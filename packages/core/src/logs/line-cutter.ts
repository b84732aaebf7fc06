/** Turns redacted text into records: finds the lines, cuts the long ones, stamps them. One per stream. */

import type { Clock, LogRecord, LogStream } from "./log-record.ts";

/** So much is stamped at once: stamps may make it twenty times longer, and yet it should fit in the processor's cache. */
const PIECE = 16_384;
/** Of one character in UTF-8: a piece holds at least one, or a long line would be cut for ever. */
const MAX_CHARACTER_BYTES = 4;
const KEPT_LINES = 20;
const KEPT_CHARACTERS = 2048;

/** The last lines of a run, for messages about its end. */
export class LastLines {
  #lines: string[] = [];

  /** `text` holds whole lines; only its end is looked at. */
  addAll(text: string): void {
    let start = text.length - 1;
    for (let count = 0; count < KEPT_LINES && start > 0; count += 1) start = text.lastIndexOf("\n", start - 1);
    const lines = text.slice(start > 0 ? start + 1 : 0, -1).split("\n");
    this.#lines.push(...lines.map((line) => line.slice(0, KEPT_CHARACTERS)));
    this.#lines = this.#lines.slice(-KEPT_LINES);
  }

  get lines(): string[] {
    return [...this.#lines];
  }
}

export type LineCutterOptions = {
  stream: LogStream;
  maxLineBytes: number;
  clock: Clock;
  /** Takes whole records, perhaps in parts. */
  write: (...records: readonly string[]) => void;
  lastLines: LastLines;
  onLine: ((record: LogRecord) => void) | undefined;
};

export class LineCutter {
  readonly #options: LineCutterOptions;
  #partial = "";
  #lines = 0;

  constructor(options: LineCutterOptions) {
    this.#options = { ...options, maxLineBytes: Math.max(options.maxLineBytes, MAX_CHARACTER_BYTES) };
  }

  /** Finished lines so far. */
  get lines(): number {
    return this.#lines;
  }

  push(text: string): void {
    if (text === "") return;
    const end = text.lastIndexOf("\n") + 1;
    if (end > 0) {
      this.#wholeLines(this.#partial + text.slice(0, end));
      this.#partial = text.slice(end);
    } else this.#partial += text;
    this.#partial = this.#cut(this.#partial);
  }

  /** The stream has ended: a line without its line end counts as a line. */
  end(): void {
    if (this.#partial === "") return;
    this.#wholeLines(`${this.#partial}\n`);
    this.#partial = "";
  }

  #wholeLines(text: string): void {
    const lines = text.includes("\r\n") ? text.replaceAll("\r\n", "\n") : text;
    this.#options.lastLines.addAll(lines);
    if (this.#hasLong(lines)) {
      const each = lines.slice(0, -1).split("\n");
      this.#lines += each.length;
      for (const line of each) this.#record("F", this.#cut(line));
      return;
    }
    for (let start = 0; start < lines.length;) {
      const end = lines.lastIndexOf("\n", start + PIECE) + 1;
      const lineEnd = end > start ? end : lines.indexOf("\n", start) + 1;
      this.#shortLines(lines.slice(start, lineEnd - 1));
      start = lineEnd;
    }
  }

  /** Stamps lines at once, without the last line end. */
  #shortLines(body: string): void {
    const { clock, stream, write, onLine } = this.#options;
    const at = clock.stamp();
    const prefix = `${at} ${stream} F `;
    // By pattern: with a string, the engine would build the result piece by piece.
    const records = body.replaceAll(/\n/g, `\n${prefix}`);
    // Every line but the first made the text longer by one prefix: no need to count them.
    this.#lines += 1 + (records.length - body.length) / prefix.length;
    write(prefix, records, "\n");
    if (onLine !== undefined) for (const line of body.split("\n")) onLine({ at, stream, line });
  }

  /** Whether one of the lines is over the limit; leaps over the short ones. */
  #hasLong(text: string): boolean {
    const { maxLineBytes } = this.#options;
    // A UTF-16 unit takes at most 3 bytes of UTF-8.
    const surelyShort = Math.floor(maxLineBytes / 3);
    let start = 0;
    while (text.length - start > surelyShort) {
      let end = text.lastIndexOf("\n", start + surelyShort);
      if (end < start) {
        end = text.indexOf("\n", start);
        if (Buffer.byteLength(text.slice(start, end)) > maxLineBytes) return true;
      }
      start = end + 1;
    }
    return false;
  }

  /** Writes pieces while the line is over the limit; gives what is left. Never cuts inside a character. */
  #cut(line: string): string {
    const { maxLineBytes } = this.#options;
    if (line.length * 3 <= maxLineBytes) return line;
    const bytes = Buffer.from(line);
    let at = 0;
    while (bytes.length - at > maxLineBytes) {
      let end = at + maxLineBytes;
      while (end > at + 1 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
      this.#record("P", bytes.toString("utf8", at, end));
      at = end;
    }
    return at === 0 ? line : bytes.toString("utf8", at);
  }

  #record(flag: "F" | "P", line: string): void {
    const { clock, stream, write, onLine } = this.#options;
    const at = clock.stamp();
    write(`${at} ${stream} ${flag} ${line}\n`);
    if (onLine !== undefined) onLine(flag === "F" ? { at, stream, line } : { at, stream, line, truncated: true });
  }
}
