import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { promisify } from "node:util";
import { CoreError } from "@opensentience/protocol";

// Plain descriptors: the FileHandle of node:fs/promises costs more than the system calls for a small file.
const open = promisify(fs.open);
const close = promisify(fs.close);
const fstat = promisify(fs.fstat) as (fd: number) => Promise<fs.Stats>;
const read = promisify(fs.read) as (
  fd: number,
  buffer: Buffer,
  offset: number,
  length: number,
  position: null,
) => Promise<{ bytesRead: number }>;
const lstat = promisify(fs.lstat) as (path: string) => Promise<fs.Stats>;
const realpath = promisify(fs.realpath.native) as (path: string) => Promise<string>;
const readlink = promisify(fs.readlink) as (path: string, options: { encoding: "buffer" }) => Promise<Buffer>;

type Hashed = { sha256: string; size: number };

const BUFFER_BYTES = 64 * 1024;

/** Told how many bytes were read; throws to end the reading. */
export type OnBytes = (count: number) => void;

/** SHA-256 and length of the bytes of a regular file. Throws `install.unsafe_tree` when it is one no longer. */
export async function hashRegular(path: string, onBytes?: OnBytes): Promise<Hashed> {
  // SECURITY: between listing and opening the entry may become a link or a FIFO: the first fails with ELOOP, the second
  // neither blocks nor is read; pinned by "a file replaced by a link or FIFO is not read".
  const file = await open(path, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK);
  try {
    const stat = await fstat(file);
    if (!stat.isFile())
      throw new CoreError("install.unsafe_tree", "an entry of the tree changed its kind while it was read");
    const hash = createHash("sha256");
    const buffer = Buffer.allocUnsafe(Math.min(BUFFER_BYTES, stat.size + 1));
    let size = 0;
    for (;;) {
      const { bytesRead } = await read(file, buffer, 0, buffer.length, null);
      if (bytesRead === 0) return { sha256: hash.digest("hex"), size };
      size += bytesRead;
      onBytes?.(bytesRead);
      hash.update(buffer.subarray(0, bytesRead));
      // The size told how much there is; one byte more than that was asked for, so a short read is the end.
      if (size === stat.size && bytesRead < buffer.length) return { sha256: hash.digest("hex"), size };
    }
  } finally {
    await close(file);
  }
}

/**
 * SHA-256 and length of a symlink's text. When it leads out of `realRoot`, where it leads and the bytes of the file
 * there are in the hash too.
 * SECURITY: what a link out of the tree leads to would else change without a trace; pinned by "a file that a link out
 * of the tree leads to counts with its bytes".
 */
export async function hashLink(path: string, realRoot: string, onBytes?: OnBytes): Promise<Hashed> {
  const text = await readlink(path, { encoding: "buffer" });
  const target = await outsideTarget(path, realRoot);
  if (target === undefined) return { sha256: createHash("sha256").update(text).digest("hex"), size: text.length };
  const isFile = (await lstat(target)).isFile();
  const content = isFile ? (await hashRegular(target, onBytes)).sha256 : "";
  const facts = JSON.stringify(["opensentience.link.1", text.toString("latin1"), target, content]);
  return { sha256: createHash("sha256").update(facts).digest("hex"), size: text.length };
}

/** Where the link leads in the end, when that exists and is not below `realRoot`. */
export async function outsideTarget(path: string, realRoot: string): Promise<string | undefined> {
  const target = await realpath(path).catch(() => undefined);
  return target === undefined || target === realRoot || target.startsWith(`${realRoot}/`) ? undefined : target;
}
