/** The logs of builds: one file per step, named by the time at which the build began. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { readLog, type ReadOptions } from "./log-history.ts";
import type { LogRecord } from "./log-record.ts";
import { removeLogs } from "./prune-logs.ts";

const BUILD_LOG = /^build-(\d{4}-[\dTZ-]+)-(\d{1,4})\.log(?:\.\d{1,4})?$/;

/** The log of a build's step, counted from 1; `stamp` is `fileStamp()` at the build's begin. */
export function buildLogPath(folder: string, stamp: string, step: number): string {
  return join(folder, `build-${stamp}-${step}.log`);
}

/** The newest build's records, step by step; none where no build of the agent had a step. With `tail` that many are held in memory. */
export async function* readBuildLog(
  folder: string,
  { tail, since }: ReadOptions = {},
): AsyncGenerator<LogRecord, void, undefined> {
  const from = since === undefined ? {} : { since };
  const newest = [...(await buildLogs(folder))].at(-1);
  if (newest === undefined) return;
  const [stamp, { steps }] = newest;
  const paths = [...steps].toSorted((a, b) => a - b).map((step) => buildLogPath(folder, stamp, step));
  if (tail === undefined) {
    for (const path of paths) yield* readLog(path, from);
    return;
  }
  let records: LogRecord[] = [];
  for (const path of paths.toReversed()) {
    if (records.length >= tail) break;
    records = [...(await Array.fromAsync(readLog(path, { ...from, tail: tail - records.length }))), ...records];
  }
  yield* records;
}

/** Removes the logs of all but the `keep` newest builds in `folder`. Other files are not touched. */
export async function pruneBuildLogs(folder: string, keep: number): Promise<void> {
  const builds = [...(await buildLogs(folder)).values()];
  const removed = builds.slice(0, Math.max(0, builds.length - keep));
  await removeLogs(
    folder,
    removed.flatMap(({ names }) => names),
  );
}

/** By their stamps, oldest first. */
async function buildLogs(folder: string): Promise<Map<string, { steps: Set<number>; names: string[] }>> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  const builds = new Map<string, { steps: Set<number>; names: string[] }>();
  for (const name of names.toSorted((a, b) => (a < b ? -1 : 1))) {
    const [, stamp, step] = BUILD_LOG.exec(name) ?? [];
    if (stamp === undefined) continue;
    const build = builds.get(stamp) ?? { steps: new Set(), names: [] };
    build.steps.add(Number(step));
    build.names.push(name);
    builds.set(stamp, build);
  }
  return builds;
}
