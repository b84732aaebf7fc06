/**
 * What an earlier Core left behind, closed at the next start. Runs are ended by the kernel together with their Core; a
 * run that is still alive (no namespace was to be had) is ours only if pid, start time and boot fit, and is ended now.
 * Every run recorded as live is closed as `crashed` with reason `core_lost`.
 */
import { SYSTEM_ACT, type AuditLog } from "../audit-log/audit-log.ts";
import type { Catalog } from "../catalog/catalog.ts";
import { isSameProcess, listDescendants, readProcess, signalProcess } from "../host/process-tree.ts";
import type { Storage } from "../storage/storage.ts";
import * as store from "./store.ts";

export function reconcileRuns(deps: { storage: Storage; audit: AuditLog; catalog: Catalog }): { closed: string[]; processesEnded: number } {
  let processesEnded = 0;
  const runs = store.liveRuns(deps.storage);
  for (const run of runs) {
    processesEnded += endLeftovers(run);
    deps.audit.transact((tx, record) => {
      store.setEnded(deps.storage, tx, run.run_id, { status: "crashed", at: new Date().toISOString(), exitCode: null, signal: null, reason: "core_lost" });
      deps.catalog.setLastError(tx, run.agent_id, "Core ended while the agent ran (core_lost)");
      deps.catalog.refresh(tx, run.agent_id);
      record({
        type: "agent.run_crashed",
        act: SYSTEM_ACT,
        subject: { type: "run", id: run.run_id },
        outcome: "failed",
        metadata: { agent_id: run.agent_id, reason: "core_lost", phase: "ended" },
      });
    });
  }
  return { closed: runs.map((run) => run.agent_id), processesEnded };
}

/** SECURITY: a pid alone may be anybody's by now; pinned by "never signals a process that only has the same pid". */
function endLeftovers(run: store.RunRow): number {
  if (run.pid === null || run.pid_start_time === null || run.boot_id === null) return 0;
  if (!isSameProcess(run.pid, run.pid_start_time, run.boot_id)) return 0;
  const leader = readProcess(run.pid);
  const tree = leader === undefined ? [] : [leader, ...listDescendants(run.pid)];
  return tree.filter((process) => signalProcess(process, "SIGKILL")).length;
}
