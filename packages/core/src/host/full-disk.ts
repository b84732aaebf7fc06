/**
 * A full disk by its name. Whoever writes sees it under another one (ENOSPC, SQLite's own, "the audit log cannot be
 * written"), and the person at the other end can only act on "no space left". Asked where errors leave Core or the
 * command line; changes no code and decides nothing.
 */
import { statfsSync } from "node:fs";
import { CoreError } from "@opensentience/protocol";

/** Below this much free space nothing can be recorded any more, so acts fail; in bytes. */
export const FULL_SPACE: number = 64 * 1024;

/** SQLITE_FULL and SQLITE_IOERR (sqlite.org/rescode.html); the second is also what a full disk is to shared memory. */
const SQLITE_FULL = 13;
const SQLITE_IOERR = 10;
/** Errors cause errors; nobody nests them deeper. */
const MAX_CAUSES = 8;

/** `error` as it is, or, when a full disk is behind it, with that in its message and the doctor as its next step. */
export function namingFullDisk(error: CoreError, home: string): CoreError {
  if (!isFullDisk(error, home)) return error;
  const what = error.code === "core.internal" ? "" : `: ${error.message}`;
  const code = error.code === "core.internal" ? "storage.unavailable" : error.code;
  return new CoreError(code, `no space left in ${home}${what}`, {
    details: { ...error.details, no_space: true },
    nextStep: "opensentience doctor",
    cause: error,
  });
}

/** Bytes that are free where `folder` is; 0 when that cannot be told. */
export function freeSpace(folder: string): number {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return 0;
  }
}

function isFullDisk(thrown: unknown, home: string): boolean {
  // It has been named already, by the Core that answered.
  if (thrown instanceof CoreError && thrown.details["no_space"] === true) return false;
  for (let error = thrown, depth = 0; error instanceof Error && depth < MAX_CAUSES; error = error.cause, depth++) {
    const { code, errcode } = error as { code?: unknown; errcode?: unknown };
    if (code === "ENOSPC" || code === "EDQUOT") return true;
    const primary = typeof errcode === "number" ? errcode & 0xff : 0;
    if (primary === SQLITE_FULL || (primary === SQLITE_IOERR && freeSpace(home) < FULL_SPACE)) return true;
  }
  return false;
}
