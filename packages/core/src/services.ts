/** The parts of Core that need its database, put together: each gets just the settings and folders it uses. */
import { createHash } from "node:crypto";
import { CoreError, enforcementOf } from "@opensentience/protocol";
import { AuditLog, Checkpoints, SYSTEM_ACT, type Redactor } from "./audit-log/audit-log.ts";
import { Build } from "./build/build.ts";
import { Catalog } from "./catalog/catalog.ts";
import { Egress, egressLimits } from "./egress/egress.ts";
import { Discovery } from "./discovery/discovery.ts";
import { Enablement } from "./enablement/enablement.ts";
import type { Config } from "./host/config.ts";
import { JournalFile } from "./host/journal-file.ts";
import { killPoint } from "./host/kill-point.ts";
import { openFileLimit } from "./host/open-files.ts";
import { agentFolders } from "./host/paths.ts";
import { shellWord } from "./host/shell-word.ts";
import { Install } from "./install/install.ts";
import { isLacking, Launcher } from "./launcher/launcher.ts";
import { VERSION } from "./host/version.ts";
import { Runtime } from "./runtime/runtime.ts";
import { describeHeld, endUnrecorded, type SandboxProbe } from "./sandbox/sandbox.ts";
import type { Storage } from "./storage/storage.ts";
import type { Domain } from "./web/web.ts";

type Parts = {
  storage: Storage;
  config: Config;
  redactor: Redactor;
  probe: SandboxProbe;
  onFault: (what: string, error: unknown) => void;
};

/** First of all: nothing else is made from a database whose log is not intact (`problem` says so, or `audit.not_intact`). */
export async function openAuditLog(parts: Parts & { instanceId: string }): Promise<AuditLog> {
  const { storage, config, redactor, instanceId, onFault } = parts;
  const { auditKey, auditCheckpoints, auditJournal } = config.paths;
  try {
    return new AuditLog({
      storage,
      redactor,
      checkpoints: await Checkpoints.open(auditKey, auditCheckpoints, (bytes) =>
        onFault("half a checkpoint was cut off", `${bytes} bytes that a crash left at the end of the file`),
      ),
      journal: openJournal(auditJournal),
      observer: instanceId,
      checkpointEvents: config.get("audit.checkpoint_events"),
      checkpointIntervalMs: config.get("audit.checkpoint_interval_ms"),
      onCheckpointError: (error) => onFault("a checkpoint could not be written", error),
      onOwed: onFault,
    });
  } catch (error) {
    if (!(error instanceof CoreError) || error.code !== "audit.not_intact") throw error;
    throw notIntact(error.message, config.paths.stateFolder);
  }
}

function openJournal(path: string): JournalFile {
  try {
    return new JournalFile(path);
  } catch (cause) {
    throw new CoreError("audit.not_intact", "the audit log is not intact: the journal of calls cannot be read", {
      cause,
    });
  }
}

/** What was found stays as evidence; Core goes on with a new, empty state. */
export function notIntact(message: string, stateFolder: string): CoreError {
  const aside = `${stateFolder}.aside-${new Date().toISOString().replaceAll(/[-:]|\.\d+/g, "")}`;
  return new CoreError("audit.not_intact", message, {
    nextStep: `opensentience core stop && mv ${shellWord(stateFolder)} ${shellWord(aside)} && opensentience core start`,
  });
}

export function makeServices(
  parts: Parts & {
    audit: AuditLog;
    instanceId: string;
    /** Ports of this machine on which Core itself listens. */
    corePorts: readonly number[];
  },
): NonNullable<Domain["services"]> {
  const { storage, audit, config, redactor, probe, onFault } = parts;
  const { paths } = config;
  const agent = (agentId: string): ReturnType<typeof agentFolders> => agentFolders(paths, agentId);
  const logs = logLimits(config);
  const folders = {
    agents: paths.agentsFolder,
    staging: paths.stagingFolder,
    logs: paths.logsFolder,
    runAgents: paths.runAgentsFolder,
    agent,
  };
  const catalog = new Catalog({ storage, audit });
  const limits = { maxBytes: config.get("install.max_bytes"), maxFiles: config.get("install.max_files") };
  const enablement = new Enablement({ storage, audit, catalog, treeFiles: agent, limits });
  const runtime = new Runtime({
    audit,
    settings: {
      handshakeTimeoutMs: config.get("runtime.handshake_timeout_ms"),
      heartbeatIntervalMs: config.get("runtime.heartbeat_interval_ms"),
      missedHeartbeats: config.get("runtime.missed_heartbeats"),
      callIdleMs: config.get("runtime.call_idle_ms"),
      callTotalMs: config.get("runtime.call_total_ms"),
      limits: {
        maxConcurrent: config.get("runtime.calls_at_once"),
        rate: { calls: config.get("runtime.calls_per_minute"), perMs: 60_000 },
      },
    },
    server: { core_version: VERSION, instance_id: parts.instanceId },
    approvedPermissions: (agentId) => enablement.approvedPermissions(agentId),
    lacksUntilRestart: (agentId, permission): boolean => {
      const begun = launcher.atStart(agentId);
      return begun !== undefined && isLacking(begun, permission);
    },
    onFault,
  });
  enablement.onChanged(() => runtime.router.recheck());
  const coreFolders = { operatorHome: config.operatorHome, own: [paths.home, paths.runFolder] };
  const egress = new Egress({ audit, corePorts: parts.corePorts, onFault, limits: egressLimits(openFileLimit()) });
  const launcher = new Launcher({
    storage,
    audit,
    catalog,
    enablement,
    redactor,
    probe,
    settings: {
      stopGraceMs: config.get("launcher.stop_grace_ms"),
      restartPolicy: config.get("restart.policy"),
      restart: {
        maxAttempts: config.get("restart.max_attempts"),
        windowMs: config.get("restart.window_ms"),
        initialMs: config.get("restart.initial_ms"),
        maxMs: config.get("restart.max_ms"),
        stableMs: config.get("restart.stable_ms"),
      },
      logs,
      keepRuns: config.get("logs.keep_runs"),
      toolPath: config.toolPath,
      limits: {
        memoryBytes: config.get("limits.memory_bytes"),
        diskBytes: config.get("limits.disk_bytes"),
        processes: config.get("limits.processes"),
      },
      sandbox: {
        mode: config.get("sandbox.mode"),
        requireEnforced: config.get("sandbox.require_enforced"),
        core: coreFolders,
      },
    },
    folders,
    environmentValue: (name) => config.environmentValue(name),
    sockets: runtime,
    egress,
    describePermissions: (approved, confined) => {
      const held = describeHeld(probe, confined);
      return Object.fromEntries(approved.map((permission) => [permission, enforcementOf(permission, held)]));
    },
    onFault,
  });
  const install = new Install({
    audit,
    catalog,
    redactor,
    probe,
    egress,
    settings: {
      allowSsh: config.get("install.allow_ssh"),
      allowLocal: config.get("install.allow_local"),
      timeoutMs: config.get("install.timeout_ms"),
      ...limits,
      toolPath: config.toolPath,
      workMark: workMark(paths.home),
      scanRoots: config.get("scan_roots"),
      sshAuthSocket: config.environmentValue("SSH_AUTH_SOCK"),
      sandboxMode: config.get("sandbox.mode"),
      core: coreFolders,
      logs,
    },
    folders,
    onFault,
  });
  const build = new Build({
    audit,
    catalog,
    redactor,
    probe,
    egress,
    restoreSource: (one, signal) => install.restoreSource(one, signal),
    settings: {
      timeoutMs: config.get("build.timeout_ms"),
      ...limits,
      logs: { ...logs, maxFileBytes: Math.ceil(config.get("build.max_output_bytes") / 2), maxFiles: 2 },
      keepBuilds: config.get("logs.keep_runs"),
      toolPath: config.toolPath,
      workMark: workMark(paths.home),
      sandboxMode: config.get("sandbox.mode"),
      hosts: config.get("build.hosts"),
      unsetVariables: unsetForBuilds(config),
      passEnvironment: Object.fromEntries(
        config
          .get("build.pass_env")
          .flatMap((name) =>
            config.environmentValue(name) === undefined ? [] : [[name, config.environmentValue(name) as string]],
          ),
      ),
    },
    folders,
  });
  const discovery = new Discovery({
    catalog,
    settings: {
      roots: config.get("scan_roots"),
      prune: config.get("scan_prune"),
      intervalMs: config.get("scan_interval_ms"),
    },
    agentsFolder: paths.agentsFolder,
    systemAct: SYSTEM_ACT,
    onUpdated: async (agentIds) => {
      for (const agentId of agentIds) {
        // One agent that cannot be looked at keeps nobody else from being looked at.
        await enablement
          .detectDrift(agentId, SYSTEM_ACT)
          .catch((error: unknown) => onFault(`${agentId} could not be compared with its approval`, error));
      }
    },
    onFault,
  });
  return { audit, catalog, enablement, launcher, runtime, install, build, discovery };
}

/** Names of `build.pass_env` without a value where Core was started: no build gets them. */
export function unsetForBuilds(config: Config): string[] {
  return config.get("build.pass_env").filter((name) => config.environmentValue(name) === undefined);
}

export function logLimits(config: Config): { maxLineBytes: number; maxFileBytes: number; maxFiles: number } {
  return {
    maxLineBytes: config.get("logs.max_line_bytes"),
    maxFileBytes: config.get("logs.max_file_bytes"),
    maxFiles: config.get("logs.max_files"),
  };
}

/**
 * How the markers of builds and of git begin: a run has an id of its own, these have the home. So what an earlier Core of
 * this home left is found, and nothing of another home that builds the same agent.
 */
function workMark(home: string): string {
  return `home-${createHash("sha256").update(home).digest("hex").slice(0, 16)}.`;
}

/** Closes what an earlier Core left half done, before any door opens. To be called right after the record of the start. */
export async function reconcile(
  { audit, install, build, launcher, enablement, runtime }: NonNullable<Domain["services"]>,
  core: Domain["subject"],
  home: string,
): Promise<void> {
  const startSeq = audit.head.seq;
  killPoint("start.recorded");
  // Before anything of theirs is put right: they could still write. After an end in order there are none to look for.
  const [before] = audit.after({}, startSeq - 2, 1);
  const isLost = startSeq > 1 && before?.event_type !== "core.stopped";
  const work = isLost ? await endUnrecorded({ begins: workMark(home) }) : { found: 0 };
  const installs = await install.reconcile();
  const builds = build.reconcile();
  const { closed, processesEnded } = await launcher.reconcile();
  const approvals = enablement.reconcile();
  const calls = runtime.reconcile(startSeq);
  if (work.found + installs + builds + closed + approvals + calls > 0) {
    audit.record({
      type: "core.reconciled",
      act: SYSTEM_ACT,
      subject: core,
      metadata: {
        runs_closed: closed,
        processes_ended: processesEnded + work.found,
        builds_closed: builds,
        installs_closed: installs,
        approvals_closed: approvals,
        calls_closed: calls,
      },
    });
  }
}
