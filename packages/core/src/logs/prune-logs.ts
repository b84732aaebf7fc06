/** Retention of run logs. */

import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { killPoint } from "../host/kill-point.ts";

const RUN_LOG = /^(run_[0-9a-f-]{36})\.log(?:\.\d{1,4})?$/;

/**
 * Removes the logs of all but the `keepRuns` newest runs in `folder`, rotated files included; run ids sort by time.
 * Other files (logs of installs and builds) are not touched. Gives the ids whose logs were removed.
 */
export async function pruneLogs(folder: string, keepRuns: number): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  const byRun = new Map<string, string[]>();
  for (const name of names) {
    const run = RUN_LOG.exec(name)?.[1];
    if (run !== undefined) byRun.set(run, [...(byRun.get(run) ?? []), name]);
  }
  const runs = [...byRun.keys()].toSorted();
  const removed = runs.slice(0, Math.max(0, runs.length - Math.max(0, keepRuns)));
  await removeLogs(
    folder,
    removed.flatMap((run) => byRun.get(run) ?? []),
  );
  return removed;
}

export async function removeLogs(folder: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await rm(join(folder, name), { force: true });
    killPoint("log.pruned");
  }
}
