/** What a run will be, decided and recorded before anything is started. */
import { randomBytes } from "node:crypto";
import type { Server } from "node:net";
import { dirname, join } from "node:path";
import {
  entrypointCommand,
  newIdAfter,
  shortId,
  type Enforcement,
  type Manifest,
  type RestartPolicy,
} from "@opensentience/protocol";
import { shortened, TRUST_BOUNDARY, type Act, type AuditLog, type Redactor } from "../audit-log/audit-log.ts";
import type { Catalog } from "../catalog/catalog.ts";
import type { Enablement, Runnable } from "../enablement/enablement.ts";
import { killPoint } from "../host/kill-point.ts";
import { ensurePrivateFolder } from "../host/private-file.ts";
import { pruneLogs } from "../logs/logs.ts";
import { checkInside, checkProgram, describeHeld, egressPatterns, type SandboxProbe } from "../sandbox/sandbox.ts";
import type { Storage } from "../storage/storage.ts";
import {
  confinementOf,
  decideConfinement,
  refuseAdvisory,
  type Confinement,
  type SandboxSettings,
} from "./confinement.ts";
import { approvedVariables, buildEnvironment } from "./env.ts";
import type { LogLimits, RunPlan } from "./live-run.ts";
import { refusedHostNote, type Judge, type RefusedHost } from "./refused-host.ts";
import type { RestartLimits } from "./restart-policy.ts";
import { boxLimits, limitsHeld, limitsOf, treeLimits, type MostLimits } from "./run-limits.ts";
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
    sandbox: SandboxSettings;
    limits: MostLimits;
  };
  folders: {
    runAgents: string;
    logs: string;
    agent: (agentId: string) => { source: string; data: string; temporary: string };
  };
  environmentValue: (name: string) => string | undefined;
  /** How each approved permission is held here; goes into the record of the run. */
  describePermissions: (approved: readonly string[], confined: boolean) => Record<string, Enforcement>;
  /** The door through which a running agent talks to Core: there before its first instruction, gone with it. */
  sockets: RunSockets;
  /** The way out of a run that has `network:egress`: there before its first instruction, gone with it. */
  egress: RunEgress;
  onFault: (what: string, error: unknown) => void;
};

export type RunEgress = Judge & {
  /** Takes the socket that listens in the box. */
  open: (
    run: {
      runId: string;
      agentId: string;
      patterns: readonly string[];
      /** Told what is refused, and what is allowed and cannot be reached, once per host and port. */
      onRefused: (refused: RefusedHost) => void;
    },
    listener: Server,
  ) => Promise<void>;
  close: (runId: string) => unknown;
};

export type RunSocket = {
  runId: string;
  agentId: string;
  manifestHash: string;
  sessionToken: string;
  hasTools: boolean;
  socketPath: string;
  executionLimits: Manifest["execution_limits"];
  /** Ends the run because nobody can talk to it any more. */
  endRun: (reason: string, isFault: boolean) => void;
  /** The agent shook hands: its session has this id. */
  onSession: (sessionId: string) => void;
  /** The agent lives but is not well: whether its run goes on is the restart policy's. */
  onUnhealthy: (reason: string) => void;
};
export type RunSockets = {
  open: (run: RunSocket) => Promise<void>;
  close: (agentId: string, runId: string, reason: string) => Promise<void>;
  /** The session of the agent's live run; undefined before its handshake. */
  session: (agentId: string) => { id: string; health: string; lastHeartbeatAt: string | null } | undefined;
};

type Decided = {
  argv: [string, ...string[]];
  unsandboxedBy: Confinement["unsandboxedBy"];
  permissions: Record<string, Enforcement>;
};

/** What a plan begins with; leaves nothing behind. */
async function decide(deps: LauncherDeps, runnable: Runnable, args: string[]): Promise<Decided> {
  const { agent, manifest, approvedPermissions } = runnable;
  const { folders, settings } = deps;
  const source = agent.installPath ?? folders.agent(agent.agentId).source;
  const [program = "", ...rest] = entrypointCommand(manifest.manifest.entrypoint, args);
  const path = await checkProgram(program, source, settings.toolPath);
  if (program.includes("/")) await checkInside(path, source);
  const unsandboxedBy = decideConfinement(deps.probe, settings.sandbox.mode, runnable);
  const permissions = deps.describePermissions(approvedPermissions, unsandboxedBy === undefined);
  if (settings.sandbox.requireEnforced) refuseAdvisory(agent.agentId, permissions);
  return { argv: [path, ...rest], unsandboxedBy, permissions };
}

/** Throws what `makePlan` would throw now, and leaves nothing behind: for whoever has to end a healthy run first. */
export async function checkPlan(deps: LauncherDeps, runnable: Runnable, args: string[]): Promise<void> {
  const { agent, approvedPermissions } = runnable;
  const { folders, settings } = deps;
  const own = folders.agent(agent.agentId);
  const { argv, unsandboxedBy } = await decide(deps, runnable, args);
  approvedVariables({ agentId: agent.agentId, approvedPermissions, valueOf: deps.environmentValue });
  await confinementOf(unsandboxedBy, {
    approvedPermissions,
    source: agent.installPath ?? own.source,
    data: own.data,
    socketFolder: folders.runAgents,
    toolPath: settings.toolPath,
    program: argv[0],
    limits: {},
    core: settings.sandbox.core,
  });
}

/** Everything that can be refused is refused here, before the intent is recorded. */
export async function makePlan(
  deps: LauncherDeps,
  runnable: Runnable,
  args: string[],
): Promise<{
  plan: RunPlan;
  secrets: [string, string][];
  socket: Omit<RunSocket, "endRun" | "onSession" | "onUnhealthy">;
}> {
  const { agent, manifest, approvedPermissions } = runnable;
  const { folders, settings } = deps;
  // Runs are listed, and logs pruned, in the order of their ids.
  const runId = newIdAfter("run", store.newestRunId(deps.storage));
  const own = folders.agent(agent.agentId);
  const source = agent.installPath ?? own.source;
  const { argv, unsandboxedBy, permissions } = await decide(deps, runnable, args);
  const patterns = egressPatterns(approvedPermissions);
  const isProxied = unsandboxedBy === undefined && patterns.length > 0;
  const pipeFolder = join(folders.runAgents, shortId(runId));
  const sessionToken = randomBytes(32).toString("base64url");
  const socketPath = join(pipeFolder, "core.sock");
  const { variables, secrets } = buildEnvironment({
    agentId: agent.agentId,
    runId,
    sessionToken,
    socketPath,
    dataFolder: own.data,
    temporaryFolder: own.temporary,
    toolPath: settings.toolPath,
    isMixTask: manifest.manifest.entrypoint.type === "mix_task",
    approvedPermissions,
    egressPatterns: isProxied ? patterns : undefined,
    valueOf: deps.environmentValue,
  });
  const logPath = join(folders.logs, agent.agentId, `${runId}.log`);
  for (const folder of [own.data, own.temporary, pipeFolder, dirname(logPath)]) await ensurePrivateFolder(folder);
  killPoint("run.folders_made");
  await pruneLogs(dirname(logPath), Math.max(0, settings.keepRuns - 1));
  killPoint("run.logs_pruned");
  const { resources } = manifest.manifest;
  const limits = limitsOf(resources, settings.limits);
  const { policy } = await confinementOf(unsandboxedBy, {
    approvedPermissions,
    source,
    data: own.data,
    socketFolder: pipeFolder,
    toolPath: settings.toolPath,
    program: argv[0],
    limits: boxLimits(limits),
    core: settings.sandbox.core,
  });
  const startedMetadata = {
    agent_id: agent.agentId,
    approval_id: runnable.approvalId,
    manifest_hash: manifest.manifestHash,
    commit: agent.commit,
    permissions,
    limits: limitsHeld(resources, limits),
    args_count: args.length,
    args: recordedArguments(deps.redactor, args),
  };
  return {
    plan: {
      runId,
      agentId: agent.agentId,
      argv,
      cwd: source,
      env: variables,
      pipeFolder,
      logPath,
      policy,
      limits,
      treeLimits: treeLimits(limits),
      limitsHeld: (held) => limitsHeld(resources, limits, held),
      dataFolder: own.data,
      wayOut: isProxied
        ? (listener, note): Promise<void> =>
            deps.egress.open(
              {
                runId,
                agentId: agent.agentId,
                patterns,
                onRefused: (refused) =>
                  note(refusedHostNote(refused, agent.agentId, manifest.manifest.permissions, deps.egress)),
              },
              listener,
            )
        : undefined,
      unsandboxedBy,
      permissions,
      startedMetadata,
    },
    secrets,
    socket: {
      runId,
      agentId: agent.agentId,
      manifestHash: manifest.manifestHash,
      sessionToken,
      hasTools: manifest.manifest.capabilities.includes("tools"),
      socketPath,
      executionLimits: manifest.manifest.execution_limits,
    },
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
        isolation: describeHeld(probe, plan.unsandboxedBy === undefined).isolation,
        permissions: plan.permissions,
      }),
      log_path: plan.logPath,
      restart_count: restartCount,
    });
    if (restart !== undefined) catalog.setRestartPolicy(tx, plan.agentId, restart);
    catalog.refresh(tx, plan.agentId);
    if (plan.unsandboxedBy !== undefined)
      record({
        type: "security.unsandboxed_run",
        act,
        subject: { type: "run", id: plan.runId },
        metadata: {
          agent_id: plan.agentId,
          approval_id: runnable.approvalId,
          allowed_by: plan.unsandboxedBy,
          reason: probe.reason,
        },
      });
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
