/**
 * Build: executes third-party code, in the agent's folder, as a labelled act of its own.
 *
 * The plan (plan.ts) is recorded and shown before it runs. Each step is a process tree in a box, with an environment
 * from nothing (PATH, LANG, a HOME inside the agent's own folder, CI, and the names in `build.pass_env`), a time limit
 * for the whole build, its output redacted, bounded, streamed live and kept in a log. The compile phase has no network
 * where the machine can give it none. No shell anywhere.
 *
 * Afterwards the tree is hashed again: a build that changed a tracked file fails and names it; otherwise the hash of
 * the built tree becomes part of what is allowed to run. A build is of one commit; another commit is not built.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { CoreError, newId, shortId } from "@opensentience/protocol";
import { SYSTEM_ACT, TRUST_BOUNDARY, type Act, type AuditLog, type Redactor } from "../audit-log/audit-log.ts";
import { reinstallCommand, type AgentRecord, type Catalog } from "../catalog/catalog.ts";
import { ensurePrivateFolder } from "../host/private-file.ts";
import type { CaptureLimits } from "../logs/logs.ts";
import { readManifest } from "../manifest/manifest.ts";
import type { SandboxProbe } from "../sandbox/sandbox.ts";
import { diffTrees, hashTree, loadEntries, saveEntries } from "../tree/tree.ts";
import { planBuild, type BuildStep } from "./plan.ts";
import { runStep } from "./step.ts";

export type BuildDeps = {
  audit: AuditLog;
  catalog: Catalog;
  redactor: Redactor;
  probe: SandboxProbe;
  settings: { timeoutMs: number; logs: CaptureLimits; toolPath: string; passEnvironment: Record<string, string> };
  folders: {
    runAgents: string;
    logs: string;
    agent: (agentId: string) => {
      source: string;
      buildHome: string;
      trackedEntries: string;
      builtEntries: string;
      treeCache: string;
    };
  };
};

export class Build {
  readonly #deps: BuildDeps;

  constructor(deps: BuildDeps) {
    this.#deps = deps;
  }

  /** The plan, recorded as shown. Throws agent.not_found, install.not_installed, manifest.*. */
  async plan(agentId: string, act: Act): Promise<BuildStep[]> {
    const agent = this.#installed(agentId);
    const steps = await this.#steps(agent);
    this.#deps.audit.record({
      type: "agent.build_plan_shown",
      act,
      subject: { type: "agent", id: agentId },
      metadata: { commit: agent.commit, steps: summary(steps) },
    });
    return steps;
  }

  /**
   * Runs the plan. Throws install.not_installed, install.running, build.tool_missing, build.failed, build.timeout,
   * build.canceled, build.tracked_files_changed; the failure is recorded and `build_status` is `failed`.
   */
  async build(
    agentId: string,
    act: Act,
    options: { signal?: AbortSignal; progress?: (phase: string, text: string) => void } = {},
  ): Promise<void> {
    const agent = this.#installed(agentId);
    if (agent.status === "running")
      throw new CoreError("install.running", `${agentId} is running`, {
        nextStep: `opensentience agents stop ${agentId}`,
      });
    const release = this.#deps.catalog.claim(agentId);
    const startedMs = performance.now();
    try {
      const steps = await this.#steps(agent);
      const causationId = this.#recordStart(agent, steps, act);
      const ownAct = { ...act, causationId };
      try {
        await this.#runSteps(agent, steps, options);
        await this.#accept(agent, steps, ownAct, startedMs);
      } catch (error) {
        this.#recordFailure(agent, error, ownAct, startedMs);
        throw error;
      }
    } finally {
      release();
    }
  }

  /** At Core's start: a build that was under way is closed as failed. */
  reconcile(): number {
    const interrupted = this.#deps.catalog.all().filter((agent) => agent.buildStatus === "building");
    for (const agent of interrupted)
      this.#recordFailure(
        agent,
        new CoreError("build.canceled", "Core ended during the build"),
        SYSTEM_ACT,
        performance.now(),
      );
    return interrupted.length;
  }

  async #steps(agent: AgentRecord): Promise<BuildStep[]> {
    const source = sourceOf(agent);
    const file = await readManifest(source);
    return planBuild(source, file.manifest, this.#deps.probe.backend === "bubblewrap");
  }

  async #runSteps(
    agent: AgentRecord,
    steps: BuildStep[],
    options: { signal?: AbortSignal; progress?: (phase: string, text: string) => void },
  ): Promise<void> {
    const { folders, settings } = this.#deps;
    const own = folders.agent(agent.agentId);
    const stamp = new Date().toISOString().replaceAll(/[:.]/g, "-");
    const temporary = join(own.buildHome, "tmp");
    await ensurePrivateFolder(own.buildHome);
    await mkdir(temporary, { recursive: true, mode: 0o700 });
    const env = {
      PATH: settings.toolPath,
      LANG: "C.UTF-8",
      HOME: own.buildHome,
      TMPDIR: temporary,
      MIX_ENV: "prod",
      CI: "1",
      ...settings.passEnvironment,
    };
    const deadlineMs = performance.now() + settings.timeoutMs;
    // A proxy address may carry a password: what the operator passes on is kept out of the build's log.
    const forget = Object.entries(settings.passEnvironment).map(([name, value]) =>
      this.#deps.redactor.protect(value, `env ${name}`),
    );
    try {
      for (const [index, step] of steps.entries()) {
        options.progress?.(step.phase, `$ ${step.argv.join(" ")}`);
        await runStep(step, {
          agentId: agent.agentId,
          cwd: sourceOf(agent),
          env,
          toolPath: settings.toolPath,
          probe: this.#deps.probe,
          pipeFolder: join(folders.runAgents, shortId(newId("run"))),
          logPath: join(folders.logs, agent.agentId, `build-${stamp}-${index + 1}.log`),
          logLimits: settings.logs,
          redactor: this.#deps.redactor,
          deadlineMs,
          signal: options.signal,
          onLine: (line) => options.progress?.(step.phase, line),
        });
      }
    } finally {
      for (const one of forget) one();
    }
  }

  /** SECURITY: a build script that edits the source would change what was approved; pinned by "a build that changes tracked files fails and names them". */
  async #accept(agent: AgentRecord, steps: BuildStep[], act: Act, startedMs: number): Promise<void> {
    if (agent.commit === null) return this.#recordBuilt(agent, steps, undefined, act, startedMs);
    const own = this.#deps.folders.agent(agent.agentId);
    const tracked = await loadEntries(own.trackedEntries);
    const after = await hashTree(sourceOf(agent), { cachePath: own.treeCache });
    const difference = diffTrees(tracked ?? [], after.entries);
    const touched = [...difference.changed, ...difference.removed];
    if (tracked === undefined || touched.length > 0) {
      throw new CoreError(
        "build.tracked_files_changed",
        `the build changed files that git tracks: ${touched.slice(0, 5).join(", ")}`,
        {
          details: { files: touched.slice(0, 50) },
          nextStep: reinstallCommand(agent),
        },
      );
    }
    await saveEntries(own.builtEntries, after.entries);
    this.#recordBuilt(agent, steps, after.hash, act, startedMs);
  }

  #recordBuilt(
    agent: AgentRecord,
    steps: BuildStep[],
    builtTreeHash: string | undefined,
    act: Act,
    startedMs: number,
  ): void {
    this.#deps.audit.transact((tx, record) => {
      this.#deps.catalog.recordBuild(tx, agent.agentId, {
        status: "built",
        commit: agent.commit,
        ...(builtTreeHash === undefined ? {} : { builtTreeHash }),
      });
      record({
        type: "agent.built",
        act,
        subject: { type: "agent", id: agent.agentId },
        metadata: {
          commit: agent.commit,
          steps: summary(steps),
          duration_ms: Math.round(performance.now() - startedMs),
          built_tree_hash: builtTreeHash,
          trust_boundary: TRUST_BOUNDARY,
        },
      });
    });
  }

  #recordStart(agent: AgentRecord, steps: BuildStep[], act: Act): string {
    return this.#deps.audit.transact((tx, record) => {
      this.#deps.catalog.recordBuild(tx, agent.agentId, { status: "building", commit: null });
      return record({
        type: "agent.build_started",
        act,
        subject: { type: "agent", id: agent.agentId },
        outcome: "unknown",
        metadata: { commit: agent.commit, steps: summary(steps), trust_boundary: TRUST_BOUNDARY },
      });
    });
  }

  #recordFailure(agent: AgentRecord, error: unknown, act: Act, startedMs: number): void {
    const known =
      error instanceof CoreError ? error : new CoreError("core.internal", "the build ended with an internal error");
    this.#deps.audit.transact((tx, record) => {
      this.#deps.catalog.recordBuild(tx, agent.agentId, { status: "failed", commit: null, lastError: known.message });
      record({
        type: "agent.build_failed",
        act,
        subject: { type: "agent", id: agent.agentId },
        outcome: "failed",
        metadata: {
          commit: agent.commit,
          code: known.code,
          message: known.message,
          step: known.details["step"],
          exit_code: known.details["exit_code"],
          duration_ms: Math.round(performance.now() - startedMs),
          trust_boundary: TRUST_BOUNDARY,
        },
      });
    });
  }

  #installed(agentId: string): AgentRecord {
    const agent = this.#deps.catalog.get(agentId);
    if (agent.installPath !== null) return agent;
    throw new CoreError("install.not_installed", `${agentId} is not installed`, { nextStep: reinstallCommand(agent) });
  }
}

/** A folder that is run in place is built in place. */
function sourceOf(agent: AgentRecord): string {
  return agent.installPath ?? "";
}

function summary(steps: BuildStep[]): string[] {
  return steps.map((step) => `${step.phase}: ${step.argv.join(" ").slice(0, 200)}`);
}
