/**
 * Follows a log while it grows: over rotation, truncation and removal of its files. It waits on file system events and
 * looks again now and then, because events may be missing (and a run ends without any).
 */

import { type FSWatcher, watch } from "node:fs";
import { lstat } from "node:fs/promises";
import { dirname } from "node:path";
import { readHistory, type ReadOptions, sinceStamp } from "./log-history.ts";
import { ForwardJoiner, type LogRecord, parseRecord } from "./log-record.ts";
import { BLOCK_BYTES, LineSplitter, openAllStored, openStored, readBlock, type StoredFile } from "./stored-lines.ts";

const RECHECK_MS = 250;

export type FollowOptions = ReadOptions & {
  signal: AbortSignal;
  /** False once everything of the run is in the file; then the rest is given out and the iteration ends. */
  isLive: () => boolean;
};

/** What the log holds already (as `readLog` gives it), then every new record. Ends on abort without an error. */
export async function* followLog(path: string, options: FollowOptions): AsyncGenerator<LogRecord, void, undefined> {
  const changes = new Changes(dirname(path), options.signal);
  const from = sinceStamp(options.since);
  const follower = new Follower(path);
  try {
    yield* await follower.begin(options);
    while (!options.signal.aborted) {
      // Asked before reading: what was written until then is read now.
      const live = options.isLive();
      const records = await follower.read();
      if (records !== undefined) yield* records.filter((record) => record.at >= from);
      else if (live) await changes.next();
      else {
        yield* follower.unfinished().filter((record) => record.at >= from);
        return;
      }
    }
  } finally {
    changes.close();
    await follower.close();
  }
}

class Follower {
  readonly #path: string;
  readonly #joiner = new ForwardJoiner();
  readonly #splitter = new LineSplitter();
  #file: StoredFile | undefined;
  #offset = 0;
  #lastAt = "";

  constructor(path: string) {
    this.#path = path;
  }

  /** What is given out before reading on: the last records, or nothing, since all of them are still to be read. */
  async begin({ tail, ...options }: ReadOptions): Promise<LogRecord[]> {
    if (tail === undefined) {
      const files = await openAllStored(this.#path);
      this.#file = files.pop();
      for (const file of files) await file.handle.close();
      return [];
    }
    const { records, open, position } = await readHistory(this.#path, { ...options, tail });
    this.#joiner.seed(open);
    this.#file = position?.file;
    this.#offset = position?.offset ?? 0;
    this.#lastAt = open.at(-1)?.at ?? records.at(-1)?.at ?? "";
    return records;
  }

  /** The next records (perhaps none of them whole yet); undefined when there is nothing new. */
  async read(): Promise<LogRecord[] | undefined> {
    if (this.#file === undefined) {
      this.#file = await openStored(this.#path);
      this.#offset = 0;
      if (this.#file === undefined) return undefined;
    }
    const file = this.#file;
    // Looked up before reading: nothing is written to a file after it was rotated away.
    const current = await lstat(this.#path).catch(() => undefined);
    const block = await readBlock(file.handle, this.#offset, BLOCK_BYTES);
    if (block.length > 0) {
      this.#offset += block.length;
      return this.#parse(this.#splitter.push(block));
    }
    const { size } = await file.handle.stat();
    if (size < this.#offset) {
      this.#offset = 0;
      this.#splitter.reset();
      return [];
    }
    if (current === undefined || current.ino === file.ino) return undefined;
    return (await this.#moveOn(file)) ? [] : undefined;
  }

  unfinished(): LogRecord[] {
    return this.#joiner.unfinished();
  }

  async close(): Promise<void> {
    await this.#file?.handle.close();
    this.#file = undefined;
  }

  #parse(lines: readonly string[]): LogRecord[] {
    const records: LogRecord[] = [];
    for (const line of lines) {
      const stored = parseRecord(line);
      if (stored === undefined) continue;
      this.#lastAt = stored.at;
      const record = this.#joiner.add(stored);
      if (record !== undefined) records.push(record);
    }
    return records;
  }

  /** Goes to the file that came after `file`: the next younger one, or the oldest that is not older than what was read. */
  async #moveOn(file: StoredFile): Promise<boolean> {
    const files = await openAllStored(this.#path);
    const place = files.findIndex((candidate) => candidate.ino === file.ino);
    let next: StoredFile | undefined;
    if (place > 0) next = files[place - 1];
    else if (place === -1) {
      for (const candidate of files) {
        const first = parseRecord((await readBlock(candidate.handle, 0, 256)).toString("latin1").split("\n")[0] ?? "");
        if (first !== undefined && first.at < this.#lastAt) break;
        next = candidate;
      }
    }
    for (const candidate of files) if (candidate !== next) await candidate.handle.close();
    if (next === undefined) return false;
    await file.handle.close();
    this.#file = next;
    this.#offset = 0;
    this.#splitter.reset();
    return true;
  }
}

/** Changes in a folder, as something to wait for. */
class Changes {
  readonly #signal: AbortSignal;
  readonly #watcher: FSWatcher | undefined;
  #changed = false;
  #wake: () => void = () => {};

  constructor(folder: string, signal: AbortSignal) {
    this.#signal = signal;
    try {
      this.#watcher = watch(folder, { persistent: false }, () => this.#notice());
      this.#watcher.on("error", () => {});
    } catch {
      // No folder yet, or no watches left: looking again now and then is enough.
      this.#watcher = undefined;
    }
  }

  #notice(): void {
    this.#changed = true;
    this.#wake();
  }

  async next(): Promise<void> {
    if (!this.#changed && !this.#signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, RECHECK_MS);
      this.#wake = resolve;
      this.#signal.addEventListener("abort", resolve as () => void, { once: true });
      await promise;
      this.#signal.removeEventListener("abort", resolve as () => void);
      clearTimeout(timer);
    }
    this.#changed = false;
  }

  close(): void {
    this.#watcher?.close();
  }
}
