/** The files of one log, rotated ones included, and their lines; reading is bounded whatever the files hold. */

import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;
export const BLOCK_BYTES = 65_536;
/** A line that Core did not write may be of any length; beyond this it is dropped. */
const LONGEST_LINE_BYTES = 1 << 20;
const MOST_FILES = 1000;
const LINE_END = 0x0a;

export type StoredFile = { handle: FileHandle; size: number; ino: number };

/** Undefined when there is no regular file. SECURITY: links are not followed; pinned by "does not read through a symbolic link". */
export async function openStored(path: string): Promise<StoredFile | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (
      error instanceof Error &&
      "code" in error &&
      ["ENOENT", "ELOOP", "ENOTDIR", "ENXIO"].includes(String(error.code))
    )
      return undefined;
    throw error;
  }
  const found = await handle.stat();
  if (found.isFile()) return { handle, size: found.size, ino: found.ino };
  await handle.close();
  return undefined;
}

/**
 * Opens all files of a log, the newest first. A rotation meanwhile only moves files to higher numbers: one that was
 * opened already is met again and skipped, none is missed.
 */
export async function openAllStored(path: string): Promise<StoredFile[]> {
  const files: StoredFile[] = [];
  for (let number = 0; number < MOST_FILES; number += 1) {
    const file = await openStored(number === 0 ? path : `${path}.${number}`);
    if (file === undefined) {
      if (number === 0) continue;
      break;
    }
    if (files.some((known) => known.ino === file.ino)) await file.handle.close();
    else files.push(file);
  }
  return files;
}

/** Splits blocks into lines; keeps the unfinished rest. */
export class LineSplitter {
  #rest: Buffer[] = [];
  #restBytes = 0;
  #skipping = false;

  push(block: Buffer): string[] {
    const end = block.lastIndexOf(LINE_END);
    if (end === -1) {
      this.#keep(block);
      return [];
    }
    const text = Buffer.concat([...this.#rest, block.subarray(0, end)]).toString("utf8");
    const lines = text.split("\n");
    if (this.#skipping) lines.shift();
    this.reset();
    this.#keep(block.subarray(end + 1));
    return lines;
  }

  reset(): void {
    this.#rest = [];
    this.#restBytes = 0;
    this.#skipping = false;
  }

  #keep(bytes: Buffer): void {
    if (bytes.length === 0 || this.#skipping) return;
    this.#rest.push(Buffer.from(bytes));
    this.#restBytes += bytes.length;
    if (this.#restBytes <= LONGEST_LINE_BYTES) return;
    this.reset();
    this.#skipping = true;
  }
}

/** The lines between the start of the file and `size`, in order; an unfinished last line is left out. */
export async function* linesForward(file: StoredFile): AsyncGenerator<string[]> {
  const splitter = new LineSplitter();
  for (let at = 0; at < file.size;) {
    const block = await readBlock(file.handle, at, Math.min(BLOCK_BYTES, file.size - at));
    if (block.length === 0) return;
    at += block.length;
    yield splitter.push(block);
  }
}

/** The lines of the first `size` bytes in groups, the last group first, each group in order of the file. */
export async function* linesBackward(file: StoredFile): AsyncGenerator<string[]> {
  let carry: Buffer = Buffer.alloc(0);
  // What follows the last line end is a line that is being written.
  let started = false;
  for (let at = file.size; at > 0;) {
    const length = Math.min(BLOCK_BYTES, at);
    const block = await readBlock(file.handle, at - length, length);
    if (block.length < length) return;
    at -= length;
    let bytes = Buffer.concat([block, carry]);
    if (!started) {
      const end = bytes.lastIndexOf(LINE_END);
      if (end === -1) continue;
      bytes = bytes.subarray(0, end);
      started = true;
    }
    const first = at === 0 ? -1 : bytes.indexOf(LINE_END);
    if (at > 0 && first === -1) {
      carry = bytes.length > LONGEST_LINE_BYTES ? Buffer.alloc(0) : bytes;
      continue;
    }
    carry = at === 0 ? Buffer.alloc(0) : bytes.subarray(0, first);
    yield bytes
      .subarray(first + 1)
      .toString("utf8")
      .split("\n");
  }
}

/** Where the last whole line ends: reading on from here loses nothing. */
export async function endOfLastLine(file: StoredFile): Promise<number> {
  for (let at = file.size; at > 0;) {
    const length = Math.min(BLOCK_BYTES, at);
    const block = await readBlock(file.handle, at - length, length);
    const end = block.lastIndexOf(LINE_END);
    if (end !== -1) return at - length + end + 1;
    at -= length;
  }
  return 0;
}

/** At most `length` bytes; fewer at the end of the file. */
export async function readBlock(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(buffer, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}
