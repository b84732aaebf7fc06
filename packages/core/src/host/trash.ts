/**
 * Deleting what an agent may have shaped: folders nobody may write to, and paths longer than the system takes at once.
 * Nothing is followed; every step works on short paths inside the trash itself.
 */
import { chmod, lstat, readdir, rename, rm, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";

const OWNER_ALL = 0o700;
/** Each finds less than the one before. */
const MOST_ATTEMPTS = 100;

/** Removes `path` and everything below it; what is missing already is fine. Throws the system's own error. */
export async function removeTrash(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
    return;
  } catch {
    // It gives up at the first folder that it cannot delete, while what it began elsewhere goes on for a moment.
  }
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await removeFlat(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT" || attempt === MOST_ATTEMPTS) throw error;
    }
  }
}

/** Like `rename`, also of a folder that its owner may not write to, as a build can leave it. */
export async function moveEntry(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EACCES") throw error;
    await openUp(from);
    await rename(from, to);
  }
}

/**
 * SECURITY: a build can leave folders that defeat a plain recursive deletion (read-only, or deeper than PATH_MAX), and
 * with them a home that can never be cleaned; every folder is first moved up into `root`, so no path is ever long.
 * Pinned by "deletes read-only folders and paths that are too long".
 */
async function removeFlat(root: string): Promise<void> {
  const stat = await lstat(root).catch(() => undefined);
  if (stat === undefined) return;
  if (!stat.isDirectory()) return unlink(root);
  await openUp(root);
  let moved = 0;
  const folders = await emptyFiles(root);
  for (let name = folders.pop(); name !== undefined; name = folders.pop()) {
    const folder = join(root, name);
    await openUp(folder);
    for (const inner of await emptyFiles(folder)) {
      let target: string;
      do target = `.${(moved += 1)}`;
      while (await exists(join(root, target)));
      await moveEntry(join(folder, inner), join(root, target));
      folders.push(target);
    }
    await rmdir(folder);
  }
  await rmdir(root);
}

/** Unlinks everything in the folder that is no folder; the names of the folders. */
async function emptyFiles(folder: string): Promise<string[]> {
  const folders: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) folders.push(entry.name);
    else await unlink(join(folder, entry.name));
  }
  return folders;
}

/** Gives the owner every right on a folder; never touches what a link leads to. */
async function openUp(path: string): Promise<void> {
  if ((await lstat(path)).isDirectory()) await chmod(path, OWNER_ALL);
}

function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
