/** Links out of a tree, and whether what they lead to can be trusted to stay as it is. */
import { realpath } from "node:fs/promises";
import { isFixedPath } from "../host/fixed-path.ts";
import { outsideTarget } from "./entry-hash.ts";
import type { TreeEntry } from "./tree-entry.ts";

/**
 * The links among `entries` that lead to a place outside of `root` which somebody but the system's administrator can
 * change: every component of the real path must be owned by root and not writable by group or others. A virtual
 * environment's `python` passes; a link into a home or /tmp does not.
 */
export async function changeableLinks(
  root: string,
  entries: readonly TreeEntry[],
): Promise<{ path: string; target: string }[]> {
  const realRoot = await realpath(root);
  const found: { path: string; target: string }[] = [];
  for (const { path, mode } of entries) {
    if (mode !== "symlink") continue;
    const target = await outsideTarget(`${root}/${path}`, realRoot);
    if (target !== undefined && !(await isFixedPath(target))) found.push({ path, target });
  }
  return found;
}
