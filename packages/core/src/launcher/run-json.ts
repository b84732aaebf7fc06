/** A run as the interfaces show it. */
import { statSync } from "node:fs";
import type { PendingRestartJson, PsItemJson, RunJson } from "@opensentience/protocol";
import type { LiveRun } from "./live-run.ts";
import { CORE_LOST } from "./reconcile.ts";
import { DATA_OVER_LIMIT } from "./run-limits.ts";
import type { RunRow } from "./store.ts";

export function runJson(
  row: RunRow,
  live: LiveRun | undefined,
  session: { health: string; lastHeartbeatAt: string | null } | null,
  pending: PendingRestartJson,
): RunJson {
  const { isolation, limits = {} } = JSON.parse(row.sandbox_json) as Pick<RunJson, "isolation"> & Partial<RunJson>;
  const isOver = row.status === "stopped" || row.status === "crashed";
  return {
    run_id: row.run_id,
    agent_id: row.agent_id,
    status: row.status as RunJson["status"],
    pid: row.pid,
    started_at: row.started_at,
    stopped_at: row.stopped_at,
    exit_code: row.exit_code,
    signal: row.signal,
    reason: row.reason,
    restart_count: row.restart_count,
    ...pending,
    log_path: row.log_path,
    session_id: row.session_id,
    last_heartbeat_at: session?.lastHeartbeatAt ?? row.last_heartbeat_at,
    health: session === null ? null : (session.health as RunJson["health"]),
    isolation,
    limits,
    leaked_pids: live?.leaked ?? [],
    logs_degraded: live?.logsDegraded ?? false,
    next_step: isOver ? `opensentience agents logs ${row.agent_id}` : `opensentience agents logs ${row.agent_id} -f`,
  };
}

/**
 * Whether its data folder ended it. SECURITY: a reason may quote the agent further on, which must not get the operator to
 * empty a folder; pinned by "what a reason quotes is no reason to empty a folder".
 */
export function isFullAtEnd(run: Pick<RunJson, "reason"> | null): boolean {
  return run?.reason?.startsWith(DATA_OVER_LIMIT) === true;
}

/** CPU since the previous look at the same run when that is long enough ago to mean something, else since its start. */
const SAMPLE_MS = 500;

export function psItem(
  run: RunJson,
  live: LiveRun | undefined,
  usage: { cpuMs: number; memoryBytes: number; processes: number } | undefined,
  samples: Map<string, { atMs: number; cpuMs: number }>,
): PsItemJson {
  const nowMs = performance.now();
  const isLost = run.reason?.startsWith(CORE_LOST) === true;
  const closedMs = run.stopped_at === null ? Date.now() : Date.parse(run.stopped_at);
  const endMs = isLost ? Math.min(closedMs, lastWrittenMs(run.log_path)) : closedMs;
  const uptimeMs =
    usage === undefined || live === undefined
      ? Math.max(0, endMs - Date.parse(run.started_at))
      : nowMs - live.startedMs;
  if (usage === undefined || live === undefined)
    return {
      ...run,
      cpu_percent: null,
      memory_bytes: null,
      processes: null,
      uptime_ms: Math.round(uptimeMs),
      uptime_is_least: isLost,
    };
  const last = samples.get(run.run_id);
  const since = last !== undefined && nowMs - last.atMs >= SAMPLE_MS ? last : { atMs: live.startedMs, cpuMs: 0 };
  if (last === undefined || nowMs - last.atMs >= SAMPLE_MS)
    samples.set(run.run_id, { atMs: nowMs, cpuMs: usage.cpuMs });
  const cpuPercent = Math.max(0, ((usage.cpuMs - since.cpuMs) / Math.max(1, nowMs - since.atMs)) * 100);
  return {
    ...run,
    cpu_percent: Math.round(cpuPercent * 10) / 10,
    memory_bytes: usage.memoryBytes,
    processes: usage.processes,
    uptime_ms: Math.round(uptimeMs),
    uptime_is_least: false,
  };
}

/** The last that is known of a run whose end nobody saw; the beginning of time where it wrote nothing. */
function lastWrittenMs(logPath: string | null): number {
  if (logPath === null) return 0;
  const file = statSync(logPath, { throwIfNoEntry: false });
  return file === undefined || file.size === 0 ? 0 : file.mtimeMs;
}
