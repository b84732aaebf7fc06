import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { open, readlink } from "node:fs/promises";
import { CoreError } from "@opensentience/protocol";

type Hashed = { sha256: string; size: number };

const BUFFER_BYTES = 64 * 1024;

/** SHA-256 and length of the bytes of a regular file. Throws `install.unsafe_tree` when it is one no longer. */
export async function hashRegular(path: string): Promise<Hashed> {
  // SECURITY: between listing and opening the entry may become a link or a FIFO: the first fails with ELOOP, the second
  // neither blocks nor is read; pinned by "a file replaced by a link or FIFO is not read".
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stat = await file.stat();
    if (!stat.isFile())
      throw new CoreError("install.unsafe_tree", "an entry of the tree changed its kind while it was read");
    const hash = createHash("sha256");
    const buffer = Buffer.allocUnsafe(Math.min(BUFFER_BYTES, stat.size + 1));
    let size = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) return { sha256: hash.digest("hex"), size };
      size += bytesRead;
      hash.update(buffer.subarray(0, bytesRead));
      // The size told how much there is; one byte more than that was asked for, so a short read is the end.
      if (size === stat.size && bytesRead < buffer.length) return { sha256: hash.digest("hex"), size };
    }
  } finally {
    await file.close();
  }
}

/** SHA-256 and length of a symlink's text. */
export async function hashLink(path: string): Promise<Hashed> {
  const text = await readlink(path, { encoding: "buffer" });
  return { sha256: createHash("sha256").update(text).digest("hex"), size: text.length };
}
