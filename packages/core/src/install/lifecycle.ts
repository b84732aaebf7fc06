/**
 * The acts on an installed agent that fetch nothing: going back, running a folder in place, removing. The door
 * (install.ts) holds the agent while they run.
 */
import { randomBytes } from "node:crypto";
import { lstat, mkdir, readdir } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { CoreError, toCoreError } from "@opensentience/protocol";
import { type Act, type AuditEvent, type AuditLog } from "../audit-log/audit-log.ts";
import { notInstalled, type AgentRecord, type Catalog } from "../catalog/catalog.ts";
import { killPoint } from "../host/kill-point.ts";
import { ensurePrivateFolder } from "../host/private-file.ts";
import { MANIFEST_NAME, readManifest, type ManifestFile } from "../manifest/manifest.ts";
import type { GitProgram } from "./git.ts";
import { removedUnrecorded } from "./leftovers.ts";
import { mendPrevious } from "./mend-previous.ts";
import { moveEntry, removeTrash } from "../host/trash.ts";
import { failureOf } from "./request-record.ts";
import { confirmSwap, putBack, readPrevious, swapBack, UNCONFIRMED, type PreviousState } from "./swap.ts";

type Own = { root: string; source: string; data: string };

type Deps = {
  audit: AuditLog;
  catalog: Catalog;
  folders: { staging: string; agent: (agentId: string) => Own };
  onFault: (what: string, error: unknown) => void;
};
type RollbackDeps = Deps & { settings: { maxBytes: number; maxFiles: number }; git: () => Promise<GitProgram> };

export async function rollBack(deps: RollbackDeps, agent: AgentRecord, act: Act): Promise<void> {
  const { audit, catalog, folders } = deps;
  if (agent.installPath === null || agent.commit === null || agent.treeHash === null) throw notInstalledFromGit(agent);
  const own = folders.agent(agent.agentId);
  const subject = { type: "agent", id: agent.agentId } as const;
  const kept = readPrevious(own.root, deps.onFault);
  if (kept === undefined) {
    throw new CoreError("install.no_previous", `${agent.agentId} has no earlier tree to go back to`, {
      nextStep: `opensentience agents info ${agent.agentId}`,
    });
  }
  const staged = await newStaging(folders.staging);
  try {
    const metadata = {
      git_url: kept.gitUrl,
      ref: kept.ref,
      commit: kept.commit,
      path: own.source,
      tree_hash: kept.treeHash,
      previous_commit: agent.commit,
    };
    const causationId = audit.record({
      type: "agent.installed",
      act,
      subject,
      outcome: "unknown",
      metadata: { ...metadata, phase: "rollback intent" },
    });
    killPoint("rollback.intent_recorded");
    try {
      const state = await mendPrevious({ git: deps.git, limits: deps.settings, root: own.root, staged }, agent, kept);
      await swapBack(own.root, staged, state.commit, stateOf(agent));
      killPoint("rollback.swapped");
      const file = await readManifest(own.source);
      audit.transact((tx, record) => {
        catalog.recordInstall(
          tx,
          { folder: own.source, path: file.path, manifest: file.manifest, manifestHash: file.manifestHash },
          state,
        );
        if (state.builtTreeHash !== null)
          catalog.recordBuild(tx, agent.agentId, {
            status: "built",
            commit: state.commit,
            builtTreeHash: state.builtTreeHash,
            ...(state.builtAt == null ? {} : { at: state.builtAt }),
          });
        record({
          type: "agent.installed",
          act: { ...act, causationId },
          subject,
          metadata: { ...metadata, phase: "rolled back" },
        });
      });
    } catch (error) {
      const failure = failureOf(
        await putBack(own.root, staged).then(
          () => error,
          (worse: unknown) => worse,
        ),
      );
      throw recordFailure(deps, "agent.install_failed", { ...act, causationId }, agent.agentId, failure);
    }
    killPoint("rollback.committed");
    await confirmSwap(own.root, staged).catch((error: unknown) => deps.onFault(UNCONFIRMED, error));
    killPoint("rollback.confirmed");
  } finally {
    await removeTrash(staged).catch((error: unknown) => deps.onFault("a staging folder could not be deleted", error));
  }
}

/** Throws usage.invalid for a path that is not absolute, manifest.* for what is wrong with the folder. */
export async function readInPlace(folder: string): Promise<ManifestFile> {
  if (!isAbsolute(folder))
    throw new CoreError("usage.invalid", "a folder to run in place is named by its absolute path", {
      nextStep: "opensentience help agents install",
    });
  // SECURITY: another user could change what is run as this one; pinned by "refuses to run another user's folder in place".
  const found = await lstat(folder).catch(() => undefined);
  if (found === undefined || !found.isDirectory())
    throw new CoreError("manifest.missing", `there is no folder ${folder}; check the path`, {
      details: { path: folder },
      nextStep: "opensentience help agents install",
    });
  if (found.uid !== process.geteuid?.() || (found.mode & 0o002) !== 0) {
    throw new CoreError("core.unsafe_folder", "the folder belongs to somebody else or can be written by everybody", {
      details: { path: folder },
      nextStep: `ls -ld ${folder}`,
    });
  }
  return readManifest(folder);
}

export async function linkInPlace(deps: Deps, folder: string, file: ManifestFile, act: Act): Promise<void> {
  const { id, source } = file.manifest;
  const known = deps.catalog.find(id);
  if (known !== undefined && known.installPath !== null && known.installPath !== folder) {
    throw new CoreError("install.already_installed", `${id} is installed already, in ${known.installPath}`, {
      nextStep: `opensentience agents remove ${id} --keep-data`,
    });
  }
  deps.audit.transact((tx, record) => {
    deps.catalog.recordInstall(
      tx,
      { folder, path: join(folder, MANIFEST_NAME), manifest: file.manifest, manifestHash: file.manifestHash },
      { gitUrl: source.git_url, ref: null, commit: null, treeHash: null },
    );
    record({
      type: "agent.installed",
      act,
      subject: { type: "agent", id },
      metadata: { path: folder, phase: "run in place, not pinned" },
    });
  });
}

export async function removeAgent(
  deps: Deps,
  agent: AgentRecord,
  options: { keepData: boolean },
  act: Act,
): Promise<void> {
  const { audit, catalog, folders } = deps;
  if (agent.installPath === null) throw notInstalled(agent);
  const own = folders.agent(agent.agentId);
  const staged = await newStaging(folders.staging);
  const subject = { type: "agent", id: agent.agentId } as const;
  const causationId = audit.record({
    type: "agent.removed",
    act,
    subject,
    outcome: "unknown",
    metadata: { path: agent.installPath, phase: "intent" },
  });
  killPoint("remove.intent_recorded");
  try {
    await moveAway(own, join(staged, "agent"), options.keepData);
    killPoint("remove.moved");
  } catch (error) {
    throw recordFailure(deps, "agent.removed", { ...act, causationId }, agent.agentId, failureOf(error));
  }
  const isOnRecord = catalog.recordOutcome(agent.agentId, `the removal of ${agent.agentId}`, () =>
    audit.transact((tx, record) => {
      catalog.recordRemoval(tx, agent.agentId);
      record({
        type: "agent.removed",
        act: { ...act, causationId },
        subject,
        metadata: { path: agent.installPath, kept_data: options.keepData, phase: "done" },
      });
    }),
  );
  killPoint("remove.committed");
  await removeTrash(staged).catch((error: unknown) => deps.onFault("a removed agent could not be deleted", error));
  killPoint("remove.tree_deleted");
  if (!isOnRecord) throw removedUnrecorded(agent.agentId);
}

/** Renames only: the staging folder is emptied afterwards, or at the next start. */
async function moveAway(own: Own, gone: string, keepData: boolean): Promise<void> {
  if (keepData) await moveAllButData(own, gone);
  else await moveEntry(own.root, gone).catch(ignoreMissing);
}

/**
 * Data that is kept never moves. The source leaves first: after a crash its absence says that the removal has begun, and
 * the next start moves the rest.
 */
export async function moveAllButData(own: Own, gone: string): Promise<void> {
  await mkdir(gone, { recursive: true, mode: 0o700 });
  const names = (await readdir(own.root).catch(() => [])).filter((name) => join(own.root, name) !== own.data);
  const sourceFirst = (name: string): number => (join(own.root, name) === own.source ? 0 : 1);
  for (const name of names.toSorted((left, right) => sourceFirst(left) - sourceFirst(right))) {
    await moveEntry(join(own.root, name), join(gone, name));
    killPoint("remove.part_moved");
  }
}

/** Answers what to tell. */
function recordFailure(
  { audit, catalog }: Deps,
  type: "agent.install_failed" | "agent.removed",
  act: Act,
  agentId: string,
  error: unknown,
): unknown {
  const { code, message } = toCoreError(error);
  const event: AuditEvent = {
    type,
    act,
    subject: { type: "agent", id: agentId },
    outcome: "failed",
    metadata: { code, message, phase: "not carried out" },
  };
  const what = `what was not carried out with ${agentId}`;
  return catalog.recordFailed(agentId, what, error, () => void audit.record(event));
}

/** What a rollback puts back. Of a folder run in place there is nothing to go back to. */
export function stateOf(agent: AgentRecord | undefined): PreviousState | undefined {
  if (agent === undefined || agent.commit === null || agent.treeHash === null) return undefined;
  return {
    gitUrl: agent.gitUrl,
    ref: agent.ref,
    commit: agent.commit,
    treeHash: agent.treeHash,
    builtTreeHash: agent.buildStatus === "built" ? agent.builtTreeHash : null,
    builtAt: agent.buildStatus === "built" ? agent.buildLastAt : null,
  };
}

export function notInstalledFromGit(agent: AgentRecord): CoreError {
  if (agent.installPath !== null && agent.commit === null)
    return new CoreError(
      "install.not_installed",
      `${agent.agentId} runs in place, not from git: change the files in ${agent.installPath} and build it`,
      { nextStep: `opensentience agents build ${agent.agentId}` },
    );
  return new CoreError("install.not_installed", `${agent.agentId} is not installed from git`, {
    nextStep: `opensentience agents info ${agent.agentId}`,
  });
}

async function newStaging(folder: string): Promise<string> {
  const staged = join(folder, randomBytes(8).toString("hex"));
  await ensurePrivateFolder(folder);
  await ensurePrivateFolder(staged);
  return staged;
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}
