/**
 * The file behind a capture: appends in large asynchronous writes, rotates at a cap, and outlives trouble. While the
 * file cannot be written, lines are dropped and counted; the state says so and heals by itself.
 */

import { constants, lstatSync, type Stats } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { killPoint } from "../host/kill-point.ts";
import { ensurePrivateFolder } from "../host/private-file.ts";

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = constants;
/** How much is handed to the system in one write. Each costs a turn of the event loop, which may be a long one. */
const BLOCK_BYTES = 1 << 19;
/** An encoder that runs out of room leaves at most so many bytes unused, and then has written more bytes than units. */
const CUT_OFF_BYTES = 4;
/** Blocks that all captures take from and give back to; a flood would else make garbage of its own size. */
const SPARE_BLOCKS: Buffer[] = [];
const MOST_SPARE = 8;
/** A file that failed is tried again after this time. */
const RETRY_MS = 500;
const LINE_END = 0x0a;

export type LogFileState = { degraded: boolean; droppedLines: number; reason: string };
export type LogFileOptions = {
  path: string;
  maxFileBytes: number;
  /** All files together, the current one included. */
  maxFiles: number;
  /** Makes the record that is written when the file works again. */
  note: (text: string) => string;
  onDegraded: (state: LogFileState) => void;
  /** Called when the backlog has been written. */
  onDrain: () => void;
};

/** Encoded records up to `end`. They wait as bytes: strings that wait are copied by every collection of garbage. */
type Block = { bytes: Buffer; end: number };
type OpenFile = { handle: FileHandle; size: number; dev: number; ino: number };

export class LogFile {
  readonly #options: LogFileOptions;
  #queue: Block[] = [];
  #backlog = 0;
  #working: Promise<void> | undefined;
  #file: OpenFile | undefined;
  #degraded: { reason: string; nextTry: number; timer: NodeJS.Timeout } | undefined;
  #droppedLines = 0;
  #announcedDrops = 0;

  constructor(options: LogFileOptions) {
    this.#options = options;
  }

  /** Bytes that wait to be written. */
  get backlog(): number {
    return this.#backlog;
  }

  get droppedLines(): number {
    return this.#droppedLines;
  }

  /** Queues whole records, each with its line end; they may come in parts, which would be dear to join. */
  append(...records: readonly string[]): void {
    const units = records.reduce((sum, part) => sum + part.length, 0);
    let block = this.#blockFor(units + CUT_OFF_BYTES);
    let written = encode(records, block);
    if (written !== units) {
      // Not ASCII alone, and perhaps not all of it found room. To count first would take longer than to write.
      block = this.#blockFor(records.reduce((sum, part) => sum + Buffer.byteLength(part), 0));
      written = encode(records, block);
    }
    block.end += written;
    this.#backlog += written;
    this.#working ??= this.#work();
  }

  /** Writes what waits and closes. Never throws: what cannot be written is counted as dropped. */
  async close(): Promise<void> {
    while (this.#working !== undefined) await this.#working;
    if (this.#degraded !== undefined) {
      this.#degraded.nextTry = 0;
      await this.#writeBatch(Buffer.alloc(0));
      clearTimeout(this.#degraded?.timer);
    }
    await this.#shut();
  }

  async #work(): Promise<void> {
    // One turn later: what arrives together is written together.
    await Promise.resolve();
    for (let block = this.#queue.shift(); block !== undefined; block = this.#queue.shift()) {
      await this.#writeBatch(block.bytes.subarray(0, block.end));
      this.#backlog -= block.end;
      if (block.bytes.length === BLOCK_BYTES && SPARE_BLOCKS.length < MOST_SPARE) SPARE_BLOCKS.push(block.bytes);
      this.#options.onDrain();
    }
    this.#working = undefined;
  }

  /** The last block if it has room for `size` bytes, else a new one. */
  #blockFor(size: number): Block {
    const last = this.#queue.at(-1);
    if (last !== undefined && size <= last.bytes.length - last.end) return last;
    const spare = size <= BLOCK_BYTES ? SPARE_BLOCKS.pop() : undefined;
    const block = { bytes: spare ?? Buffer.allocUnsafeSlow(Math.max(size, BLOCK_BYTES)), end: 0 };
    this.#queue.push(block);
    return block;
  }

  async #writeBatch(batch: Buffer): Promise<void> {
    let bytes = batch;
    let written = 0;
    if (this.#degraded !== undefined && performance.now() < this.#degraded.nextTry) {
      this.#drop(bytes);
      return;
    }
    if (this.#degraded !== undefined) bytes = Buffer.concat([Buffer.from(this.#recoveryNote()), bytes]);
    const noted = bytes.length - batch.length;
    try {
      while (written < bytes.length) written += await this.#writePortion(bytes.subarray(written));
      this.#heal();
    } catch (error) {
      this.#drop(bytes.subarray(Math.max(written, noted)));
      await this.#shut();
      this.#degrade(reasonOf(error));
    }
  }

  /** Writes as many whole records as the current file may take; rotates when it takes none. */
  async #writePortion(bytes: Buffer): Promise<number> {
    const file = (this.#file ??= await openLog(this.#options.path));
    const room = this.#options.maxFileBytes - file.size;
    let end = bytes.length;
    if (end > room) {
      end = room > 0 ? bytes.lastIndexOf(LINE_END, room - 1) + 1 : 0;
      if (end === 0 && file.size > 0) {
        await this.#rotate();
        return 0;
      }
      if (end === 0) end = bytes.indexOf(LINE_END) + 1 || bytes.length;
    }
    await writeAll(file, bytes.subarray(0, end));
    return (await this.#stillThere(file)) ? end : 0;
  }

  /** Whether `path` is still the file written to. If it was removed, a new one is begun and the portion written again. */
  async #stillThere(file: OpenFile): Promise<boolean> {
    const found = nodeAt(this.#options.path);
    if (found !== undefined && found.ino === file.ino && found.dev === file.dev) return true;
    const kept = (await file.handle.stat()).nlink > 0;
    await this.#shut();
    this.#degrade(kept ? "the log file was moved away" : "the log file was removed");
    this.#file = await openLog(this.#options.path);
    return kept;
  }

  async #rotate(): Promise<void> {
    const { path, maxFiles } = this.#options;
    await this.#shut();
    if (maxFiles <= 1) {
      await rm(path, { force: true });
      return;
    }
    // Renaming onto a file would make the system write the one below it to the disk at once.
    await rm(`${path}.${maxFiles - 1}`, { force: true });
    for (let number = maxFiles - 1; number >= 1; number -= 1) {
      const from = number === 1 ? path : `${path}.${number - 1}`;
      await rename(from, `${path}.${number}`).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT") throw error;
      });
      killPoint("log.file_moved");
    }
    killPoint("log.rotated");
  }

  async #shut(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.handle.close().catch(() => undefined);
  }

  #drop(bytes: Buffer): void {
    for (let at = bytes.indexOf(LINE_END); at !== -1; at = bytes.indexOf(LINE_END, at + 1)) this.#droppedLines += 1;
  }

  #degrade(reason: string): void {
    const before = this.#degraded;
    if (before !== undefined) clearTimeout(before.timer);
    // An agent that is silent now should not leave the state degraded for ever.
    const timer = setTimeout(() => this.append(""), RETRY_MS + 1);
    timer.unref();
    this.#degraded = { reason, nextTry: performance.now() + RETRY_MS, timer };
    if (before === undefined) this.#options.onDegraded({ degraded: true, droppedLines: this.#droppedLines, reason });
  }

  #heal(): void {
    if (this.#degraded === undefined) return;
    const { reason, timer } = this.#degraded;
    clearTimeout(timer);
    this.#degraded = undefined;
    this.#announcedDrops = this.#droppedLines;
    this.#options.onDegraded({ degraded: false, droppedLines: this.#droppedLines, reason });
  }

  #recoveryNote(): string {
    const lost = this.#droppedLines - this.#announcedDrops;
    return this.#options.note(`log capture works again; ${lost} lines were dropped: ${this.#degraded?.reason ?? ""}`);
  }
}

/** Writes the records behind those of the block, as far as there is room; gives the number of bytes. */
function encode(records: readonly string[], block: Block): number {
  let end = block.end;
  for (const part of records) end += block.bytes.write(part, end);
  return end - block.end;
}

/** What stands at the path itself. Asked in place: it takes microseconds, while a turn of a busy event loop takes more than the write. */
function nodeAt(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** SECURITY: a link or device planted at the path is refused; pinned by "does not write through a symbolic link". */
async function openLog(path: string): Promise<OpenFile> {
  await ensurePrivateFolder(dirname(path));
  const handle = await open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK, 0o600);
  try {
    const found: Stats = await handle.stat();
    if (!found.isFile()) throw new Error("the log path is not a regular file");
    const file = { handle, size: found.size, dev: found.dev, ino: found.ino };
    if (found.size > 0) await endTornRecord(file);
    return file;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** A record that a crash cut off must not swallow the next one. */
async function endTornRecord(file: OpenFile): Promise<void> {
  const { buffer } = await file.handle.read(Buffer.alloc(1), 0, 1, file.size - 1);
  if (buffer[0] !== LINE_END) await writeAll(file, Buffer.from("\n"));
}

async function writeAll(file: OpenFile, bytes: Buffer): Promise<void> {
  let at = 0;
  try {
    while (at < bytes.length) at += (await file.handle.write(bytes, at, bytes.length - at)).bytesWritten;
    file.size += bytes.length;
  } catch (error) {
    // A full disk takes half a record: leave only whole ones.
    await file.handle.truncate(file.size).catch(() => undefined);
    throw error;
  }
}

/** One of our own sentences or the system's error code; never a path or content. */
function reasonOf(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  return "the log file cannot be written";
}
