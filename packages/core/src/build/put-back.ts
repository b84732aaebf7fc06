/** What a build undoes before it begins: the files that are neither the commit's nor the last good build's. */
import type { AgentRecord } from "../catalog/catalog.ts";
import { diffTrees, loadEntries, type TreeEntry } from "../tree/tree.ts";

/** The first of them by name, sorted as the tree is; `count` is of all. */
export type PutBack = { names: string[]; count: number };

/** So many are named; the rest is only counted, in the last entry. */
const MAX_NAMES = 1_000;

export const NOTHING: PutBack = { names: [], count: 0 };

/** `tracked`: the commit's files, where their list is whole; `builtEntries`: the file that lists what the last build left. */
export async function changedSince(
  agent: AgentRecord,
  found: { hash: string; entries: TreeEntry[] },
  tracked: TreeEntry[] | undefined,
  builtEntries: string,
): Promise<PutBack> {
  const isBuilt = agent.buildStatus === "built";
  if (tracked !== undefined && found.hash === agent.treeHash) return NOTHING;
  if (isBuilt && found.hash === agent.builtTreeHash) return NOTHING;
  // What the last build made, when it ended well, was not put there by anybody else.
  const built = isBuilt ? await loadEntries(builtEntries, agent.builtTreeHash) : undefined;
  const { added, removed, changed } = diffTrees(built ?? tracked ?? [], found.entries);
  const all = [...added, ...removed, ...changed];
  const names = all.length <= MAX_NAMES ? all : [...all.slice(0, MAX_NAMES), `… and ${all.length - MAX_NAMES} more`];
  return { names, count: all.length };
}
