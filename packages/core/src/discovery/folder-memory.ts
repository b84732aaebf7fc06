/**
 * What earlier scans saw of the folders below the scan roots, so that a rescan lists only folders that changed. Lives in
 * Core's memory and is gone with it: nothing on disk could be made to hide an agent, and a first scan is quick enough.
 *
 * Only names of folders are remembered, and whether a manifest lies beside them; never a manifest's content: a file can
 * change without its folder noticing, so manifests are read anew by every scan.
 */
import type { Stats } from "node:fs";

/** One folder. `ctimeMs` is NaN while its listing is not to be believed. */
export type Folder = {
  readonly name: string;
  dev: number;
  ino: number;
  mtimeMs: number;
  ctimeMs: number;
  /** Directory entries of any kind. */
  entries: number;
  /** A regular file with the manifest's name is among them. */
  hasManifest: boolean;
  /** Folders directly in it, whether or not a scan may enter them. */
  below: readonly Folder[];
};

/** What a listing told. */
export type Listing = Pick<Folder, "entries" | "hasManifest"> & { names: string[] };

/** About 25 MB of memory. Folders beyond this are listed each time. */
const MAX_FOLDERS = 100_000;
/**
 * A listing is believed later only if the folder had been left alone for so long before it was made. A change after the
 * listing then carries another time for certain: file systems stamp by ticks of some milliseconds, ext3 by seconds.
 */
const SETTLED_MS = 2_000;
/** How far the clock may step back between scans before a time of now could repeat one of before. */
const CLOCK_SLACK_MS = 1_000;
const NOTHING: readonly Folder[] = [];

export class FolderMemory {
  readonly #roots = new Map<string, Folder>();
  #clockAheadMs = -Infinity;
  readonly #maxFolders: number;
  #held = 0;

  constructor(maxFolders = MAX_FOLDERS) {
    this.#maxFolders = maxFolders;
  }

  /** Opens a scan of `roots`: what is known of other folders is forgotten. */
  open(roots: readonly string[], nowMs = Date.now(), monotonicMs = performance.now()): void {
    const isSetBack = nowMs - monotonicMs < this.#clockAheadMs - CLOCK_SLACK_MS;
    this.#clockAheadMs = nowMs - monotonicMs;
    for (const path of this.#roots.keys()) if (isSetBack || !roots.includes(path)) this.#roots.delete(path);
    for (const path of roots) if (!this.#roots.has(path)) this.#roots.set(path, newFolder(path));
    this.#held = 0;
  }

  /** One of the roots the scan was opened with. */
  root(path: string): Folder {
    return this.#roots.get(path) ?? newFolder(path);
  }

  /**
   * To be called for each folder the scan sees. When the memory is full the folder is forgotten; what was below it stays
   * usable for whoever holds that.
   */
  hold(folder: Folder): void {
    if (this.#held + folder.below.length > this.#maxFolders) forget(folder);
    this.#held += folder.below.length;
  }

  clear(): void {
    this.#roots.clear();
  }
}

export function newFolder(name: string): Folder {
  return {
    name,
    dev: 0,
    ino: 0,
    mtimeMs: Number.NaN,
    ctimeMs: Number.NaN,
    entries: 0,
    hasManifest: false,
    below: NOTHING,
  };
}

/**
 * Whether the folder still has the entries that are remembered.
 * SECURITY: whoever adds a manifest can set the folder's mtime back, but no program can set its ctime; pinned by "a
 * manifest is found even if the folder's mtime was set back".
 */
export function isAsRemembered(folder: Folder, now: Stats): boolean {
  return (
    folder.ctimeMs === now.ctimeMs && folder.mtimeMs === now.mtimeMs && folder.ino === now.ino && folder.dev === now.dev
  );
}

/** `before` and `atMs` are the folder's times and the clock before the listing was made. */
export function remember(folder: Folder, listing: Listing, before: Stats, atMs: number): void {
  const isSettled = Math.max(before.mtimeMs, before.ctimeMs) < atMs - SETTLED_MS;
  folder.dev = before.dev;
  folder.ino = before.ino;
  folder.mtimeMs = before.mtimeMs;
  folder.ctimeMs = isSettled ? before.ctimeMs : Number.NaN;
  folder.entries = listing.entries;
  folder.hasManifest = listing.hasManifest;
  folder.below = foldersOf(folder.below, listing.names);
}

export function forget(folder: Folder): void {
  folder.ctimeMs = Number.NaN;
  folder.below = NOTHING;
}

/** What is known of a folder that is still there stays known: its own times speak for it. */
function foldersOf(known: readonly Folder[], names: string[]): readonly Folder[] {
  if (names.length === 0) return NOTHING;
  if (known.length === 0) return names.map(newFolder);
  const byName = new Map(known.map((folder) => [folder.name, folder]));
  return names.map((name) => byName.get(name) ?? newFolder(name));
}
