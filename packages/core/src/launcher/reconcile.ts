/**
 * What an earlier Core left behind, closed at the next start. Runs are ended by the kernel together with their Core; a
 * run that is still alive (no namespace was to be had) is ours only if pid, start time and boot fit, and is ended now.
 * Every run recorded as live is closed as `crashed` with reason `core_lost`.
 */
import type { RestartPolicy } from "@opensentience/protocol";
import { SYSTEM_ACT, type AuditLog } from "../audit-log/audit-log.ts";
import type { Catalog } from "../catalog/catalog.ts";
import { killPoint } from "../host/kill-point.ts";
import { endLeftover } from "../sandbox/sandbox.ts";
import type { Storage } from "../storage/storage.ts";
import * as store from "./store.ts";

export async function reconcileRuns(deps: {
  storage: Storage;
  audit: AuditLog;
  catalog: Catalog;
  policyOf: (agentId: string) => RestartPolicy;
}): Promise<{ closed: number; processesEnded: number }> {
  let processesEnded = 0;
  const runs = store.liveRuns(deps.storage);
  for (const run of runs) {
    const leaked = await endLeftovers(run);
    processesEnded += leaked.found;
    killPoint("reconcile.leftovers_ended");
    const reason =
      leaked.leaked.length === 0
        ? "core_lost"
        : `core_lost; leaked: processes ${leaked.leaked.join(", ")} are still alive`;
    deps.audit.transact((tx, record) => {
      store.setEnded(deps.storage, tx, run.run_id, {
        status: "crashed",
        at: new Date().toISOString(),
        exitCode: null,
        signal: null,
        reason,
      });
      deps.catalog.setLastError(tx, run.agent_id, "Core ended while the agent ran (core_lost)");
      deps.catalog.refresh(tx, run.agent_id);
      record({
        type: "agent.run_crashed",
        act: { ...SYSTEM_ACT, causationId: deps.audit.intentOf({ type: "run", id: run.run_id }) },
        subject: { type: "run", id: run.run_id },
        outcome: "failed",
        metadata: {
          agent_id: run.agent_id,
          reason,
          leaked: leaked.leaked.length > 0 ? leaked.leaked : undefined,
          phase: "ended",
          // A stop that was asked for holds, whoever was lost meanwhile.
          restart_in_ms: run.stop_requested_at === null && deps.policyOf(run.agent_id) === "always" ? 0 : undefined,
        },
      });
    });
  }
  return { closed: runs.length, processesEnded };
}

/** Whether the newest word on the run is that it is to be started again: no later run, stop or end of Core took it back. */
export function awaitsRestart(deps: { storage: Storage; audit: AuditLog }, agentId: string): boolean {
  const run = store.newestRun(deps.storage, agentId);
  if (run?.status !== "crashed") return false;
  return typeof deps.audit.newestAbout({ type: "run", id: run.run_id })?.metadata?.["restart_in_ms"] === "number";
}

/** By pid, start time and boot, and by the run's id in the environment of strays; never by a pid alone. */
async function endLeftovers(run: store.RunRow): Promise<{ found: number; leaked: number[] }> {
  if (run.pid === null || run.pid_start_time === null || run.boot_id === null) return { found: 0, leaked: [] };
  const { found, leaked } = await endLeftover({
    pid: run.pid,
    pidStartTime: run.pid_start_time,
    bootId: run.boot_id,
    marker: run.run_id,
  });
  return { found, leaked };
}
