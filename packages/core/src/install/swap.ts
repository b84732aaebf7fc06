/**
 * Moving a freshly fetched tree into place, and back. The parts of an installed agent are `src`, `repo.git` and
 * `tracked.json` (with `built.json` and the stat cache belonging to the old tree only). A journal is written first and
 * removed last: a crash in between is rolled back at the next start, so no half-installed tree is ever used.
 *
 * Until the outcome is recorded nothing leaves the agent's folder: the old tree waits in `previous`, the tree from before
 * that in `replaced`. So whatever the moment of a crash, also of one while an earlier crash is put right, both come back.
 *
 * Nothing is deleted here: what has to go is renamed into `aside`, a folder in the staging area, which the
 * caller clears when the outcome is recorded. A deletion can fail half-way, a rename cannot.
 */
import { existsSync } from "node:fs";
import { mkdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { CoreError } from "@opensentience/protocol";
import { killPoint } from "../host/kill-point.ts";
import { ensurePrivateFolder, readPrivateFile, writePrivateFile } from "../host/private-file.ts";
import { moveEntry } from "../host/trash.ts";

/** src comes last into place and leaves last, so that its presence means the others are there. */
const PARTS = ["repo.git", "tracked.json", "built.json", "tree-cache.json", "src"];
const JOURNAL = "installing.json";
/** Far more than a journal or the state of a tree has. */
const MAX_BYTES = 64 * 1024;
/** The tree from before the tree from before, while a swap is under way; in a rollback, the tree to go back to. */
const REPLACED = "replaced";

/** What the catalog said about the tree that is kept in `previous`; a rollback puts both back. */
export type PreviousState = {
  gitUrl: string | null;
  ref: string | null;
  commit: string;
  treeHash: string;
  builtTreeHash: string | null;
  /** When that build ended; not in what an older Core kept. */
  builtAt?: string | null;
};

export type Journal = {
  /** The one that is to be in place. */
  commit: string;
  /** What stood in the agent's folder before. */
  parts: string[];
  hadPrevious: boolean;
  /** The new tree is the one that was in `previous`. */
  isRollback: boolean;
};

const STATE = "installed.json";

/** What the next start of Core takes away. */
export const UNCONFIRMED = "what a swap that is recorded left could not be taken away yet";

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
  await ensurePrivateFolder(root);
  await begin(root, staged, commit, false);
  await exchange(root, staged, current);
}

/** Changes the places of the tree in `root` and that in `previous`; to be undone and confirmed like `swapIn`. */
export async function swapBack(
  root: string,
  staged: string,
  commit: string,
  current: PreviousState | undefined,
): Promise<void> {
  await begin(root, staged, commit, true);
  await exchange(root, join(root, REPLACED), current);
}

/**
 * What a rollback would put back; undefined when there is nothing, or nothing that can be read. A tree whose `src` was
 * deleted can be written again from its `repo.git`.
 */
export function readPrevious(
  root: string,
  onFault: (what: string, error: unknown) => void = () => {},
): PreviousState | undefined {
  const previous = join(root, "previous");
  const hasTree = existsSync(join(previous, "src")) || existsSync(join(previous, "repo.git"));
  if (!hasTree || !existsSync(join(previous, STATE))) return undefined;
  try {
    return JSON.parse(readPrivateFile(join(previous, STATE), MAX_BYTES)) as PreviousState;
  } catch (error) {
    onFault(`what is known of the tree in ${previous} cannot be read`, error);
    return undefined;
  }
}

async function begin(root: string, aside: string, commit: string, isRollback: boolean): Promise<void> {
  // Of no swap of ours; to undo this one, its presence has to mean that `previous` went there.
  if (existsSync(join(root, REPLACED))) await moveEntry(join(root, REPLACED), join(aside, "stale"));
  const parts = PARTS.filter((part) => existsSync(join(root, part)));
  const journal: Journal = { commit, parts, hadPrevious: existsSync(join(root, "previous")), isRollback };
  await writePrivateFile(join(root, JOURNAL), JSON.stringify(journal));
  killPoint("install.journal_written");
}

async function exchange(root: string, source: string, current: PreviousState | undefined): Promise<void> {
  const previous = join(root, "previous");
  if (existsSync(previous)) await moveEntry(previous, join(root, REPLACED));
  killPoint("install.previous_set_aside");
  await ensurePrivateFolder(previous);
  if (current !== undefined) await writePrivateFile(join(previous, STATE), JSON.stringify(current));
  killPoint("install.previous_made");
  await moveParts(root, previous);
  killPoint("install.old_moved");
  await moveParts(source, root);
  killPoint("install.new_in_place");
}

/** After the database says the same. What is no longer needed goes to `aside`. */
export async function confirmSwap(root: string, aside: string): Promise<void> {
  await mkdir(aside, { recursive: true, mode: 0o700 });
  if (existsSync(join(root, REPLACED))) await moveEntry(join(root, REPLACED), join(aside, REPLACED));
  killPoint("install.replaced_moved");
  await rm(join(root, JOURNAL), { recursive: true, force: true });
  killPoint("install.journal_removed");
}

/**
 * Puts back what was there before (nothing, when it was a first install), from wherever the swap, or an undoing of it,
 * was interrupted. The new parts go to where they came from, or to `aside`. `instead` stands in for a journal that
 * cannot be read.
 * SECURITY: without a journal nothing was moved, and what stands in `root` is the agent that works; pinned by "a
 * swap that fails before its journal leaves the installed agent alone".
 */
export async function undoSwap(root: string, aside: string, instead?: Journal): Promise<void> {
  const journal = instead ?? interruptedSwap(root);
  // A journal that was damaged while it was written means that nothing was moved yet.
  if (journal === undefined || journal === "damaged") return;
  await mkdir(aside, { recursive: true, mode: 0o700 });
  const [previous, replaced] = [join(root, "previous"), join(root, REPLACED)];
  // While `previous` stands where it was, nothing has moved yet, or all of it is back.
  if (!journal.hadPrevious || existsSync(replaced)) {
    await moveBack(root, journal.isRollback ? replaced : aside, journal.parts);
    if (existsSync(previous)) await moveEntry(previous, join(aside, "previous"));
    if (existsSync(replaced)) await moveEntry(replaced, previous);
  }
  await rm(join(root, JOURNAL), { recursive: true, force: true });
}

/** `undoSwap` after a swap that failed in this Core; a folder that was made for it goes again. Throws `install.io_failed`. */
export async function putBack(root: string, aside: string): Promise<void> {
  try {
    await undoSwap(root, aside);
  } catch (cause) {
    throw new CoreError(
      "install.io_failed",
      "the agent's folder could not be written, and what stood there before comes back only at the next start of Core",
      { nextStep: "opensentience core restart", cause },
    );
  }
  // Only an empty one can be removed so.
  await rmdir(root).catch(() => undefined);
}

/** Part by part, each judged by itself: an old part that is not in `previous` has not left, or is back already. */
async function moveBack(root: string, newPlace: string, oldParts: readonly string[]): Promise<void> {
  for (const part of PARTS) {
    const [here, before] = [join(root, part), join(root, "previous", part)];
    const isOld = oldParts.includes(part);
    if (isOld && !existsSync(before)) continue;
    if (existsSync(here)) await moveEntry(here, join(newPlace, part));
    if (isOld) await moveEntry(before, here);
    killPoint("install.part_put_back");
  }
}

/** What was on its way when Core ended, if anything was; "damaged" when its journal cannot be read. Never throws. */
export function interruptedSwap(root: string): Journal | "damaged" | undefined {
  try {
    const stored = JSON.parse(readPrivateFile(join(root, JOURNAL), MAX_BYTES)) as Partial<Journal> | null;
    const { commit, parts, hadPrevious, isRollback } = stored ?? {};
    if (typeof commit !== "string" || typeof hadPrevious !== "boolean" || typeof isRollback !== "boolean")
      return "damaged";
    return Array.isArray(parts) ? { commit, hadPrevious, isRollback, parts: parts.map(String) } : "damaged";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? undefined : "damaged";
  }
}

/** Takes away a journal that nobody wrote for a swap; what stands in `root` stays as it is. */
export async function refuseJournal(root: string, aside: string): Promise<void> {
  await mkdir(aside, { recursive: true, mode: 0o700 });
  await moveEntry(join(root, JOURNAL), join(aside, JOURNAL));
}

/** What a journal would say that cannot be read: `hadTree` is what the catalog knows. */
export function guessJournal(root: string, hadTree: boolean): Journal {
  const replaced = join(root, REPLACED);
  const hadPrevious = existsSync(replaced);
  // The first part to leave it for `root` is the repository.
  const isRollback = hadPrevious && !existsSync(join(replaced, "repo.git"));
  return { commit: "", parts: hadTree ? PARTS : [], hadPrevious, isRollback };
}

async function moveParts(from: string, to: string): Promise<void> {
  for (const part of PARTS) {
    if (!existsSync(join(from, part))) continue;
    await moveEntry(join(from, part), join(to, part));
    killPoint("install.part_moved");
  }
}
