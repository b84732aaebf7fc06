import type { PsItemJson, RunJson } from "@opensentience/protocol";

const OVER = new Set<RunJson["status"]>(["stopped", "crashed"]);
const NEW = { cpu_percent: null, memory_bytes: null, processes: null, uptime_ms: 0, uptime_is_least: false };

/** Live runs after these changes; what the machine uses stays as it was last measured. */
export function withRuns(runs: readonly PsItemJson[], changed: readonly RunJson[]): PsItemJson[] {
  const byId = new Map(runs.map((run) => [run.run_id, run]));
  for (const run of changed) {
    const isOver = OVER.has(run.status) && run.restart_at === null;
    if (isOver) byId.delete(run.run_id);
    else byId.set(run.run_id, { ...NEW, ...byId.get(run.run_id), ...run });
  }
  return [...byId.values()];
}
