/** SQL of runs. Every write asks for the transaction it belongs to. */
import type { Storage, Tx } from "../storage/storage.ts";

export type RunRow = {
  run_id: string;
  agent_id: string;
  started_at: string;
  stop_requested_at: string | null;
  stopped_at: string | null;
  status: string;
  pid: number | null;
  pid_start_time: string | null;
  boot_id: string | null;
  exit_code: number | null;
  signal: string | null;
  reason: string | null;
  manifest_hash: string;
  approval_id: string;
  sandbox_json: string;
  log_path: string | null;
  restart_count: number;
  last_heartbeat_at: string | null;
  session_id: string | null;
};

export function runById(storage: Storage, runId: string): RunRow | undefined {
  return storage.get("SELECT * FROM runs WHERE run_id = ?", runId);
}

export function newestRun(storage: Storage, agentId: string): RunRow | undefined {
  return storage.get("SELECT * FROM runs WHERE agent_id = ? ORDER BY run_id DESC LIMIT 1", agentId);
}

export function newestCrash(storage: Storage, agentId: string): Pick<RunRow, "stopped_at"> | undefined {
  return storage.get(
    "SELECT stopped_at FROM runs WHERE agent_id = ? AND status = 'crashed' ORDER BY run_id DESC LIMIT 1",
    agentId,
  );
}

/** The id that sorts last, of any agent. */
export function newestRunId(storage: Storage): string | undefined {
  return storage.get<{ run_id: string }>("SELECT run_id FROM runs ORDER BY run_id DESC LIMIT 1")?.run_id;
}

export function liveRuns(storage: Storage): RunRow[] {
  return storage.all("SELECT * FROM runs WHERE status IN ('starting','running','stopping') ORDER BY run_id");
}

export function liveRunOf(storage: Storage, agentId: string): RunRow | undefined {
  return storage.get("SELECT * FROM runs WHERE agent_id = ? AND status IN ('starting','running','stopping')", agentId);
}

/** The run of the same agent that came right after it. */
export function runAfter(storage: Storage, agentId: string, runId: string): RunRow | undefined {
  return storage.get("SELECT * FROM runs WHERE agent_id = ? AND run_id > ? ORDER BY run_id LIMIT 1", agentId, runId);
}

/** `liveOnly` gives the runs named in `andRuns` too. Newest first; ids sort by time, so the cursor is the last id of the page before. */
export function pageOfRuns(
  storage: Storage,
  filter: { agentId?: string | undefined; liveOnly: boolean; andRuns: string[] },
  beforeId: string,
  limit: number,
): RunRow[] {
  return storage.all(
    `SELECT * FROM runs WHERE (? IS NULL OR agent_id = ?) AND (? = 0 OR status IN ('starting','running','stopping') OR run_id IN (SELECT value FROM json_each(?))) AND run_id < ?
     ORDER BY run_id DESC LIMIT ?`,
    filter.agentId ?? null,
    filter.agentId ?? null,
    filter.liveOnly ? 1 : 0,
    JSON.stringify(filter.andRuns),
    beforeId,
    limit,
  );
}

export function insertRun(
  storage: Storage,
  tx: Tx,
  run: Pick<
    RunRow,
    | "run_id"
    | "agent_id"
    | "started_at"
    | "manifest_hash"
    | "approval_id"
    | "sandbox_json"
    | "log_path"
    | "restart_count"
  >,
): void {
  storage.run(
    tx,
    "INSERT INTO runs (run_id, agent_id, started_at, status, manifest_hash, approval_id, sandbox_json, log_path, restart_count) VALUES (?,?,?, 'starting', ?,?,?,?,?)",
    run.run_id,
    run.agent_id,
    run.started_at,
    run.manifest_hash,
    run.approval_id,
    run.sandbox_json,
    run.log_path,
    run.restart_count,
  );
}

export function setSession(storage: Storage, tx: Tx, runId: string, sessionId: string): void {
  storage.run(tx, "UPDATE runs SET session_id = ? WHERE run_id = ?", sessionId, runId);
}

export function setRunning(
  storage: Storage,
  tx: Tx,
  runId: string,
  process: { pid: number; pidStartTime: string; bootId: string; limits: Record<string, string> },
): void {
  storage.run(
    tx,
    "UPDATE runs SET status = 'running', pid = ?, pid_start_time = ?, boot_id = ?, sandbox_json = json_set(sandbox_json, '$.limits', json(?)) WHERE run_id = ?",
    process.pid,
    process.pidStartTime,
    process.bootId,
    JSON.stringify(process.limits),
    runId,
  );
}

export function setStopping(storage: Storage, tx: Tx, runId: string, at: string): void {
  storage.run(
    tx,
    "UPDATE runs SET status = 'stopping', stop_requested_at = ? WHERE run_id = ? AND status IN ('starting','running')",
    at,
    runId,
  );
}

export function setEnded(
  storage: Storage,
  tx: Tx,
  runId: string,
  end: {
    status: "stopped" | "crashed";
    at: string;
    exitCode: number | null;
    signal: string | null;
    reason: string | null;
  },
): void {
  storage.run(
    tx,
    "UPDATE runs SET status = ?, stopped_at = ?, exit_code = ?, signal = ?, reason = ? WHERE run_id = ?",
    end.status,
    end.at,
    end.exitCode,
    end.signal,
    end.reason,
    runId,
  );
}
