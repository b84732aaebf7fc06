/**
 * The tree that a rollback goes back to may have been damaged before an install or a rollback set it aside: whoever
 * repairs an agent as Core says leaves the damaged files in `previous`. They are put back from the copy of the
 * repository that is kept with them, before anything of the agent moves.
 */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { CoreError } from "@opensentience/protocol";
import { reinstallCommand, type AgentRecord } from "../catalog/catalog.ts";
import { diffTrees, hashTree, loadEntries, saveEntries } from "../tree/tree.ts";
import type { GitProgram } from "./git.ts";
import { writeCommit } from "./restore.ts";
import type { PreviousState } from "./swap.ts";
import { commandOf } from "./takeover.ts";
import { moveEntry } from "../host/trash.ts";

type Deps = {
  /** Asked for only where something has to be put back. */
  git: () => Promise<GitProgram>;
  limits: { maxBytes: number; maxFiles: number };
  /** The folder of the agent, and one in the staging area for what has to go. */
  root: string;
  staged: string;
};

/**
 * Makes every file of the commit in `previous` the commit's again and returns what is then known of that tree: what was
 * put back has lost what a build added to it. Files beside the commit's are left to the checks of every run and build.
 * Throws `install.no_previous` when they cannot be put back.
 */
export async function mendPrevious(deps: Deps, agent: AgentRecord, state: PreviousState): Promise<PreviousState> {
  const previous = join(deps.root, "previous");
  if (await isWhole(deps, previous, state)) return state;
  try {
    await putBack(deps, previous, state);
  } catch (error) {
    throw new CoreError(
      "install.no_previous",
      `the earlier tree of ${agent.agentId}, of commit ${state.commit.slice(0, 12)}, was changed on this machine and cannot be put back from Core's copy of the repository`,
      { details: { commit: state.commit }, nextStep: fetchAgain(agent, state), cause: error },
    );
  }
  const isBuiltByItself = state.builtTreeHash === state.treeHash;
  return isBuiltByItself ? state : { ...state, builtTreeHash: null, builtAt: null };
}

async function isWhole({ limits }: Deps, previous: string, state: PreviousState): Promise<boolean> {
  const tracked = await loadEntries(join(previous, "tracked.json"), state.treeHash);
  if (tracked === undefined) return false;
  const found = await hashTree(join(previous, "src"), { ...limits, onOdd: () => {} }).catch(() => undefined);
  if (found === undefined) return false;
  const { changed, removed } = diffTrees(tracked, found.entries);
  return changed.length === 0 && removed.length === 0;
}

/** Whatever the moment of a crash, the next rollback finds files that are not the commit's, or none, and begins again. */
async function putBack({ git, limits, staged }: Deps, previous: string, state: PreviousState): Promise<void> {
  const fresh = join(staged, "mended");
  const source = join(previous, "src");
  const entries = await writeCommit({
    git: await git(),
    repository: join(previous, "repo.git"),
    commit: state.commit,
    treeHash: state.treeHash,
    target: fresh,
    limits,
  });
  await saveEntries(join(previous, "tracked.json"), entries);
  await mkdir(join(staged, "damaged"), { recursive: true, mode: 0o700 });
  for (const part of ["src", "built.json", "tree-cache.json"])
    if (existsSync(join(previous, part))) await moveEntry(join(previous, part), join(staged, "damaged", part));
  await moveEntry(fresh, source);
}

/** The command that brings the same commit from its repository. */
function fetchAgain(agent: AgentRecord, { commit, gitUrl }: PreviousState): string {
  if (commit === agent.commit) return `opensentience agents info ${agent.agentId}`;
  const isMoved = gitUrl !== null && gitUrl !== agent.gitUrl;
  const from = isMoved ? { gitUrl } : { onlyIfMoved: true };
  const allow = reinstallCommand({ ...agent, gitUrl }).endsWith(" --allow-local") ? " --allow-local" : "";
  return `${commandOf({ agentId: agent.agentId, ref: commit, ...from })}${allow}`;
}
