/**
 * What an earlier Core left behind, closed at the next start. Runs are ended by the kernel together with their Core; a
 * run that is still alive (no namespace was to be had) is ours only if pid, start time and boot fit, and is ended now.
 * Every run recorded as live is closed as `crashed` with reason `core_lost`. Arguments are kept in memory only, so a run
 * that had some is not started again: without them it would be another program than the one that was asked for.
 */
import type { RestartPolicy } from "@opensentience/protocol";
import { SYSTEM_ACT, type AuditLog } from "../audit-log/audit-log.ts";
import type { Catalog } from "../catalog/catalog.ts";
import { killPoint } from "../host/kill-point.ts";
import { endLeftover, endUnrecorded } from "../sandbox/sandbox.ts";
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
    // A stop that was asked for holds, whoever was lost meanwhile.
    const isDue = run.stop_requested_at === null && deps.policyOf(run.agent_id) === "always";
    const isStartedAgain = isDue && !hadArguments(deps.audit, run.run_id);
    const notes = [
      ...(leaked.leaked.length === 0 ? [] : [`leaked: processes ${leaked.leaked.join(", ")} are still alive`]),
      ...(isDue && !isStartedAgain ? [notStartedAgain(run.agent_id)] : []),
    ];
    const reason = [CORE_LOST, ...notes].join("; ");
    deps.audit.transact((tx, record) => {
      store.setEnded(deps.storage, tx, run.run_id, {
        status: "crashed",
        at: new Date().toISOString(),
        exitCode: null,
        signal: null,
        reason,
      });
      deps.catalog.setLastError(tx, run.agent_id, ["Core ended while the agent ran (core_lost)", ...notes].join("; "));
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
          restart_in_ms: isStartedAgain ? 0 : undefined,
        },
      });
    });
  }
  return { closed: runs.length, processesEnded };
}

/** How the reason of a run begins that was lost with its Core: when it ended is not known, only when it was closed. */
export const CORE_LOST = "core_lost";

/** In the reason of what is not started again; the agent's next step goes by it. */
export const ARGUMENTS_NOT_KEPT = "its arguments are not kept";

function notStartedAgain(agentId: string): string {
  return `not started again: ${ARGUMENTS_NOT_KEPT}, start it with \`opensentience agents run ${agentId} -- …\``;
}

/** Counted in the record of its start. Where that was erased nobody knows, which counts as yes. */
function hadArguments(audit: AuditLog, runId: string): boolean {
  const intent = audit.intentOf({ type: "run", id: runId }, "agent.run_started");
  return intent !== null && audit.find(intent)?.metadata?.["args_count"] !== 0;
}

/** Of a restart that an earlier Core still owed: it will not come, and the agent's last error says why. */
function callOffLost(deps: { audit: AuditLog; catalog: Catalog }, run: store.RunRow): void {
  const reason = `Core was lost before its restart; ${notStartedAgain(run.agent_id)}`;
  deps.audit.transact((tx, record) => {
    deps.catalog.setLastError(tx, run.agent_id, `${run.reason ?? "end unknown"}; ${reason}`);
    record({
      type: "agent.run_stopped",
      act: SYSTEM_ACT,
      subject: { type: "run", id: run.run_id },
      metadata: { agent_id: run.agent_id, phase: "restart called off", reason },
    });
  });
}

/**
 * The newest run of the agent, if the newest word on it is that it is to be started again: no later run, stop or end of Core took it back.
 * A restart that cannot be had, since its arguments are lost, is called off here.
 */
export function awaitsRestart(
  deps: { storage: Storage; audit: AuditLog; catalog: Catalog },
  agentId: string,
): store.RunRow | undefined {
  const run = store.newestRun(deps.storage, agentId);
  if (run?.status !== "crashed") return undefined;
  const newest = deps.audit.newestAbout({ type: "run", id: run.run_id });
  if (typeof newest?.metadata?.["restart_in_ms"] !== "number") return undefined;
  if (!hadArguments(deps.audit, run.run_id)) return run;
  callOffLost(deps, run);
  return undefined;
}

/** By pid, start time and boot, and by the run's id in the environment of strays; never by a pid alone. */
async function endLeftovers(run: store.RunRow): Promise<{ found: number; leaked: number[] }> {
  if (run.pid === null || run.pid_start_time === null || run.boot_id === null) return endUnrecorded(run.run_id);
  const { found, leaked } = await endLeftover({
    pid: run.pid,
    pidStartTime: run.pid_start_time,
    bootId: run.boot_id,
    marker: run.run_id,
  });
  return { found, leaked };
}
