/**
 * Install: brings one commit of a git repository into `agents/<id>/src`. Runs nothing of it.
 *
 * The way: judge URL and ref → fetch into a staging folder beside the agents → check and write the tree → read its
 * manifest → swap it into place → record. Everything before the swap can fail or be interrupted without a trace but
 * an audit event; the swap is journaled (swap.ts), so a crash is rolled back at the next start. The old tree stays in
 * `previous`. The manifest must carry the id that was asked for.
 *
 * A running agent is not replaced under its feet: `install.running`. Installing again is how an agent is updated to
 * another ref; a tampered source is put right by a build, which stays at its commit.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { CoreError } from "@opensentience/protocol";
import { SYSTEM_ACT, type Act, type AuditLog, type Redactor } from "../audit-log/audit-log.ts";
import { isPinned, refuseRunning, type AgentRecord, type Catalog, type Sighting } from "../catalog/catalog.ts";
import type { SandboxMode } from "../host/config.ts";
import { killPoint } from "../host/kill-point.ts";
import { ensurePrivateFolder } from "../host/private-file.ts";
import { fileStamp, writeLog, type CaptureLimits } from "../logs/logs.ts";
import { MANIFEST_NAME, readManifest } from "../manifest/manifest.ts";
import type { CoreFolders, SandboxProbe } from "../sandbox/sandbox.ts";
import { hashEntries, saveEntries } from "../tree/tree.ts";
import {
  fetchRepository,
  materialise,
  parseGitUrl,
  parseRef,
  resolveRef,
  type GitProgram,
  type GitUrl,
  type Materialised,
  type ResolvedRef,
} from "./git.ts";
import { heldGit, type GitEgress } from "./git-sandbox.ts";
import { removeLeftovers } from "./leftovers.ts";
import { linkInPlace, notInstalledFromGit, readInPlace, removeAgent, rollBack, stateOf } from "./lifecycle.ts";
import { reconcileInstalls } from "./reconcile.ts";
import { failureOf, recordFailure, recordRequest, recordUnmoved } from "./request-record.ts";
import { restoreSource } from "./restore.ts";
import { confirmSwap, putBack, swapIn, UNCONFIRMED } from "./swap.ts";
import { allowingLocal, namingUpdate, refuseTakeover } from "./takeover.ts";
import { removeTrash } from "../host/trash.ts";

export type InstallRequest = {
  agentId?: string;
  gitUrl?: string;
  ref?: string;
  allowLocal?: boolean;
  /** Leave everything as it is when the ref still names the installed commit (an update, not a repair). */
  onlyIfMoved?: boolean;
};
export type Progress = (phase: string, text: string) => void;

export type InstallDeps = {
  audit: AuditLog;
  catalog: Catalog;
  redactor: Redactor;
  probe: SandboxProbe;
  egress: GitEgress;
  settings: {
    allowSsh: boolean;
    allowLocal: boolean;
    timeoutMs: number;
    maxBytes: number;
    maxFiles: number;
    toolPath: string;
    /** How the markers of all work of this home begin. */
    workMark: string;
    scanRoots: readonly string[];
    sshAuthSocket: string | undefined;
    sandboxMode: SandboxMode;
    core: CoreFolders;
    logs: CaptureLimits;
  };
  folders: {
    agents: string;
    staging: string;
    logs: string;
    agent: (agentId: string) => {
      root: string;
      source: string;
      data: string;
      repository: string;
      previous: string;
      trackedEntries: string;
    };
  };
  onFault: (what: string, error: unknown) => void;
};

type Source = {
  url: GitUrl;
  ref: string | undefined;
  expectedId: string | undefined;
  /** The installed commit, when nothing is to be changed at it. */
  stayAt: string | null;
};
/** What a failure is recorded about, and after which intent. */
type Known = { agentId: string | undefined; causationId: string | null };
type Fetched = Materialised & {
  sighting: Sighting;
  commit: string;
  ref: string | null;
  staged: string;
  treeHash: string;
};

export class Install {
  readonly #deps: InstallDeps;

  constructor(deps: InstallDeps) {
    this.#deps = deps;
  }

  /**
   * Returns the agent's id. Throws install.*, manifest.* and agent.not_found; then nothing has changed. Aborting
   * `signal` ends git and leaves nothing behind either.
   */
  async install(
    request: InstallRequest,
    act: Act,
    options: { signal?: AbortSignal; progress?: Progress } = {},
  ): Promise<string> {
    const source = this.#source(request);
    const release = this.#deps.catalog.claim(source.expectedId ?? source.url.text);
    const lines: string[] = [];
    const progress: Progress = (phase, text) => {
      lines.push(`${phase}: ${text}`);
      if (lines.length > 2_000) lines.shift();
      options.progress?.(phase, text);
    };
    const staged = join(this.#deps.folders.staging, randomBytes(8).toString("hex"));
    let releaseId = (): void => {};
    const known: Known = { agentId: source.expectedId, causationId: null };
    try {
      known.causationId = recordRequest(this.#deps, source, act);
      const git = await this.#git(source.expectedId ?? "unknown", { ...act, causationId: known.causationId });
      const fetched = await this.#fetch(git, source, staged, progress, options.signal);
      if ("unmoved" in fetched) {
        recordUnmoved(this.#deps, source, fetched.unmoved, { ...act, causationId: known.causationId });
        return source.expectedId ?? "";
      }
      const agentId = fetched.sighting.manifest.id;
      known.agentId = agentId;
      if (source.expectedId === undefined) {
        releaseId = this.#deps.catalog.claim(agentId);
        refuseTakeover(this.#deps.catalog.find(agentId), source.url);
      }
      this.#refuseRunning(agentId);
      options.signal?.throwIfAborted();
      await this.#swap(fetched, source.url.text, act, known);
      progress("done", `${agentId} at ${fetched.commit.slice(0, 12)}`);
      await this.#log(agentId, lines);
      killPoint("install.log_written");
      return agentId;
    } catch (error) {
      // Nothing was begun.
      if (known.causationId === null) throw error;
      const failure = failureOf(error, options.signal);
      throw recordFailure(this.#deps, source, failure, { ...act, causationId: known.causationId }, known.agentId);
    } finally {
      releaseId();
      release();
      // What cannot be deleted now is deleted at the next start.
      await removeTrash(staged).catch((error: unknown) =>
        this.#deps.onFault("a staging folder could not be deleted", error),
      );
      killPoint("install.staging_removed");
    }
  }

  /**
   * Throws install.not_installed and what `install` throws; at the newest commit already nothing changes. An agent that is
   * pinned to a commit stays at it, until another ref is named; nothing is fetched then.
   */
  update(
    agentId: string,
    request: { ref?: string; allowLocal?: boolean },
    act: Act,
    options: { signal?: AbortSignal; progress?: Progress },
  ): Promise<string> {
    const agent = this.#deps.catalog.get(agentId);
    if (agent.installPath === null || agent.commit === null) throw notInstalledFromGit(agent);
    if (request.ref === undefined && isPinned(agent)) return Promise.resolve(agentId);
    return this.install({ agentId, ...request, onlyIfMoved: true }, act, options).catch(namingUpdate);
  }

  /** Goes back to the tree from before the last install; another rollback goes forth again. Throws install.no_previous. */
  rollback(agentId: string, act: Act): Promise<void> {
    const deps = { ...this.#deps, git: () => this.#git(agentId, act) };
    return this.#exclusively(agentId, () => rollBack(deps, this.#deps.catalog.get(agentId), act));
  }

  /**
   * Removes what is installed, the agent's data too unless it is kept; of what is not installed, what is left. Says which.
   * Throws install.not_installed, install.running.
   */
  remove(agentId: string, options: { keepData: boolean }, act: Act): Promise<"agent" | "data" | "entry"> {
    return this.#exclusively(agentId, async () => {
      const agent = this.#deps.catalog.get(agentId);
      if (agent.installPath === null) return removeLeftovers(this.#deps, agent, options, act);
      await removeAgent(this.#deps, agent, options, act);
      return "agent";
    });
  }

  /** Runs a folder in place, for its author: nothing is copied, nothing pinned. Returns the agent's id. */
  async installInPlace(folder: string, act: Act): Promise<string> {
    const file = await readInPlace(folder);
    await this.#exclusively(file.manifest.id, () => linkInPlace(this.#deps, folder, file, act));
    return file.manifest.id;
  }

  async #exclusively<T>(agentId: string, change: () => Promise<T>): Promise<T> {
    this.#refuseRunning(agentId);
    const release = this.#deps.catalog.claim(agentId);
    try {
      return await change();
    } finally {
      release();
    }
  }

  /** At Core's start: rolls back interrupted swaps, closes open intents, empties the staging folder. Never throws for one agent. */
  reconcile(): Promise<number> {
    return reconcileInstalls(this.#deps);
  }

  /** Puts `src` back to exactly the installed commit. The caller holds the agent. Throws `build.source_changed`. */
  async restoreSource(agent: AgentRecord, signal?: AbortSignal): Promise<void> {
    const { settings, folders, onFault } = this.#deps;
    const git = await this.#git(agent.agentId, SYSTEM_ACT);
    const own = folders.agent(agent.agentId);
    await restoreSource({ git, limits: settings, staging: folders.staging, own, onFault, signal }, agent);
  }

  #git(agentId: string, act: Act): Promise<GitProgram> {
    return heldGit({ ...this.#deps.settings, probe: this.#deps.probe, egress: this.#deps.egress, agentId, act });
  }

  /** What is to be fetched, judged before anything is spawned. */
  #source(request: InstallRequest): Source {
    const known = request.agentId === undefined ? undefined : this.#deps.catalog.find(request.agentId);
    if (request.gitUrl === undefined && known === undefined && request.agentId !== undefined)
      this.#deps.catalog.get(request.agentId);
    if (known !== undefined) refuseRunning(known);
    const text = request.gitUrl ?? known?.gitUrl ?? known?.manifest.source.git_url;
    if (text === undefined) {
      throw new CoreError("install.no_source", "nothing says which repository to install from", {
        nextStep: "opensentience help agents install",
      });
    }
    const { allowSsh, allowLocal } = this.#deps.settings;
    const url = parseGitUrl(text, {
      allowSsh,
      allowLocal: allowLocal || request.allowLocal === true,
      allowingLocal: allowingLocal(request),
    });
    const ref = request.ref ?? (request.gitUrl === undefined ? known?.ref : undefined) ?? undefined;
    return {
      url,
      ref: ref === undefined ? undefined : parseRef(ref),
      expectedId: request.agentId,
      stayAt: request.onlyIfMoved === true ? (known?.commit ?? null) : null,
    };
  }

  #refuseRunning(agentId: string): void {
    const known = this.#deps.catalog.find(agentId);
    if (known !== undefined) refuseRunning(known);
  }

  async #fetch(
    git: GitProgram,
    source: Source,
    staged: string,
    progress: Progress,
    signal: AbortSignal | undefined,
  ): Promise<Fetched | { unmoved: ResolvedRef }> {
    const { settings } = this.#deps;
    const repoFolder = join(staged, "repo.git");
    const target = join(staged, "src");
    await ensurePrivateFolder(this.#deps.folders.staging);
    await ensurePrivateFolder(staged);
    killPoint("install.staging_made");
    progress("fetch", "asking the repository");
    await fetchRepository({
      git,
      url: source.url,
      repoFolder,
      timeoutMs: settings.timeoutMs,
      maxBytes: settings.maxBytes,
      signal,
      onProgress: (line) => progress("fetch", line),
      sshAuthSocket: settings.sshAuthSocket,
    });
    killPoint("install.fetched");
    const resolved = await resolveRef({ git, repoFolder }, source.ref);
    const { commit } = resolved;
    // What was asked for as a commit id stays pinned to it.
    const ref = resolved.ref ?? (source.ref === undefined || source.ref === "HEAD" ? null : commit);
    if (commit === source.stayAt) {
      progress("done", `already at ${commit.slice(0, 12)}`);
      return { unmoved: { commit, ref } };
    }
    progress("write", `writing the files of ${commit.slice(0, 12)}`);
    const tree = await materialise({ git, repoFolder, commit, target, limits: settings, signal });
    killPoint("install.tree_written");
    for (const path of tree.symlinks) progress("write", `symlink kept as a text file: ${path}`);
    for (const path of tree.submodules) progress("write", `submodule not fetched: ${path}`);
    const file = await readManifest(target);
    if (source.expectedId !== undefined && file.manifest.id !== source.expectedId) {
      throw new CoreError("install.id_mismatch", `the repository holds ${file.manifest.id}, not ${source.expectedId}`, {
        details: { found: file.manifest.id },
        nextStep:
          this.#deps.catalog.find(source.expectedId) === undefined
            ? "opensentience help agents install"
            : `opensentience agents info ${source.expectedId}`,
      });
    }
    const own = this.#deps.folders.agent(file.manifest.id);
    const sighting = {
      folder: own.source,
      path: join(own.source, MANIFEST_NAME),
      manifest: file.manifest,
      manifestHash: file.manifestHash,
    };
    await saveEntries(join(staged, "tracked.json"), tree.entries);
    killPoint("install.entries_saved");
    return { ...tree, sighting, commit, ref, staged, treeHash: hashEntries(tree.entries) };
  }

  /** Intent, effect, outcome: the rename is outside the database. */
  async #swap(fetched: Fetched, gitUrl: string, act: Act, known: Known): Promise<void> {
    const { audit, catalog, folders } = this.#deps;
    const agentId = fetched.sighting.manifest.id;
    const before = catalog.find(agentId);
    const isMoved = before !== undefined && before.installPath !== null && before.gitUrl !== gitUrl;
    const own = folders.agent(agentId);
    const subject = { type: "agent", id: agentId } as const;
    const metadata = {
      git_url: gitUrl,
      ref: fetched.ref,
      commit: fetched.commit,
      path: own.source,
      tree_hash: fetched.treeHash,
      files: fetched.entries.length,
      previous_commit: before?.commit ?? undefined,
      previous_git_url: isMoved ? (before.gitUrl ?? undefined) : undefined,
    };
    const causationId = audit.record({
      type: "agent.installed",
      act: { ...act, causationId: known.causationId },
      subject,
      outcome: "unknown",
      metadata: { ...metadata, phase: "intent" },
    });
    known.causationId = causationId;
    killPoint("install.intent_recorded");
    try {
      await swapIn(own.root, fetched.staged, fetched.commit, stateOf(before));
      audit.transact((tx, record) => {
        catalog.recordInstall(tx, fetched.sighting, {
          gitUrl,
          ref: fetched.ref,
          commit: fetched.commit,
          treeHash: fetched.treeHash,
        });
        record({
          type: "agent.installed",
          act: { ...act, causationId },
          subject,
          metadata: { ...metadata, skipped: [...fetched.symlinks, ...fetched.submodules].slice(0, 20), phase: "done" },
        });
      });
    } catch (error) {
      await putBack(own.root, fetched.staged);
      killPoint("install.undone");
      throw error;
    }
    killPoint("install.swap_committed");
    // It is installed, whatever becomes of this.
    await confirmSwap(own.root, fetched.staged).catch((error: unknown) => this.#deps.onFault(UNCONFIRMED, error));
  }

  async #log(agentId: string, lines: readonly string[]): Promise<void> {
    const path = join(this.#deps.folders.logs, agentId, `install-${fileStamp()}.log`);
    await writeLog(path, lines, { limits: this.#deps.settings.logs, redactor: this.#deps.redactor });
  }
}
