/**
 * Which process is the Core of a home, for the moments at which it does not answer: it starts, or it ends its agents
 * with the control socket closed already. The lock of the home says that somebody is there, this file says who.
 *
 * Core writes it after it took the lock and takes it away right before the lock's release. A Core that was killed
 * leaves it behind, so a reader believes it only for a living process with the same start time and boot. Nothing is
 * decided by it: what cannot be written or read only makes `core status` and `core stop` say less.
 */
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { killPoint } from "./kill-point.ts";
import { readPrivateFile } from "./private-file.ts";
import { bootId, hasProcessTable, isAlive, readProcess } from "./process-tree.ts";

/** A mark has some 120. */
const MAX_BYTES = 4_096;
const STATES = ["starting", "running", "stopping"] as const;
export type CoreMark = { pid: number; state: (typeof STATES)[number] };

/** `path` lies in a private folder. */
export function writeCoreMark(path: string, state: CoreMark["state"]): void {
  const { pid } = process;
  const mark = { pid, start_time: readProcess(pid)?.startTime ?? "", boot_id: bootId(), state };
  const temporary = `${path}.tmp`;
  try {
    rmSync(temporary, { force: true });
    writeFileSync(temporary, `${JSON.stringify(mark)}\n`, { mode: 0o600, flag: "wx" });
    killPoint("mark.temporary_written");
    renameSync(temporary, path);
    killPoint("mark.replaced");
  } catch {
    // A full disk must not keep Core from ending its agents.
  }
}

export function removeCoreMark(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // Its process is about to be gone, and nobody believes it then.
  }
}

/** The Core that holds the home, or undefined when no living process is named. */
export function readCoreMark(path: string): CoreMark | undefined {
  let mark: { pid?: unknown; start_time?: unknown; boot_id?: unknown; state?: unknown } | null;
  try {
    mark = JSON.parse(readPrivateFile(path, MAX_BYTES)) as typeof mark;
  } catch {
    return undefined;
  }
  const state = STATES.find((known) => known === mark?.state);
  const { pid, start_time: startTime, boot_id: boot } = mark ?? {};
  if (state === undefined || typeof pid !== "number" || !Number.isSafeInteger(pid) || pid <= 1) return undefined;
  const lives = hasProcessTable()
    ? typeof startTime === "string" && boot === bootId() && isAlive({ pid, startTime })
    : canBeSignalled(pid);
  return lives ? { pid, state } : undefined;
}

function canBeSignalled(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
