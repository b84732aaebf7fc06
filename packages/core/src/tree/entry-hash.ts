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
const readlink = promisify(fs.readlink) as (path: string, options: { encoding: "buffer" }) => Promise<Buffer>;

type Hashed = { sha256: string; size: number };

const BUFFER_BYTES = 64 * 1024;

/** SHA-256 and length of the bytes of a regular file. Throws `install.unsafe_tree` when it is one no longer. */
export async function hashRegular(path: string): Promise<Hashed> {
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
      hash.update(buffer.subarray(0, bytesRead));
      // The size told how much there is; one byte more than that was asked for, so a short read is the end.
      if (size === stat.size && bytesRead < buffer.length) return { sha256: hash.digest("hex"), size };
    }
  } finally {
    await close(file);
  }
}

/** SHA-256 and length of a symlink's text. */
export async function hashLink(path: string): Promise<Hashed> {
  const text = await readlink(path, { encoding: "buffer" });
  return { sha256: createHash("sha256").update(text).digest("hex"), size: text.length };
}
