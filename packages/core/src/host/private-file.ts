/**
 * Files and folders that only the operator may read: tokens, approvals' trees, caches, checkpoints.
 * They are read through here as well: programs of the same user can put something else in their place.
 *
 * Promises: files are 0600 and folders 0700 from their first moment (never created wide and narrowed later); a
 * replaced file is either the old one or the new one, also after a power cut; nothing is read or written through a
 * symlink, and neither ever waits for the other end of a FIFO.
 * Refuses: a folder that is a symlink or belongs to another user (`core.unsafe_folder`). Everything else fails with the system's own error, which the caller translates: whether a
 * full disk is `install.io_failed` or `audit.unavailable` is not known here.
 * Callers: every folder of core that keeps something private on disk.
 */
import { randomBytes } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { CoreError } from "@opensentience/protocol";
import { killPoint } from "./kill-point.ts";

const { O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

/** Names that `writePrivateFile` gives to what is not in its place yet. */
const TEMPORARY = /\.[0-9a-f]{12}\.tmp$/;

/** Replaces `path` atomically with `data`, mode 0600; durable when it returns. A symlink at `path` is replaced, not followed. */
export async function writePrivateFile(path: string, data: string | Uint8Array): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  // SECURITY: O_EXCL refuses a name planted in advance; pinned by "replaces a symlink instead of writing through it".
  const file = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    await writeAndSync(file, data);
    killPoint("file.temporary_written");
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  await syncFolder(dirname(path));
  killPoint("file.replaced");
}

/** Removes what a crash in the middle of `writePrivateFile` left in `folder`, which nobody is writing to. */
export async function removeTemporaries(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => []))
    if (TEMPORARY.test(name)) await rm(join(folder, name), { force: true });
}

/**
 * The text of `path` as it was when opened. Throws the system's error (ENOENT when nothing is there, ELOOP for a symlink)
 * or one in words: for what is no regular file, is another user's, or has more than `maxBytes`. Synchronous, because
 * some who read have to be; what Core keeps for itself lies on a file system that answers.
 * SECURITY: an agent that can write beside its source could put a FIFO, a device or a hole of terabytes where Core reads
 * at its next start, which would never end; pinned by "what was planted in place of Core's own files does not hold up
 * its start".
 */
export function readPrivateFile(path: string, maxBytes: number): string {
  const file = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) throw new Error("it is not a regular file");
    if (stat.uid !== process.geteuid?.()) throw new Error("it belongs to another user");
    if (stat.size > maxBytes) throw new Error(`it has ${stat.size} bytes, and at most ${maxBytes} are read`);
    const bytes = Buffer.allocUnsafe(stat.size);
    let filled = 0;
    while (filled < bytes.length) {
      const count = readSync(file, bytes, filled, bytes.length - filled, null);
      if (count === 0) break;
      filled += count;
    }
    return bytes.toString("utf8", 0, filled);
  } finally {
    closeSync(file);
  }
}

/**
 * Adds `data` at the end of `path` (created 0600 when missing); durable when it returns. A symlink fails with ELOOP, a
 * FIFO with ENXIO.
 */
export async function appendPrivateFile(path: string, data: string | Uint8Array): Promise<void> {
  const file = await open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK, 0o600);
  await writeAndSync(file, data);
  killPoint("file.appended");
}

/**
 * Makes sure `path` is a folder of ours with mode 0700, creating it (and missing parents, also 0700).
 * Throws `core.unsafe_folder` for a symlink, something that is no folder, or a folder of another user.
 */
export async function ensurePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  const found = await lstat(path);
  if (!found.isDirectory()) throw unsafeFolder(path, found.isSymbolicLink() ? "is a symbolic link" : "is not a folder");
  if (found.uid !== process.geteuid?.()) throw unsafeFolder(path, "belongs to another user");
  if ((found.mode & 0o7777) === 0o700) return;
  // SECURITY: narrowed through a handle that follows no link; pinned by "narrows a folder that others can enter".
  const folder = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    await folder.chmod(0o700);
  } finally {
    await folder.close();
  }
}

/**
 * As ensurePrivateFolder, for the home itself. SECURITY: a path with a typing error must not become a second, empty home
 * somewhere, so the folder that is to hold it has to be there; pinned by "a home whose folder does not exist is refused".
 */
export async function ensureHome(home: string): Promise<void> {
  const parent = dirname(home);
  const exists = await lstat(parent).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== "ENOENT",
  );
  if (!exists)
    throw new CoreError("core.unsafe_folder", `${parent} does not exist, so ${home} cannot be the home of Core`, {
      details: { path: home },
      nextStep: `mkdir -p ${parent}`,
    });
  await ensurePrivateFolder(home);
}

async function writeAndSync(file: FileHandle, data: string | Uint8Array): Promise<void> {
  try {
    await file.writeFile(data);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, O_RDONLY | O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function unsafeFolder(path: string, reason: string): CoreError {
  return new CoreError("core.unsafe_folder", `a private folder ${reason}`, {
    details: { path },
    nextStep: `ls -ld ${path}`,
  });
}
