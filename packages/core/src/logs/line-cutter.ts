/** Turns redacted text into records: finds the lines, cuts the long ones, stamps them. One per stream. */

import type { Clock, LogRecord, LogStream } from "./log-record.ts";

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
  /** Takes whole records. */
  write: (records: string) => void;
  lastLines: LastLines;
  onLine: ((record: LogRecord) => void) | undefined;
};

export class LineCutter {
  readonly #options: LineCutterOptions;
  #partial = "";
  #lines = 0;

  constructor(options: LineCutterOptions) {
    this.#options = options;
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
    const long = this.#countLines(lines);
    this.#options.lastLines.addAll(lines);
    if (long) {
      for (const line of lines.slice(0, -1).split("\n")) this.#record("F", this.#cut(line));
      return;
    }
    const { clock, stream, write, onLine } = this.#options;
    const at = clock.stamp();
    const prefix = `${at} ${stream} F `;
    const body = lines.slice(0, -1);
    write(`${prefix}${body.replaceAll("\n", `\n${prefix}`)}\n`);
    if (onLine !== undefined) for (const line of body.split("\n")) onLine({ at, stream, line });
  }

  /** Counts the lines; true when one may be over the limit. */
  #countLines(text: string): boolean {
    // A UTF-16 unit takes at most 3 bytes of UTF-8.
    const surelyShort = Math.floor(this.#options.maxLineBytes / 3);
    let long = false;
    let start = 0;
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n", start)) {
      this.#lines += 1;
      if (end - start > surelyShort && !long)
        long = Buffer.byteLength(text.slice(start, end)) > this.#options.maxLineBytes;
      start = end + 1;
    }
    return long;
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
