/** What a build undoes before it begins: the files that are neither the commit's nor the last good build's. */
import { CoreError, shortName } from "@opensentience/protocol";
import type { AgentRecord } from "../catalog/catalog.ts";
import { diffTrees, hashTree, loadEntries, type HashOptions, type TreeEntry } from "../tree/tree.ts";

/**
 * The first of them by name, sorted as the tree is, none longer than a name is shown; `count` is of all. No name and a count
 * means that the source could not be read: all of it is put back.
 */
export type PutBack = { names: string[]; count: number };

/** What was found in a source: `odd` are names of what is no file that can be hashed; undefined where nobody could look. */
export type FoundSource = { hash: string; entries: TreeEntry[]; odd: string[] } | undefined;

/** So many are named; the rest is only counted. */
const MAX_NAMES = 1_000;

export const NOTHING: PutBack = { names: [], count: 0 };

/**
 * The source as far as it can be read: a pipe, or a file that nobody may open, is one change more, and hides no other.
 * Throws `build.canceled` and `build.timeout`.
 */
export async function lookAtSource(source: string, options: HashOptions): Promise<FoundSource> {
  const odd: string[] = [];
  try {
    const { hash, entries } = await hashTree(source, { ...options, onOdd: (path) => odd.push(path) });
    // SECURITY: what was left out of the hash must not pass for the commit; pinned by "a pipe among the files is named, and no other".
    return { hash: odd.length === 0 ? hash : "", entries, odd: odd.sort() };
  } catch (error) {
    if (error instanceof CoreError && error.code.startsWith("build.")) throw error;
    options.signal?.throwIfAborted();
    return undefined;
  }
}

/** `tracked`: the commit's files, where their list is whole; `builtEntries`: the file that lists what the last build left. */
export async function changedSince(
  agent: AgentRecord,
  found: FoundSource,
  tracked: TreeEntry[] | undefined,
  builtEntries: string,
): Promise<PutBack> {
  const isBuilt = agent.buildStatus === "built";
  if (found === undefined) return { names: [], count: Math.max(1, tracked?.length ?? 0) };
  if (tracked !== undefined && found.hash === agent.treeHash) return NOTHING;
  if (isBuilt && found.hash === agent.builtTreeHash) return NOTHING;
  // What the last build made, when it ended well, was not put there by anybody else.
  const built = isBuilt ? await loadEntries(builtEntries, agent.builtTreeHash) : undefined;
  const { added, removed, changed } = diffTrees(built ?? tracked ?? [], found.entries);
  const odd = new Set(found.odd);
  // What cannot be read stands for all that was in its place.
  const missing = removed.filter((path) => !partsOf(path).some((part) => odd.has(part)));
  const all = [...odd, ...added, ...missing, ...changed];
  return { names: all.slice(0, MAX_NAMES).map(shortName), count: all.length };
}

/** For the record, which has no count. */
export function recordedNames({ names, count }: PutBack): string[] {
  return count > 0 && names.length === 0 ? ["(the whole source, which could not be read)"] : names;
}

/** `a/b/c`, `a/b`, `a`. */
function partsOf(path: string): string[] {
  const names = path.split("/");
  return names.map((_, at) => names.slice(0, names.length - at).join("/"));
}
