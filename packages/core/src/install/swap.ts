/**
 * Moving a freshly fetched tree into place, and back. The parts of an installed agent are `src`, `repo.git` and
 * `tracked.json` (with `built.json` and the stat cache belonging to the old tree only). A journal is written first and
 * removed last: a crash in between is rolled back at the next start, so no half-installed tree is ever used.
 *
 * Nothing is deleted here: what has to go is renamed into `aside`, a folder in the staging area of its own, which the
 * caller clears when the outcome is recorded. A deletion can fail half-way, a rename cannot.
 */
import { existsSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { ensurePrivateFolder, writePrivateFile } from "../host/private-file.ts";
import { moveEntry } from "./trash.ts";

/** src comes last into place and leaves last, so that its presence means the others are there. */
const PARTS = ["repo.git", "tracked.json", "built.json", "tree-cache.json", "src"];
const JOURNAL = "installing.json";
/** In `aside`: the tree from before the tree from before. */
const REPLACED = "replaced";

/** What the catalog said about the tree that is kept in `previous`; a rollback puts both back. */
export type PreviousState = {
  gitUrl: string | null;
  ref: string | null;
  commit: string;
  treeHash: string;
  builtTreeHash: string | null;
};

export type Journal = { commit: string; hadPrevious: boolean };

const STATE = "installed.json";

/**
 * Renames the parts in `staged` into `root`; what was there goes to `root/previous`, with its state. When it fails,
 * `undoSwap` puts everything back.
 */
export async function swapIn(
  root: string,
  staged: string,
  commit: string,
  current: PreviousState | undefined,
): Promise<void> {
  const previous = join(root, "previous");
  await ensurePrivateFolder(root);
  if (existsSync(previous)) await moveEntry(previous, join(staged, REPLACED));
  const journal: Journal = { commit, hadPrevious: existsSync(join(root, "src")) };
  await writePrivateFile(join(root, JOURNAL), JSON.stringify(journal));
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

/** After a rollback that failed and was undone: the tree that `takePrevious` took goes back to `previous`. */
export async function returnPrevious(root: string, staged: string): Promise<void> {
  if (existsSync(join(staged, "src"))) await moveParts(staged, join(root, "previous"));
}

/** After the database says the same. */
export async function confirmSwap(root: string): Promise<void> {
  await rm(join(root, JOURNAL), { recursive: true, force: true });
}

/**
 * `instead` stands in for a journal that cannot be read.
 * Puts back what was there before (nothing, when it was a first install), from wherever the swap was interrupted. The
 * new parts go to `aside`, which is where they came from when the caller is the one that swapped.
 * SECURITY: without a journal nothing was moved, and what stands in `root` is the agent that works; pinned by "a
 * swap that fails before its journal leaves the installed agent alone".
 */
export async function undoSwap(root: string, aside: string, instead?: Journal): Promise<void> {
  const previous = join(root, "previous");
  const journal = instead ?? (await interruptedSwap(root));
  // A journal that was damaged while it was written means that nothing was moved yet.
  if (journal !== undefined && journal !== "damaged") {
    // The old src leaves last: while it is not in `previous`, everything in root is still the old tree.
    const rootHoldsNewParts = !journal.hadPrevious || existsSync(join(previous, "src"));
    await mkdir(aside, { recursive: true, mode: 0o700 });
    if (rootHoldsNewParts) await moveParts(root, aside);
    await moveParts(previous, root);
    await rm(join(root, JOURNAL), { recursive: true, force: true });
  }
  if (!existsSync(join(aside, REPLACED)) || existsSync(join(previous, "src"))) return;
  await rm(previous, { recursive: true, force: true });
  await moveEntry(join(aside, REPLACED), previous);
}

/** What was on its way when Core ended, if anything was; "damaged" when its journal cannot be read. Never throws. */
export async function interruptedSwap(root: string): Promise<Journal | "damaged" | undefined> {
  try {
    const stored = JSON.parse(await readFile(join(root, JOURNAL), "utf8")) as Partial<Journal> | null;
    if (typeof stored?.commit === "string" && typeof stored.hadPrevious === "boolean")
      return { commit: stored.commit, hadPrevious: stored.hadPrevious };
    return "damaged";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? undefined : "damaged";
  }
}

async function moveParts(from: string, to: string): Promise<void> {
  for (const part of PARTS) {
    if (existsSync(join(from, part))) await moveEntry(join(from, part), join(to, part));
  }
}
