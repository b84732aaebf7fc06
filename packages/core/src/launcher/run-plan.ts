/** What a run will be, decided and recorded before anything is started. */
import { randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import { newIdAfter, shortId, type RestartPolicy } from "@opensentience/protocol";
import { shortened, TRUST_BOUNDARY, type Act, type AuditLog, type Redactor } from "../audit-log/audit-log.ts";
import type { Catalog } from "../catalog/catalog.ts";
import type { Enablement, Runnable } from "../enablement/enablement.ts";
import { killPoint } from "../host/kill-point.ts";
import { ensurePrivateFolder } from "../host/private-file.ts";
import { pruneLogs } from "../logs/logs.ts";
import { checkInside, checkProgram, describeHeld, type SandboxProbe } from "../sandbox/sandbox.ts";
import type { Storage } from "../storage/storage.ts";
import { buildCommand } from "./command-builder.ts";
import { buildEnvironment } from "./env.ts";
import type { LogLimits, RunPlan } from "./live-run.ts";
import type { RestartLimits } from "./restart-policy.ts";
import * as store from "./store.ts";

/** What the record of a run keeps of its arguments. */
const RECORDED_ARGUMENTS = 20;
const RECORDED_CHARACTERS = 200;

export type LauncherDeps = {
  storage: Storage;
  audit: AuditLog;
  catalog: Catalog;
  enablement: Enablement;
  redactor: Redactor;
  probe: SandboxProbe;
  settings: {
    stopGraceMs: number;
    restartPolicy: RestartPolicy;
    restart: RestartLimits;
    logs: LogLimits;
    keepRuns: number;
    toolPath: string;
  };
  folders: {
    runAgents: string;
    logs: string;
    agent: (agentId: string) => { source: string; data: string; temporary: string };
  };
  environmentValue: (name: string) => string | undefined;
  /** How each approved permission is held here; goes into the record of the run. */
  describePermissions: (approved: readonly string[]) => Record<string, string>;
  onFault: (what: string, error: unknown) => void;
};

/** Everything that can be refused is refused here, before the intent is recorded. */
export async function makePlan(
  deps: LauncherDeps,
  runnable: Runnable,
  args: string[],
): Promise<{ plan: RunPlan; secrets: [string, string][] }> {
  const { agent, manifest, approvedPermissions } = runnable;
  const { folders, settings } = deps;
  // Runs are listed, and logs pruned, in the order of their ids.
  const runId = newIdAfter("run", store.newestRunId(deps.storage));
  const own = folders.agent(agent.agentId);
  const source = agent.installPath ?? own.source;
  const [program = "", ...rest] = buildCommand(manifest.manifest.entrypoint, args);
  const path = await checkProgram(program, source, settings.toolPath);
  if (program.includes("/")) await checkInside(path, source);
  const pipeFolder = join(folders.runAgents, shortId(runId));
  const { variables, secrets } = buildEnvironment({
    agentId: agent.agentId,
    runId,
    sessionToken: randomBytes(32).toString("base64url"),
    socketPath: join(pipeFolder, "core.sock"),
    dataFolder: own.data,
    temporaryFolder: own.temporary,
    toolPath: settings.toolPath,
    isMixTask: manifest.manifest.entrypoint.type === "mix_task",
    approvedPermissions,
    valueOf: deps.environmentValue,
  });
  const logPath = join(folders.logs, agent.agentId, `${runId}.log`);
  for (const folder of [own.data, own.temporary, pipeFolder, dirname(logPath)]) await ensurePrivateFolder(folder);
  killPoint("run.folders_made");
  await pruneLogs(dirname(logPath), Math.max(0, settings.keepRuns - 1));
  killPoint("run.logs_pruned");
  const startedMetadata = {
    agent_id: agent.agentId,
    approval_id: runnable.approvalId,
    manifest_hash: manifest.manifestHash,
    commit: agent.commit,
    permissions: deps.describePermissions(approvedPermissions),
    args_count: args.length,
    args: recordedArguments(deps.redactor, args),
  };
  return {
    plan: {
      runId,
      agentId: agent.agentId,
      argv: [path, ...rest],
      cwd: source,
      env: variables,
      pipeFolder,
      logPath,
      startedMetadata,
    },
    secrets,
  };
}

/** Redacted first and shortened then: half a secret would not be known for one. */
function recordedArguments(redactor: Redactor, args: readonly string[]): string[] {
  const kept = redactor
    .arguments(args)
    .slice(0, RECORDED_ARGUMENTS)
    .map((text) => shortened(text, RECORDED_CHARACTERS));
  return args.length > kept.length ? [...kept, `… (${args.length - kept.length} arguments more)`] : kept;
}

export function recordIntent(
  deps: LauncherDeps,
  runnable: Runnable,
  plan: RunPlan,
  restart: RestartPolicy | undefined,
  restartCount: number,
  act: Act,
): string {
  const { storage, audit, catalog, probe } = deps;
  return audit.transact((tx, record) => {
    store.insertRun(storage, tx, {
      run_id: plan.runId,
      agent_id: plan.agentId,
      started_at: new Date().toISOString(),
      manifest_hash: runnable.manifest.manifestHash,
      approval_id: runnable.approvalId,
      sandbox_json: JSON.stringify({
        backend: probe.backend,
        isolation: describeHeld(probe).isolation,
        permissions: plan.startedMetadata.permissions,
      }),
      log_path: plan.logPath,
      restart_count: restartCount,
    });
    if (restart !== undefined) catalog.setRestartPolicy(tx, plan.agentId, restart);
    catalog.refresh(tx, plan.agentId);
    return record({
      type: "agent.run_started",
      act,
      subject: { type: "run", id: plan.runId },
      outcome: "unknown",
      metadata: {
        ...plan.startedMetadata,
        restart_count: restartCount,
        restart,
        phase: "intent",
        trust_boundary: TRUST_BOUNDARY,
      },
    });
  });
}
