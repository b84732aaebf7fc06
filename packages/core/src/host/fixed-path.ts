/** Whether a place in the file system can be trusted to stay what it is. */
import { lstat } from "node:fs/promises";
import { dirname } from "node:path";

const WRITABLE_BY_OTHERS = 0o022;

/** `path` must be absolute and real: every component is owned by root and not writable by group or others. */
export async function isFixedPath(path: string): Promise<boolean> {
  for (let part = path; ; part = dirname(part)) {
    const stat = await lstat(part);
    if (stat.uid !== 0 || (stat.mode & WRITABLE_BY_OTHERS) !== 0) return false;
    if (part === dirname(part)) return true;
  }
}
