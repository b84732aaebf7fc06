/**
 * Moving a freshly fetched tree into place, and back. The parts of an installed agent are `src`, `repo.git` and
 * `tracked.json` (with `built.json` and the stat cache belonging to the old tree only). A journal is written first and
 * removed last: a crash in between is rolled back at the next start, so no half-installed tree is ever used.
 */
import { existsSync } from "node:fs";
import { readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { ensurePrivateFolder, writePrivateFile } from "../host/private-file.ts";

/** src comes last into place and leaves last, so that its presence means the others are there. */
const PARTS = ["repo.git", "tracked.json", "built.json", "tree-cache.json", "src"];
const JOURNAL = "installing.json";

/** What the catalog said about the tree that is kept in `previous`; a rollback puts both back. */
export type PreviousState = {
  gitUrl: string | null;
  ref: string | null;
  commit: string;
  treeHash: string;
  builtTreeHash: string | null;
};

const STATE = "installed.json";

/** Renames the staged parts into `root`; what was there goes to `root/previous`, with its state. */
export async function swapIn(
  root: string,
  staged: string,
  commit: string,
  current: PreviousState | undefined,
): Promise<void> {
  const previous = join(root, "previous");
  await ensurePrivateFolder(root);
  await rm(previous, { recursive: true, force: true });
  await writePrivateFile(join(root, JOURNAL), JSON.stringify({ commit, hadPrevious: existsSync(join(root, "src")) }));
  await ensurePrivateFolder(previous);
  if (current !== undefined) await writePrivateFile(join(previous, STATE), JSON.stringify(current));
  await moveParts(root, previous);
  await moveParts(staged, root);
}

/** Moves the previous tree out to `staged`, ready to be swapped in; undefined when there is none. */
export async function takePrevious(root: string, staged: string): Promise<PreviousState | undefined> {
  const previous = join(root, "previous");
  if (!existsSync(join(previous, "src")) || !existsSync(join(previous, STATE))) return undefined;
  const state = JSON.parse(await readFile(join(previous, STATE), "utf8")) as PreviousState;
  await moveParts(previous, staged);
  return state;
}

/** After the database says the same. */
export async function confirmSwap(root: string): Promise<void> {
  await rm(join(root, JOURNAL), { force: true });
}

/** Puts back what was there before (nothing, when it was a first install), from wherever the swap was interrupted. */
export async function undoSwap(root: string): Promise<void> {
  const previous = join(root, "previous");
  const journal = await interruptedSwap(root);
  // The old src leaves last: while it is not in `previous`, everything in root is still the old tree.
  const rootHoldsNewParts = journal?.hadPrevious !== true || existsSync(join(previous, "src"));
  if (rootHoldsNewParts) for (const part of PARTS) await rm(join(root, part), { recursive: true, force: true });
  await moveParts(previous, root);
  await rm(join(root, JOURNAL), { force: true });
}

/** What was on its way when Core ended, if anything was. */
export async function interruptedSwap(root: string): Promise<{ commit: string; hadPrevious: boolean } | undefined> {
  try {
    return JSON.parse(await readFile(join(root, JOURNAL), "utf8")) as { commit: string; hadPrevious: boolean };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function moveParts(from: string, to: string): Promise<void> {
  for (const part of PARTS) {
    if (existsSync(join(from, part))) await rename(join(from, part), join(to, part));
  }
}
