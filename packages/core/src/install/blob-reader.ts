import { createHash, type Hash } from "node:crypto";
import { CoreError } from "@opensentience/protocol";
import { gitMessage, runGit } from "./git-command.ts";
import type { Repository } from "./git-ref.ts";
import type { ListedEntry } from "./git-tree.ts";

/** Takes the bytes of each entry in turn; all calls are made in order and synchronously, which slows git to our pace. */
export type BlobSink = {
  begin: (entry: ListedEntry) => void;
  write: (chunk: Buffer) => void;
  end: (sha256: string) => void;
};

const TIMEOUT_MS = 10 * 60_000;
/** `<id> blob <size>` and a little more; a longer line is no header. */
const MAX_HEADER_BYTES = 160;

/**
 * Reads the exact bytes of the entries with one `git cat-file --batch`: no checkout, so no filter, attribute, hook or
 * line-ending rule can act. Every blob's git id is computed again and compared. Throws what the sink threw, or
 * `install.clone_failed` when git's answer is not exactly what was asked for.
 */
export async function readBlobs(
  repository: Repository,
  entries: readonly ListedEntry[],
  sink: BlobSink,
  signal?: AbortSignal,
): Promise<void> {
  if (entries.length === 0) return;
  const stream = new BlobStream(entries, sink);
  const giveUp = new AbortController();
  const onStdout = (chunk: Buffer): void => {
    if (giveUp.signal.aborted) return;
    try {
      stream.push(chunk);
    } catch (error) {
      giveUp.abort(error);
    }
  };
  const result = await runGit(["cat-file", "--batch", "--buffer"], {
    ...repository,
    transport: "none",
    timeoutMs: TIMEOUT_MS,
    maxBytes: 0,
    input: entries.map((entry) => `${entry.objectId}\n`).join(""),
    signal: signal === undefined ? giveUp.signal : AbortSignal.any([signal, giveUp.signal]),
    onStdout,
  });
  if (result.exitCode === 0 && stream.isComplete) return;
  throw new CoreError("install.clone_failed", `git could not read the commit's files: ${gitMessage(result.stderr)}`);
}

/** The answers of `cat-file --batch`: header line, bytes, newline; repeated once per entry. */
class BlobStream {
  readonly #entries: readonly ListedEntry[];
  readonly #sink: BlobSink;
  #index = 0;
  #header = "";
  /** Bytes of the current blob still to come; -1 while its header is read, -2 while its closing newline is due. */
  #left = -1;
  #sha256: Hash = createHash("sha256");
  #objectHash: Hash = createHash("sha1");

  constructor(entries: readonly ListedEntry[], sink: BlobSink) {
    this.#entries = entries;
    this.#sink = sink;
  }

  get isComplete(): boolean {
    return this.#index === this.#entries.length && this.#left === -1 && this.#header === "";
  }

  push(chunk: Buffer): void {
    let offset = 0;
    while (offset < chunk.length) {
      if (this.#left === -1) offset = this.#readHeader(chunk, offset);
      else if (this.#left === -2) offset = this.#readNewline(chunk, offset);
      else offset = this.#readBytes(chunk, offset);
    }
  }

  #readHeader(chunk: Buffer, offset: number): number {
    const newline = chunk.indexOf(10, offset);
    this.#header += chunk.toString("latin1", offset, newline < 0 ? chunk.length : newline);
    if (this.#header.length > MAX_HEADER_BYTES) throw unexpected();
    if (newline < 0) return chunk.length;
    const entry = this.#entries[this.#index];
    if (entry === undefined || this.#header !== `${entry.objectId} blob ${entry.size}`) throw unexpected();
    this.#header = "";
    this.#left = entry.size;
    this.#sha256 = createHash("sha256");
    this.#objectHash = createHash(entry.objectId.length === 64 ? "sha256" : "sha1").update(`blob ${entry.size}\0`);
    this.#sink.begin(entry);
    if (entry.size === 0) this.#finishBlob(entry);
    return newline + 1;
  }

  #readBytes(chunk: Buffer, offset: number): number {
    const piece = chunk.subarray(offset, offset + this.#left);
    this.#sha256.update(piece);
    this.#objectHash.update(piece);
    this.#sink.write(piece);
    this.#left -= piece.length;
    if (this.#left === 0) this.#finishBlob(this.#entries[this.#index]!);
    return offset + piece.length;
  }

  #finishBlob(entry: ListedEntry): void {
    // SECURITY: bytes that are not what the commit names are never kept; pinned by "refuses an object that was changed in the repository".
    if (this.#objectHash.digest("hex") !== entry.objectId) throw unexpected();
    this.#sink.end(this.#sha256.digest("hex"));
    this.#left = -2;
  }

  #readNewline(chunk: Buffer, offset: number): number {
    if (chunk[offset] !== 10) throw unexpected();
    this.#left = -1;
    this.#index++;
    return offset + 1;
  }
}

function unexpected(): CoreError {
  return new CoreError("install.clone_failed", "git's object store does not hold what the commit names");
}
