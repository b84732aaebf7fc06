/**
 * A private file that Core writes to again and again from its beginning: what must survive Core's own death for the short
 * while until it stands somewhere better. Written without waiting for the disk: a `kill -9` loses nothing of it, a power cut may.
 *
 * Lines behind the newest are from before; whoever reads it must be able to tell.
 */
import { closeSync, constants, fchmodSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";

const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = constants;
/** Of what an earlier process left, in bytes; it stays far below. */
const MOST_READ = 16 * 1024 * 1024;

/** A text that surely fits is written from memory that is used again and again. */
const SCRATCH_BYTES = 64 * 1024;
const MOST_UTF8_BYTES_PER_UNIT = 3;

export class JournalFile {
  readonly #file: number;
  readonly #scratch: Buffer = Buffer.alloc(SCRATCH_BYTES);
  #position = 0;

  /** Made 0600 when missing. SECURITY: a link or a FIFO in its place is refused; pinned by "a journal is no link and no FIFO". */
  constructor(path: string) {
    this.#file = openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
    const stat = fstatSync(this.#file);
    if (!stat.isFile() || stat.uid !== process.geteuid?.()) {
      closeSync(this.#file);
      throw new Error("it is no regular file of this user");
    }
    fchmodSync(this.#file, 0o600);
  }

  /** Bytes since the last `restart`. */
  get bytes(): number {
    return this.#position;
  }

  lines(): string[] {
    const bytes = Buffer.alloc(Math.min(fstatSync(this.#file).size, MOST_READ));
    const count = readSync(this.#file, bytes, 0, bytes.length, 0);
    return bytes.toString("utf8", 0, count).split("\n");
  }

  /** One write to the system. */
  append(text: string): void {
    const bytes = text.length * MOST_UTF8_BYTES_PER_UNIT <= SCRATCH_BYTES ? this.#scratch : Buffer.from(text);
    const length = bytes === this.#scratch ? bytes.write(text) : bytes.length;
    let written = 0;
    while (written < length) {
      written += writeSync(this.#file, bytes, written, length - written, this.#position + written);
    }
    this.#position += length;
  }

  /** What was written so far is needed no more. */
  restart(): void {
    this.#position = 0;
  }

  /** Nothing of what was ever written stays in the file. */
  clear(): void {
    const { size } = fstatSync(this.#file);
    const nothing = Buffer.alloc(Math.min(size, SCRATCH_BYTES));
    for (let at = 0; at < size; at += nothing.length)
      writeSync(this.#file, nothing, 0, Math.min(nothing.length, size - at), at);
    ftruncateSync(this.#file, 0);
    this.#position = 0;
  }

  close(): void {
    closeSync(this.#file);
  }
}
