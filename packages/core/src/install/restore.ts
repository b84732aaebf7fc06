/** Putting the source of an installed agent back to exactly its commit, from Core's own copy of the repository. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { CoreError } from "@opensentience/protocol";
import { reinstallCommand, type AgentRecord } from "../catalog/catalog.ts";
import { killPoint } from "../host/kill-point.ts";
import { ensurePrivateFolder } from "../host/private-file.ts";
import { hashEntries, saveEntries, type TreeEntry } from "../tree/tree.ts";
import { materialise, type GitProgram } from "./git.ts";
import { moveEntry, removeTrash } from "../host/trash.ts";

type Deps = {
  git: GitProgram;
  limits: { maxBytes: number; maxFiles: number };
  staging: string;
  own: { source: string; repository: string; trackedEntries: string };
  onFault: (what: string, error: unknown) => void;
  signal?: AbortSignal | undefined;
};

/** One commit, and what its files hash to; written from `repository` to `target`, which is not there yet. */
type Wanted = {
  git: GitProgram;
  repository: string;
  commit: string;
  treeHash: string | null;
  target: string;
  limits: { maxBytes: number; maxFiles: number };
  signal?: AbortSignal | undefined;
};

/**
 * Writes exactly the files of a commit; returns their list.
 * SECURITY: `repo.git` may have been changed too, so what it gives must hash to what the database says; pinned by
 * "a build whose source cannot be put back is refused".
 */
export async function writeCommit({ repository, treeHash, ...wanted }: Wanted): Promise<TreeEntry[]> {
  const { entries } = await materialise({ ...wanted, repoFolder: repository });
  if (hashEntries(entries) !== treeHash) throw new Error("the commit has other files than were installed");
  return entries;
}

/**
 * Writes the commit again and puts it in the place of `src`, and the list of its files in the place of the kept one.
 * Throws `build.source_changed`.
 */
export async function restoreSource(deps: Deps, agent: AgentRecord): Promise<void> {
  const { own } = deps;
  const staged = join(deps.staging, randomBytes(8).toString("hex"));
  try {
    await ensurePrivateFolder(deps.staging);
    await ensurePrivateFolder(staged);
    const fresh = join(staged, "src");
    const entries = await writeCommit({
      git: deps.git,
      repository: own.repository,
      commit: agent.commit ?? "",
      treeHash: agent.treeHash,
      target: fresh,
      limits: deps.limits,
      signal: deps.signal,
    });
    killPoint("restore.tree_written");
    await saveEntries(own.trackedEntries, entries);
    // Whole beside its place first: whatever the moment of a crash, the next start finds one of the two.
    if (existsSync(besideSource(own.source))) await moveEntry(besideSource(own.source), join(staged, "stale"));
    await moveEntry(fresh, besideSource(own.source));
    killPoint("restore.beside_source");
    if (existsSync(own.source)) await moveEntry(own.source, join(staged, "changed"));
    killPoint("restore.source_moved");
    await moveEntry(besideSource(own.source), own.source);
    killPoint("restore.source_in_place");
  } catch (error) {
    deps.signal?.throwIfAborted();
    throw new CoreError(
      "build.source_changed",
      `the source of ${agent.agentId} is not that of its commit and cannot be put back`,
      { nextStep: reinstallCommand(agent), cause: error },
    );
  } finally {
    await removeTrash(staged).catch((error: unknown) => deps.onFault("a changed source could not be deleted", error));
  }
}

/**
 * After a crash in the middle: the fresh source takes an empty place, or goes to `aside` when the place is taken. True
 * when it took it.
 */
export async function finishRestore(source: string, isInstalled: boolean, aside: string): Promise<boolean> {
  const fresh = besideSource(source);
  if (!existsSync(fresh)) return false;
  const isNeeded = isInstalled && !existsSync(source);
  if (!isNeeded) await mkdir(aside, { recursive: true, mode: 0o700 });
  await moveEntry(fresh, isNeeded ? source : join(aside, "fresh"));
  return isNeeded;
}

function besideSource(source: string): string {
  return `${source}.restored`;
}
