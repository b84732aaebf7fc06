/**
 * What is on disk, hashed: the bytes that an approval is bound to.
 *
 * `hashTree` looks at every entry below a root: regular files by their bytes, symlinks by their link text (never
 * followed), nothing else: a device, FIFO, socket, setuid or setgid file or a name that is not UTF-8 ends it with
 * `install.unsafe_tree`. Folders count by what they hold, so an empty one is invisible, as in git. The hash is
 * SHA-256 over one JSON array in fixed order, so the same tree gives the same hash on every machine, and the list
 * that an install wrote hashes like the folder that it wrote.
 *
 * A symlink that leads out of the root counts with the place and the bytes it leads to (entry-hash.ts).
 *
 * A stat cache makes the second look cheap: a file is not read again when size, mtime, ctime (both in nanoseconds)
 * and inode are what they were. It serves views and early refusals only: a program that holds a file mapped in memory
 * changes it without moving these, and whoever can write the agent's folder can write a cache file. What is approved,
 * accepted or started is hashed without it.
 *
 * Promises: bounded open files, bytes and entries, ends soon after `signal`, never blocks the event loop for long, a
 * broken cache costs time and nothing else.
 * Callers: install (what arrived), build (what the tools changed), enablement and the run gate (drift).
 */
import { createHash } from "node:crypto";
import { realpath } from "node:fs/promises";
import { CoreError } from "@opensentience/protocol";
import { readPrivateFile, writePrivateFile } from "../host/private-file.ts";
import { hashLink, hashRegular } from "./entry-hash.ts";
import { loadStatCache, saveStatCache, type CachedEntry } from "./stat-cache.ts";
import { byPath, isTreeEntry, type TreeEntry } from "./tree-entry.ts";
import { walkTree, type FoundEntry } from "./walk.ts";

export { changeableLinks } from "./outside-links.ts";
export type { TreeEntry } from "./tree-entry.ts";

export type TreeDifference = { added: string[]; removed: string[]; changed: string[] };

/** Files that are read at the same time. */
const CONCURRENCY = 8;
/** A list of more than a million files. */
const MAX_LIST_BYTES = 256 * 1024 * 1024;

export type HashOptions = {
  cachePath?: string;
  /** Ends the hashing with its reason. */
  signal?: AbortSignal | undefined;
  /** Limits of the whole tree. */
  maxBytes?: number;
  maxFiles?: number;
  /**
   * Told of every entry that cannot be hashed, which is then left out instead of ending the hashing: for a list of what is
   * there. The hash is then that of no whole tree.
   */
  onOdd?: (path: string) => void;
};

/**
 * Hash and sorted entries of everything below `root`. Throws `install.unsafe_tree` for what is not a file, folder or
 * symlink, `install.limit_exceeded`, the reason of `signal`, and the system's own error when something cannot be read.
 */
export async function hashTree(
  root: string,
  options: HashOptions = {},
): Promise<{ hash: string; entries: TreeEntry[] }> {
  const cachingMomentMs = Date.now();
  const known =
    options.cachePath === undefined ? new Map<string, CachedEntry>() : await loadStatCache(options.cachePath);
  const found = await walkTree(root, options);
  const realRoot = await realpath(root);
  const onBytes = countBytes(found, options);
  const entries: TreeEntry[] = [];
  const stable: CachedEntry[] = [];
  let next = 0;
  let isCacheStale = false;

  const work = async (): Promise<void> => {
    for (let index = next++; index < found.length; index = next++) {
      options.signal?.throwIfAborted();
      const entry = found[index]!;
      const cached = known.get(entry.path);
      if (cached !== undefined && isUnchanged(cached, entry)) {
        entries.push({ path: entry.path, mode: entry.mode, sha256: cached.sha256, size: cached.size });
        stable.push(cached);
        continue;
      }
      const path = `${root}/${entry.path}`;
      const isLink = entry.mode === "symlink";
      const hashing = isLink ? hashLink(path, realRoot, onBytes) : hashRegular(path, onBytes);
      const hashed = await hashing.catch((error: unknown) => passOver(error, entry.path, options));
      if (hashed === undefined) continue;
      entries.push({ path: entry.path, mode: entry.mode, ...hashed });
      // The link's own times say nothing of what it leads to.
      if (isLink) continue;
      isCacheStale = true;
      stable.push({ ...entry, ...hashed, size: entry.size });
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));

  entries.sort(byPath);
  if (options.cachePath !== undefined && (isCacheStale || known.size !== stable.length))
    await saveStatCache(options.cachePath, stable, cachingMomentMs);
  return { hash: hashEntries(entries), entries };
}

/** Throws what ends the hashing of the whole tree. */
function passOver(error: unknown, path: string, { onOdd, signal }: HashOptions): undefined {
  const isLimit = error instanceof CoreError && error.code === "install.limit_exceeded";
  if (onOdd === undefined || isLimit || signal?.aborted === true) throw error;
  onOdd(path);
}

/** Holds the reading to the limits. A file that says how large it is (also a hole of terabytes) is not even begun. */
function countBytes(found: readonly FoundEntry[], { maxBytes, signal }: HashOptions): (count: number) => void {
  const limit = maxBytes ?? Number.POSITIVE_INFINITY;
  let total = 0;
  const check = (bytes: number): void => {
    if (bytes <= limit) return;
    throw new CoreError("install.limit_exceeded", "the tree is larger than the limit", {
      details: { limit: "install.max_bytes", max_bytes: limit },
      nextStep: "raise install.max_bytes in config.toml",
    });
  };
  check(found.reduce((sum, entry) => sum + entry.size, 0));
  return (count) => {
    signal?.throwIfAborted();
    total += count;
    check(total);
  };
}

/** The hash that `hashTree` gives for a folder with exactly these entries; the order of `entries` does not matter. */
export function hashEntries(entries: readonly TreeEntry[]): string {
  const rows = entries.toSorted(byPath).map((entry) => [entry.path, entry.mode, entry.sha256, entry.size]);
  return createHash("sha256")
    .update(JSON.stringify(["opensentience.tree.1", rows]))
    .digest("hex");
}

/** Paths that came, went, or differ in bytes or mode; each list sorted. */
export function diffTrees(before: readonly TreeEntry[], after: readonly TreeEntry[]): TreeDifference {
  const old = new Map(before.map((entry) => [entry.path, entry]));
  const difference: TreeDifference = { added: [], removed: [], changed: [] };
  for (const entry of after) {
    const was = old.get(entry.path);
    old.delete(entry.path);
    if (was === undefined) difference.added.push(entry.path);
    else if (was.sha256 !== entry.sha256 || was.mode !== entry.mode) difference.changed.push(entry.path);
  }
  difference.removed.push(...old.keys());
  for (const list of [difference.added, difference.removed, difference.changed]) list.sort();
  return difference;
}

/** Keeps a list of entries as a private file (0600, atomic, durable). */
export async function saveEntries(path: string, entries: readonly TreeEntry[]): Promise<void> {
  await writePrivateFile(path, JSON.stringify({ version: 1, hash: hashEntries(entries), entries }));
}

/**
 * The list that `saveEntries` wrote, when it is the one that `hash` is of: by itself it proves nothing. Undefined also when
 * it is missing, damaged or of another version.
 */
export async function loadEntries(path: string, hash: string | null): Promise<TreeEntry[] | undefined> {
  let stored: { version?: unknown; hash?: unknown; entries?: unknown } | null;
  try {
    stored = JSON.parse(readPrivateFile(path, MAX_LIST_BYTES)) as typeof stored;
  } catch {
    return undefined;
  }
  if (stored?.version !== 1 || stored.hash !== hash || !Array.isArray(stored.entries)) return undefined;
  const entries = stored.entries as unknown[];
  return entries.every(isTreeEntry) && hashEntries(entries) === hash ? entries : undefined;
}

function isUnchanged(cached: CachedEntry, entry: FoundEntry): boolean {
  return (
    cached.size === entry.size &&
    cached.mtimeNs === entry.mtimeNs &&
    cached.ctimeNs === entry.ctimeNs &&
    cached.ino === entry.ino
  );
}
