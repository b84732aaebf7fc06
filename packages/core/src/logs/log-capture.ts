/**
 * Capture of one run: bytes of stdout and stderr in, redacted records in a file out. Order of the work on every chunk:
 * decode (over chunk borders), redact, cut into lines, stamp, write. Neither a flood nor a line without an end makes
 * memory grow: while the file is behind, the readers are paused and the kernel slows the agent.
 */

import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import type { Redactor } from "../audit-log/audit-log.ts";
import { LastLines, LineCutter } from "./line-cutter.ts";
import { LogFile, type LogFileState } from "./log-file.ts";
import { Clock, type LogRecord, type LogStream } from "./log-record.ts";

/** Readers are paused while more than this waits to be written, and go on at half of it. */
const MOST_BACKLOG = 2 << 20;
/** After the process has ended, a pipe from which nothing came for so long is taken to be empty. */
const QUIET_MS = 100;

export type CaptureLimits = { maxLineBytes: number; maxFileBytes: number; maxFiles: number };

export type CaptureOptions = {
  stdout: Readable;
  stderr: Readable;
  path: string;
  limits: CaptureLimits;
  redactor: Redactor;
  now?: () => Date;
  /** Every record as it is written; a piece of a cut line is marked `truncated`. Must not throw. */
  onLine?: (record: LogRecord) => void;
  onDegraded?: (state: LogFileState) => void;
};

export type LogCapture = {
  /**
   * After the process has exited: takes what is in the pipes for at most `boundMs`, then lets go of them, adds `lastNote`,
   * and resolves when everything is in the file. Never rejects; idempotent.
   */
  drainAndClose(boundMs: number, lastNote?: string): Promise<void>;
  /** Adds a line of stream `core`; ignored once the capture is closed. */
  note(text: string): void;
  /** `bytes` as read, `lines` finished, `droppedLines` not written because the file failed. */
  readonly stats: { lines: number; bytes: number; droppedLines: number };
  /** The last 20 lines of stdout and stderr, redacted. */
  readonly lastLines: string[];
};

/** Starts to capture; the file is created when the first line comes. */
export function captureLogs(options: CaptureOptions): LogCapture {
  return new Capture(options);
}

/** What belongs to one of the two streams. */
class Source {
  readonly #readable: Readable;
  readonly #cutter: LineCutter;
  readonly #redaction: ReturnType<Redactor["stream"]>;
  readonly #decoder = new StringDecoder("utf8");
  readonly #onEnd: () => void;
  ended = false;

  constructor(readable: Readable, cutter: LineCutter, redactor: Redactor, onEnd: () => void) {
    this.#readable = readable;
    this.#cutter = cutter;
    this.#redaction = redactor.stream();
    this.#onEnd = onEnd;
  }

  listen(onChunk: (bytes: number) => void): void {
    const readable = this.#readable;
    const end = (): void => this.end();
    readable.on("data", (chunk: Buffer | string) => {
      if (this.ended) return;
      const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
      this.#take(this.#decoder.write(bytes));
      onChunk(bytes.length);
    });
    readable.on("end", end).on("close", end).on("error", end);
    if (readable.destroyed || readable.readableEnded) end();
  }

  /** The line that was begun is finished by itself: to join it with the whole chunk would copy the chunk. */
  #take(text: string): void {
    const lineEnd = text.indexOf("\n") + 1;
    this.#cutter.push(this.#redaction.push(text.slice(0, lineEnd)));
    this.#cutter.push(this.#redaction.push(text.slice(lineEnd)));
  }

  end(): void {
    if (this.ended) return;
    this.ended = true;
    this.#cutter.push(this.#redaction.push(this.#decoder.end()) + this.#redaction.flush());
    this.#cutter.end();
    this.#onEnd();
  }

  letGo(): void {
    this.end();
    this.#readable.destroy();
  }

  pause(): void {
    if (!this.ended) this.#readable.pause();
  }

  resume(): void {
    if (!this.ended) this.#readable.resume();
  }
}

class Capture implements LogCapture {
  readonly #file: LogFile;
  readonly #redactor: Redactor;
  readonly #cutters: LineCutter[];
  readonly #notes: LineCutter;
  readonly #sources: Source[];
  readonly #lastLines = new LastLines();
  readonly #ended = Promise.withResolvers<void>();
  #bytes = 0;
  #chunks = 0;
  #paused = false;
  #closed = false;
  #done: Promise<void> | undefined;

  constructor(options: CaptureOptions) {
    const clock = new Clock(options.now ?? (() => new Date()));
    this.#redactor = options.redactor;
    this.#file = new LogFile({
      path: options.path,
      maxFileBytes: options.limits.maxFileBytes,
      maxFiles: options.limits.maxFiles,
      note: (text) => `${clock.stamp()} core F ${text}\n`,
      onDegraded: (state) => options.onDegraded?.(state),
      onDrain: () => this.#resume(),
    });
    const cutter = (stream: LogStream, lastLines: LastLines): LineCutter =>
      new LineCutter({
        stream,
        maxLineBytes: options.limits.maxLineBytes,
        clock,
        write: (...records) => this.#file.append(...records),
        lastLines,
        onLine: options.onLine,
      });
    const [stdout, stderr] = [cutter("stdout", this.#lastLines), cutter("stderr", this.#lastLines)];
    this.#cutters = [stdout, stderr];
    this.#notes = cutter("core", new LastLines());
    this.#sources = [
      new Source(options.stdout, stdout, options.redactor, () => this.#check()),
      new Source(options.stderr, stderr, options.redactor, () => this.#check()),
    ];
    for (const source of this.#sources) source.listen((bytes) => this.#count(bytes));
  }

  get stats(): { lines: number; bytes: number; droppedLines: number } {
    const lines = this.#cutters.reduce((sum, cutter) => sum + cutter.lines, 0);
    return { lines, bytes: this.#bytes, droppedLines: this.#file.droppedLines };
  }

  get lastLines(): string[] {
    return this.#lastLines.lines;
  }

  note(text: string): void {
    if (!this.#closed) this.#notes.push(`${this.#redactor.text(text)}\n`);
  }

  drainAndClose(boundMs: number, lastNote?: string): Promise<void> {
    return (this.#done ??= this.#drainAndClose(boundMs, lastNote));
  }

  async #drainAndClose(boundMs: number, lastNote: string | undefined): Promise<void> {
    const quiet = new AbortController();
    const bound = Promise.withResolvers<void>();
    const timer = setTimeout(bound.resolve, boundMs);
    await Promise.race([this.#ended.promise, bound.promise, this.#untilQuiet(quiet.signal)]);
    clearTimeout(timer);
    quiet.abort();
    for (const source of this.#sources) source.letGo();
    if (lastNote !== undefined) this.note(lastNote);
    this.#closed = true;
    await this.#file.close();
  }

  /** Resolves when nothing has come for a while although the readers were not paused. */
  async #untilQuiet(signal: AbortSignal): Promise<void> {
    for (;;) {
      const before = this.#chunks;
      await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
      // A busy machine runs the timer before it looks at the pipes: give it one look.
      await new Promise((resolve) => setImmediate(resolve));
      if (signal.aborted || (this.#chunks === before && !this.#paused)) return;
    }
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#chunks += 1;
    if (this.#paused || this.#file.backlog <= MOST_BACKLOG) return;
    this.#paused = true;
    for (const source of this.#sources) source.pause();
  }

  #resume(): void {
    if (!this.#paused || this.#file.backlog > MOST_BACKLOG / 2) return;
    this.#paused = false;
    for (const source of this.#sources) source.resume();
  }

  #check(): void {
    // The streams end one by one, the first perhaps before the second has been made.
    if (this.#sources.every((source) => source.ended)) this.#ended.resolve();
  }
}
