/**
 * Build: executes third-party code, in the agent's folder, as a labelled act of its own.
 *
 * The plan (plan.ts) is recorded and shown before it runs. Each step is a process tree in a box, with an environment
 * from nothing (PATH, LANG, a HOME that is made for it and deleted behind it, CI, and the names in `build.pass_env`), a time limit
 * for the whole build, its output redacted, bounded, streamed live and kept in a log. The fetch phase reaches public
 * hosts, and those that the operator named, through Core's proxy, which records them; nothing of this machine or its
 * networks. The compile phase has no network where the machine can give it none. No shell anywhere.
 *
 * A build starts from exactly the installed commit: a source that holds anything else (a planted file, what an earlier
 * build made) is put back from Core's own copy of the repository first, so nothing can slip into what is built.
 * Afterwards the tree is hashed again: a build that changed a tracked file fails and names it; otherwise the hash of
 * the built tree becomes part of what is allowed to run. A build is of one commit; another commit is not built.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { CoreError, namesText, newId, shortId, shortName, type BuildPlanJson } from "@opensentience/protocol";
import { SYSTEM_ACT, type Act, type AuditLog, type Redactor } from "../audit-log/audit-log.ts";
import { notInstalled, refuseRunning, reinstallCommand, type AgentRecord, type Catalog } from "../catalog/catalog.ts";
import type { SandboxMode } from "../host/config.ts";
import { killPoint } from "../host/kill-point.ts";
import {
  buildLogPath,
  fileStamp,
  pruneBuildLogs,
  readBuildLog,
  type CaptureLimits,
  type LogRecord,
  type ReadOptions,
} from "../logs/logs.ts";
import { readManifest } from "../manifest/manifest.ts";
import type { SandboxProbe } from "../sandbox/sandbox.ts";
import { diffTrees, hashTree, saveEntries, loadEntries, type HashOptions, type TreeEntry } from "../tree/tree.ts";
import { makeBuildHome } from "./build-home.ts";
import { phaseReach, planBuild, type BuildStep, type PhaseReach } from "./plan.ts";
import { recordBuilt, recordFailure, recordPutBack, recordStart } from "./build-record.ts";
import { recordedPlan } from "./plan-record.ts";
import { changedSince, lookAtSource, NOTHING, recordedNames, type PutBack } from "./put-back.ts";
import { runStep, type BuildEgress } from "./step.ts";
import {
  endedBy,
  notBegun,
  planChanged,
  refuseChangeableLinks,
  refuseOver,
  unreadablePlan,
  unreadableTree,
  type Span,
} from "./verdict.ts";

export type BuildDeps = {
  audit: AuditLog;
  catalog: Catalog;
  redactor: Redactor;
  probe: SandboxProbe;
  egress: BuildEgress;
  /** Puts `src` back to exactly the installed commit. Throws `build.source_changed`. */
  restoreSource: (agent: AgentRecord, signal?: AbortSignal) => Promise<void>;
  settings: {
    timeoutMs: number;
    /** Of a tree that is hashed. */
    maxBytes: number;
    maxFiles: number;
    logs: CaptureLimits;
    /** Builds of an agent whose logs are kept. */
    keepBuilds: number;
    toolPath: string;
    /** See `StepOptions`. */
    workMark: string;
    sandboxMode: SandboxMode;
    passEnvironment: Record<string, string>;
    /** Names of `build.pass_env` that Core was started without. */
    unsetVariables: readonly string[];
    /** Patterns of hosts that are not public, or of this machine, that a fetch phase may reach too. */
    hosts: readonly string[];
  };
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

/** `expectedPlan`: the digest of the plan that was shown. */
export type BuildOptions = {
  expectedPlan?: string;
  signal?: AbortSignal;
  progress?: (phase: string, text: string) => void;
};

export class Build {
  readonly #deps: BuildDeps;

  constructor(deps: BuildDeps) {
    this.#deps = deps;
  }

  /** The plan, recorded as shown, and what would be put back first. Throws agent.not_found, install.not_installed, manifest.*. */
  async plan(agentId: string, act: Act): Promise<BuildPlanJson> {
    const agent = this.#installed(agentId);
    const { names, count } = await this.#wouldPutBack(agent);
    const { steps, digest } = await this.#plan(agent).catch((error: unknown) => {
      throw count === 0 ? error : unreadablePlan(agent, error);
    });
    this.#deps.audit.record({
      type: "agent.build_plan_shown",
      act,
      subject: { type: "agent", id: agentId },
      metadata: { commit: agent.commit, ...recordedPlan(steps, this.#deps.redactor) },
    });
    const { unsetVariables } = this.#deps.settings;
    return { steps, digest, unset_variables: [...unsetVariables], put_back: names, put_back_count: count };
  }

  /**
   * Runs the plan. Throws install.not_installed, install.running, build.plan_changed, build.source_changed,
   * build.tool_missing, build.failed, build.timeout, build.canceled, build.tracked_files_changed, build.link_outside,
   * install.limit_exceeded; once it was begun the failure is recorded and `build_status` is `failed`. `putBack` names the
   * files that were not those of the commit, so that a change by somebody else is not undone unseen.
   */
  async build(agentId: string, act: Act, options: BuildOptions = {}): Promise<{ putBack: PutBack }> {
    const release = this.#deps.catalog.claim(agentId);
    const startedMs = performance.now();
    const span = { startedMs, deadlineMs: startedMs + this.#deps.settings.timeoutMs, signal: options.signal };
    try {
      const agent = this.#installed(agentId);
      refuseRunning(agent);
      const putBack = await this.#startFromCommit(agent, span);
      const { steps, digest } = await this.#plan(agent);
      // SECURITY: what was agreed to is what runs; pinned by "a plan that changed after it was shown is not run".
      if (options.expectedPlan !== undefined && options.expectedPlan !== digest) {
        const refused = planChanged(agentId, putBack);
        this.#tellPutBack(agent, putBack, refused, act);
        throw refused;
      }
      const causationId = this.#begin(agent, steps, putBack, act);
      killPoint("build.intent_recorded");
      const ownAct = { ...act, causationId };
      const hosts = new Set<string>();
      try {
        await this.#runSteps(agent, steps, { act: ownAct, span, hosts, progress: options.progress });
        await this.#accept(agent, steps, hosts, ownAct, span);
        return { putBack };
      } catch (thrown) {
        const error = endedBy(agentId, thrown);
        const durationMs = performance.now() - startedMs;
        throw this.#deps.catalog.recordFailed(agentId, `the failed build of ${agentId}`, error, () =>
          recordFailure(this.#deps, agent, error, hosts, ownAct, durationMs),
        );
      }
    } finally {
      release();
    }
  }

  /** Answers the intent. */
  #begin(agent: AgentRecord, steps: BuildStep[], putBack: PutBack, act: Act): string {
    try {
      return recordStart(this.#deps, agent, steps, recordedNames(putBack), act);
    } catch (error) {
      if (putBack.count === 0) throw error;
      const refused = notBegun(putBack, error);
      this.#tellPutBack(agent, putBack, refused, act);
      throw refused;
    }
  }

  /** It was done, whatever became of the build. */
  #tellPutBack(agent: AgentRecord, putBack: PutBack, refused: CoreError, act: Act): void {
    if (putBack.count === 0) return;
    this.#deps.catalog.recordOutcome(agent.agentId, `what was put back of ${agent.agentId}`, () =>
      recordPutBack(this.#deps, agent, recordedNames(putBack), refused, act),
    );
  }

  /** What the agent's newest build printed, step by step. Throws agent.not_found. */
  log(agentId: string, options: ReadOptions): AsyncIterable<LogRecord> {
    const { agentId: known } = this.#deps.catalog.get(agentId);
    return readBuildLog(join(this.#deps.folders.logs, known), options);
  }

  /** At Core's start: a build that was under way is closed as failed. */
  reconcile(): number {
    const interrupted = this.#deps.catalog.all().filter((agent) => agent.buildStatus === "building");
    for (const agent of interrupted)
      recordFailure(
        this.#deps,
        agent,
        new CoreError("build.canceled", "Core ended during the build"),
        new Set(),
        {
          ...SYSTEM_ACT,
          causationId: this.#deps.audit.intentOf({ type: "agent", id: agent.agentId }, "agent.build_started"),
        },
        0,
        "core_lost",
      );
    return interrupted.length;
  }

  async #plan(agent: AgentRecord): Promise<Pick<BuildPlanJson, "steps" | "digest">> {
    const source = sourceOf(agent);
    const file = await readManifest(source);
    const steps = await planBuild(source, file.manifest, this.#reach());
    // Not the bytes of the manifest: of all that it says only the steps are carried out here.
    const digest = createHash("sha256")
      .update(JSON.stringify([agent.commit, steps]))
      .digest("hex");
    return { steps, digest };
  }

  #reach(): PhaseReach {
    const { probe, settings } = this.#deps;
    return phaseReach({
      isSandboxed: settings.sandboxMode !== "off",
      hasNamespaces: probe.backend === "bubblewrap",
      passedVariables: Object.keys(settings.passEnvironment),
    });
  }

  /**
   * SECURITY: a file that was planted in the source would be executed by the build and then counted as built by it;
   * pinned by "a build starts from the commit, whatever was planted". Names what was put back.
   */
  async #startFromCommit(agent: AgentRecord, span: Span): Promise<PutBack> {
    if (agent.commit === null) return NOTHING;
    const tracked = await this.#tracked(agent);
    const found = await this.#withinTime(agent, span, (options) => lookAtSource(sourceOf(agent), options));
    if (tracked !== undefined && found?.hash === agent.treeHash) return NOTHING;
    const changed = await changedSince(agent, found, tracked, this.#filesOf(agent).builtEntries);
    await this.#deps.restoreSource(agent, span.signal);
    return changed;
  }

  /** Of a build that began now. Read by the stat cache: it is shown, and believed by nobody. */
  async #wouldPutBack(agent: AgentRecord): Promise<PutBack> {
    if (agent.commit === null) return NOTHING;
    const { maxBytes, maxFiles } = this.#deps.settings;
    const { treeCache: cachePath, builtEntries } = this.#filesOf(agent);
    const found = await lookAtSource(sourceOf(agent), { maxBytes, maxFiles, cachePath });
    return changedSince(agent, found, await this.#tracked(agent), builtEntries);
  }

  /** The list of the commit's files, when it is the one that was installed. */
  #tracked(agent: AgentRecord): Promise<TreeEntry[] | undefined> {
    return loadEntries(this.#filesOf(agent).trackedEntries, agent.treeHash);
  }

  #filesOf({ agentId }: AgentRecord): ReturnType<BuildDeps["folders"]["agent"]> {
    return this.#deps.folders.agent(agentId);
  }

  /** Never from the cache: this is what will be trusted. Throws build.canceled and build.timeout. */
  async #withinTime<T>(agent: AgentRecord, span: Span, look: (options: HashOptions) => Promise<T>): Promise<T> {
    const { maxBytes, maxFiles } = this.#deps.settings;
    const late = AbortSignal.timeout(Math.max(0, Math.ceil(span.deadlineMs - performance.now())));
    const signal = span.signal === undefined ? late : AbortSignal.any([span.signal, late]);
    try {
      return await look({ signal, maxBytes, maxFiles });
    } finally {
      refuseOver(agent, span);
    }
  }

  async #runSteps(
    agent: AgentRecord,
    steps: BuildStep[],
    { act, span, hosts, progress }: { act: Act; span: Span; hosts: Set<string>; progress: BuildOptions["progress"] },
  ): Promise<void> {
    const { folders, settings } = this.#deps;
    const own = folders.agent(agent.agentId);
    const stamp = fileStamp();
    const logFolder = join(folders.logs, agent.agentId);
    if (steps.length > 0) await pruneBuildLogs(logFolder, settings.keepBuilds - 1);
    const { env, end } = await makeBuildHome(own.buildHome, settings, this.#deps.redactor);
    try {
      for (const [index, step] of steps.entries()) {
        progress?.(step.phase, `$ ${step.argv.join(" ")}`);
        await runStep(step, {
          agentId: agent.agentId,
          workMark: settings.workMark,
          cwd: sourceOf(agent),
          env,
          toolPath: settings.toolPath,
          probe: this.#deps.probe,
          sandboxMode: settings.sandboxMode,
          passedFiles: Object.values(settings.passEnvironment),
          egress: this.#deps.egress,
          hosts: settings.hosts,
          act,
          onReached: (host) => hosts.add(host),
          pipeFolder: join(folders.runAgents, shortId(newId("run"))),
          logPath: buildLogPath(logFolder, stamp, index + 1),
          logLimits: settings.logs,
          redactor: this.#deps.redactor,
          deadlineMs: span.deadlineMs,
          signal: span.signal,
          onLine: (line) => progress?.(step.phase, line),
        });
      }
    } finally {
      await end();
    }
  }

  /** SECURITY: a build script that edits the source would change what was approved; pinned by "a build that changes tracked files fails and names them". */
  async #accept(agent: AgentRecord, steps: BuildStep[], hosts: Set<string>, act: Act, span: Span): Promise<void> {
    refuseOver(agent, span);
    const record = (treeHash?: string): void =>
      recordBuilt(this.#deps, agent, steps, hosts, treeHash, act, span.startedMs);
    if (agent.commit === null) return record();
    // SECURITY: the build can write the kept list too; pinned by "a build that forges the list of tracked files fails".
    const tracked = await this.#tracked(agent);
    const hash = (options: HashOptions): ReturnType<typeof hashTree> => hashTree(sourceOf(agent), options);
    const after = await this.#withinTime(agent, span, hash).catch((error: unknown) => {
      throw error instanceof CoreError ? error : unreadableTree(agent, error);
    });
    killPoint("build.tree_hashed");
    const difference = diffTrees(tracked ?? [], after.entries);
    const touched =
      tracked === undefined ? ["(the list of tracked files)"] : [...difference.changed, ...difference.removed];
    if (touched.length > 0) {
      throw new CoreError(
        "build.tracked_files_changed",
        `the build changed files that git tracks: ${namesText(touched, 5)}`,
        {
          details: { files: touched.slice(0, 50).map(shortName) },
          nextStep: reinstallCommand(agent),
        },
      );
    }
    await refuseChangeableLinks(agent, sourceOf(agent), after.entries);
    await saveEntries(this.#deps.folders.agent(agent.agentId).builtEntries, after.entries);
    killPoint("build.entries_saved");
    refuseOver(agent, span);
    record(after.hash);
  }

  #installed(agentId: string): AgentRecord {
    const agent = this.#deps.catalog.get(agentId);
    if (agent.installPath !== null) return agent;
    throw notInstalled(agent);
  }
}

/** A folder that is run in place is built in place. */
function sourceOf(agent: AgentRecord): string {
  return agent.installPath ?? "";
}
