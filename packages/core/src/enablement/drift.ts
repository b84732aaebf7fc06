/**
 * Drift: what moved since an approval, in four layers, from the bytes on disk and never from a row alone.
 *
 *   manifest     the bytes of the manifest
 *   permissions  the canonical list of requested permissions
 *   entrypoint   what would be started
 *   commit       the installed commit, or any file of the source folder (before a build the tracked files; after it
 *                every file, so that a planted module shows). The manifest itself counts in its own layer only.
 */
import { existsSync } from "node:fs";
import type { DriftJson, Manifest } from "@opensentience/protocol";
import { CoreError, sentFiles } from "@opensentience/protocol";
import { manifestRepairCommand, notInstalled, repairCommand, type AgentRecord } from "../catalog/catalog.ts";
import {
  asksNothingMore,
  diffManifests,
  isNarrowing,
  MANIFEST_NAME,
  readManifest,
  type ManifestFile,
} from "../manifest/manifest.ts";
import { diffTrees, hashTree, loadEntries, type TreeEntry } from "../tree/tree.ts";
import type { ApprovalRow } from "./store.ts";

export type TreeFiles = { treeCache: string; trackedEntries: string; builtEntries: string };
export type TreeLimits = { maxBytes: number; maxFiles: number };
export type DiskState = {
  manifest: ManifestFile | undefined;
  manifestProblem: string | undefined;
  /** The manifest is not the one of the installed commit: somebody changed it here. */
  isManifestForeign: boolean;
  files: { added: string[]; removed: string[]; changed: string[] };
};

/**
 * Reads and hashes what is installed now; what cannot be read is part of the answer. Throws `install.not_installed`.
 * `useCache`: believe the stat cache for files whose times did not move.
 */
export async function readDiskState(
  agent: AgentRecord,
  files: TreeFiles,
  options: TreeLimits & { useCache: boolean },
): Promise<DiskState> {
  if (agent.installPath === null) throw notInstalled(agent);
  const state: DiskState = {
    manifest: undefined,
    manifestProblem: undefined,
    isManifestForeign: false,
    files: { added: [], removed: [], changed: [] },
  };
  try {
    state.manifest = await readManifest(agent.installPath);
  } catch (error) {
    state.manifestProblem = problem(error);
  }
  return { ...state, ...(await changesOf(agent, agent.installPath, state.manifest, files, options)) };
}

/** undefined when nothing moved. */
export function compare(agent: AgentRecord, approval: ApprovalRow, disk: DiskState): DriftJson | undefined {
  const layers: DriftJson["layers"] = [];
  const before = JSON.parse(approval.manifest_json) as Manifest;
  const after = disk.manifest?.manifest;
  const difference = after === undefined ? undefined : diffManifests(before, after);
  if (disk.manifest?.manifestHash !== approval.manifest_hash) layers.push("manifest");
  if (disk.manifest !== undefined && disk.manifest.requestedPermissionsHash !== approval.requested_permissions_hash)
    layers.push("permissions");
  if (after !== undefined && JSON.stringify(after.entrypoint) !== approval.entrypoint_json) layers.push("entrypoint");
  const commitMoved = agent.commit !== approval.source_commit;
  const repair = repairOf(agent, disk);
  if (commitMoved || filesMoved(disk)) layers.push("commit");
  if (layers.length === 0) return undefined;
  return {
    layers,
    next_step: repair ?? `opensentience agents enable ${agent.agentId}`,
    // SECURITY: one key approves another commit too, but only one that Core fetched: files that somebody changed in place,
    // or a folder that is run in place, are reviewed in full. Pinned by "a commit that moved is reviewed in full when %s".
    narrowing:
      difference !== undefined &&
      repair === null &&
      (commitMoved
        ? approval.source_commit !== null && agent.commit !== null && asksNothingMore(difference)
        : isNarrowing(difference)),
    diff: {
      permissions: difference?.permissions ?? { added: [], removed: [], widened: [], narrowed: [] },
      entrypoint: difference?.entrypoint ?? null,
      commit: commitMoved ? { from: approval.source_commit ?? "none", to: agent.commit ?? "none" } : null,
      fields: [
        ...(difference?.fields ?? []),
        ...(disk.manifestProblem === undefined
          ? []
          : [{ field: "(manifest)", from: "valid", to: disk.manifestProblem }]),
      ],
      files: {
        added: sentFiles(disk.files.added),
        removed: sentFiles(disk.files.removed),
        changed: sentFiles(disk.files.changed),
      },
    },
  };
}

/** The command that has to come before any review; null where what is installed can be approved as it is. */
export function repairOf(agent: AgentRecord, disk: DiskState): string | null {
  if (disk.manifest === undefined) return manifestRepairCommand(agent);
  const isOther = disk.manifest.manifest.id !== agent.agentId;
  return isOther || filesMoved(disk) ? repairCommand(agent) : null;
}

/** The files are not those of the installed commit; a build puts them back (`repairCommand`), approving again could not. */
export function filesMoved(disk: DiskState): boolean {
  return disk.files.added.length + disk.files.removed.length + disk.files.changed.length > 0;
}

type Changes = Pick<DiskState, "files" | "isManifestForeign">;

async function changesOf(
  agent: AgentRecord,
  root: string,
  manifest: ManifestFile | undefined,
  files: TreeFiles,
  { useCache, ...limits }: TreeLimits & { useCache: boolean },
): Promise<Changes> {
  const only = (changed: Partial<DiskState["files"]>, isManifestForeign = false): Changes => ({
    files: { added: [], removed: [], changed: [], ...changed },
    isManifestForeign,
  });
  // A folder that is run in place is not pinned: its code may change, and the interfaces say so.
  if (agent.commit === null) return only({});
  const isBuilt = agent.buildStatus === "built";
  const expectedHash = isBuilt ? agent.builtTreeHash : agent.treeHash;
  let current: Awaited<ReturnType<typeof hashTree>>;
  try {
    current = await hashTree(root, { ...limits, ...(useCache ? { cachePath: files.treeCache } : {}) });
  } catch (error) {
    return only(existsSync(root) ? { added: [problem(error)] } : { removed: [root] });
  }
  if (current.hash === expectedHash) return only({}, isForeign(manifest, current.entries));
  const expected = await loadEntries(isBuilt ? files.builtEntries : files.trackedEntries, expectedHash);
  // SECURITY: the list names the files, the hash in the database is what counts; a forged list shows as a drift.
  // Pinned by "a forged list of files does not hide a change".
  if (expected === undefined) return only({ changed: ["(the list of installed files is damaged)"] });
  const difference = diffTrees(expected, current.entries);
  const isSource = (path: string): boolean => path !== MANIFEST_NAME;
  const changed = {
    // What a half-done build left behind is not yet part of anything that could run.
    added: isBuilt ? difference.added.filter(isSource) : [],
    removed: difference.removed.filter(isSource),
    changed: difference.changed.filter(isSource),
  };
  return only(changed, isForeign(manifest, expected));
}

/**
 * By the bytes that were read just now, whatever a cache of the tree believes. No build changes it, so the commit's is in
 * the list of every state.
 */
function isForeign(manifest: ManifestFile | undefined, expected: readonly TreeEntry[]): boolean {
  return expected.find(({ path }) => path === MANIFEST_NAME)?.sha256 !== manifest?.manifestHash;
}

/**
 * SECURITY: an agent can make its folder unreadable (too deep, no rights); that is a drift like any other and must not
 * keep anybody from seeing or revoking it. Pinned by "a source that cannot be read is a drift, not a fault".
 */
function problem(error: unknown): string {
  if (error instanceof CoreError) return error.message;
  return `(cannot be read: ${(error as NodeJS.ErrnoException).code ?? "unknown error"})`;
}
