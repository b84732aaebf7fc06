/**
 * One walk over the folders below some roots. Deep first, so that what waits is never more than the folders beside the
 * path to the current one, whatever the size of the tree.
 *
 * Folders on this machine's own file systems are asked synchronously, in slices of a few milliseconds between which Core
 * answers others: an asynchronous call costs several times what the kernel takes to answer. Folders on other file systems
 * (mounts.ts) may never answer; they are listed in the background and are not remembered.
 */
import { type Dir, lstatSync, opendirSync, readdirSync } from "node:fs";
import { opendir } from "node:fs/promises";
import { MANIFEST_NAME } from "../manifest/manifest.ts";
import {
  type Folder,
  type FolderMemory,
  forget,
  isAsRemembered,
  type Listing,
  newFolder,
  remember,
} from "./folder-memory.ts";
import type { Mounts } from "./mounts.ts";
import type { ScanProblems } from "./scan-problems.ts";

/**
 * `maxDepth`: levels below a root; `maxEntries`: directory entries seen in all; `maxFound`: folders with a manifest;
 * `maxMs`: milliseconds for the walk.
 */
export type WalkLimits = { maxDepth: number; maxEntries: number; maxFound: number; maxMs: number };

type WalkOptions = {
  prune: string[];
  limits: WalkLimits;
  agentsFolder: string;
  memory: FolderMemory;
  mounts: Mounts;
  problems: ScanProblems;
  signal?: AbortSignal | undefined;
  onProgress?: ((folders: number) => void) | undefined;
};

/** `agents`: Core's agents folder; `agent`: one `<id>` in it; `root`: like `plain`, named by the operator. */
type Place = { path: string; depth: number; kind: "root" | "plain" | "agents" | "agent" };
/** A folder whose subfolders are being entered; `listing` is open while more of them may come. */
type Level = { place: Place; below: readonly Folder[]; next: number; listing: Dir | undefined };

/** So long Core answers nobody else. */
const SLICE_MS = 4;
/** Far listings under way at the same time: enough to keep the four threads of Node's pool busy. */
const FAR_AT_ONCE = 16;
/** Folders on far file systems that wait to be listed; each is some 200 bytes. */
const MAX_WAITING = 100_000;
const PROGRESS_EVERY = 256;
/** A folder whose own file is larger (some thousands of entries) is listed piece by piece, in bounded time and memory. */
const LARGE_BYTES = 128 * 1024;
const PIECE = 1_024;
/**
 * A folder has a link from its parent, one from itself and one from each folder in it. File systems that do not count
 * like that say 1 of every folder; a folder with more than they can count is 1, too.
 */
const WITHOUT_FOLDERS = 2;

/** Use it once. */
export class FolderWalk {
  readonly found: string[] = [];
  folders = 0;

  readonly #options: WalkOptions;
  readonly #pruned: Set<string>;
  readonly #roots = new Set<string>();
  readonly #levels: Level[] = [];
  readonly #far: Place[] = [];
  readonly #done = Promise.withResolvers<void>();
  #farRunning = 0;
  #entries = 0;
  #isOver = false;
  #isTooDeepReported = false;
  #at = "/";

  constructor(options: WalkOptions) {
    this.#options = options;
    this.#pruned = new Set([...options.prune, ".git"]);
  }

  /** Resolves when every folder was read or a cap was reached; rejects with the reason of an aborted signal. */
  async run(roots: readonly string[]): Promise<void> {
    const { signal, limits, memory } = this.#options;
    for (const path of roots) this.#roots.add(path);
    memory.open([...this.#roots]);
    const onAbort = (): void => this.#end(() => this.#done.reject(signal?.reason));
    const timer = setTimeout(() => this.#stopAtCap(`the scan took longer than ${limits.maxMs} ms`), limits.maxMs);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      if (signal?.aborted === true) onAbort();
      this.#enterRoots();
      this.#slice();
      await this.#done.promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      for (const level of this.#levels) level.listing?.closeSync();
      // What this walk did not come to was not counted by the memory: it would hold more than its bound.
      if (this.#levels.length > 0) memory.clear();
    }
  }

  #enterRoots(): void {
    const { agentsFolder, memory, mounts } = this.#options;
    const below: Folder[] = [];
    for (const path of this.#roots) {
      if (mounts.isNear(path)) below.push(memory.root(path));
      else this.#far.push({ path, depth: 0, kind: path === agentsFolder ? "agents" : "root" });
    }
    // The roots' own level: its folders bear whole paths as names.
    this.#levels.push({ place: { path: "", depth: -1, kind: "root" }, below, next: 0, listing: undefined });
  }

  /** Works until the slice is used up, and has itself called again while something near is left. */
  #slice(): void {
    const until = performance.now() + SLICE_MS;
    try {
      while (!this.#isOver && this.#levels.length > 0) {
        this.#step(this.#levels.at(-1)!);
        if (performance.now() < until) continue;
        setImmediate(() => this.#slice());
        break;
      }
      this.#fillFar();
    } catch (thrown) {
      this.#end(() => this.#done.reject(thrown));
    }
  }

  #step(level: Level): void {
    const folder = level.below[level.next++];
    if (folder !== undefined) this.#enter(level.place, folder);
    else if (level.listing !== undefined) this.#readPiece(level, level.listing);
    else this.#levels.pop();
  }

  #enter(parent: Place, folder: Folder): void {
    const place = parent.depth === -1 ? this.#rootPlace(folder.name) : this.#placeBelow(parent, folder.name);
    if (place === undefined) return;
    this.#at = place.path;
    if (this.#options.mounts.isFarMount(place.path)) this.#wait(place);
    else this.#look(place, folder);
  }

  #rootPlace(path: string): Place {
    return { path, depth: 0, kind: path === this.#options.agentsFolder ? "agents" : "root" };
  }

  /** undefined: not to be entered. */
  #placeBelow(parent: Place, name: string): Place | undefined {
    // SECURITY: in Core's own folder only `<id>/src` counts: not staging, older trees or what an agent wrote itself;
    // pinned by "looks only at <id>/src in Core's own agents folder".
    if (parent.kind === "agents" && name.startsWith(".")) return undefined;
    if (parent.kind === "agent" && name !== "src") return undefined;
    if (parent.kind !== "agents" && this.#pruned.has(name)) return undefined;
    const path = parent.path === "/" ? `/${name}` : `${parent.path}/${name}`;
    if (this.#roots.has(path)) return undefined;
    const { agentsFolder, limits } = this.#options;
    const depth = parent.depth + 1;
    if (depth > limits.maxDepth) return this.#onTooDeep(path);
    return { path, depth, kind: path === agentsFolder ? "agents" : parent.kind === "agents" ? "agent" : "plain" };
  }

  #look(place: Place, folder: Folder): void {
    try {
      const lookedAtMs = Date.now();
      const stats = lstatSync(place.path, { throwIfNoEntry: false });
      if (stats === undefined) return this.#onUnreadable(place, "ENOENT");
      if (stats.isSymbolicLink()) return;
      if (!stats.isDirectory()) return this.#onUnreadable(place, "ENOTDIR");
      if (!isAsRemembered(folder, stats)) {
        if (stats.nlink !== WITHOUT_FOLDERS && stats.size > LARGE_BYTES) return this.#openLarge(place, folder);
        const listing = stats.nlink === WITHOUT_FOLDERS ? leaf(place.path) : list(place.path);
        remember(folder, listing, stats, lookedAtMs);
      }
    } catch (error) {
      forget(folder);
      return this.#onUnreadable(place, codeOf(error));
    }
    const { below, hasManifest } = folder;
    this.#onSeen(place, folder.entries);
    this.#options.memory.hold(folder);
    if (this.#isOver || this.#isAgent(place, hasManifest) || below.length === 0) return;
    this.#levels.push({ place, below, next: 0, listing: undefined });
  }

  /** Whether a manifest is there is asked first: the folders that are listed are entered before the listing ends. */
  #openLarge(place: Place, folder: Folder): void {
    forget(folder);
    const { entries, hasManifest } = leaf(place.path);
    this.#onSeen(place, entries);
    if (this.#isOver || this.#isAgent(place, hasManifest)) return;
    this.#levels.push({ place, below: [], next: 0, listing: opendirSync(place.path, { bufferSize: PIECE }) });
  }

  #readPiece(level: Level, listing: Dir): void {
    const below: Folder[] = [];
    let count = 0;
    try {
      while (count < PIECE) {
        const entry = listing.readSync();
        if (entry === null) {
          level.listing = undefined;
          listing.closeSync();
          break;
        }
        count++;
        if (entry.isDirectory()) below.push(newFolder(entry.name));
      }
    } catch (error) {
      level.listing = undefined;
      listing.closeSync();
      this.#onUnreadable(level.place, codeOf(error));
    }
    level.below = below;
    level.next = 0;
    this.#count(count, level.place.path);
  }

  #wait(place: Place): void {
    if (this.#far.length < MAX_WAITING) this.#far.push(place);
    else this.#stopAtCap(`more than ${MAX_WAITING} folders waited for a slow file system`, place.path);
  }

  #fillFar(): void {
    while (!this.#isOver && this.#farRunning < FAR_AT_ONCE && this.#far.length > 0) {
      this.#farRunning++;
      this.#listFar(this.#far.pop()!).then(
        () => {
          this.#farRunning--;
          this.#fillFar();
        },
        (thrown: unknown) => this.#end(() => this.#done.reject(thrown)),
      );
    }
    if (this.#farRunning === 0 && this.#levels.length === 0) this.#end(() => this.#done.resolve());
  }

  async #listFar(place: Place): Promise<void> {
    try {
      const names: string[] = [];
      let hasManifest = false;
      for await (const entry of await opendir(place.path, { bufferSize: PIECE })) {
        if (this.#isOver) return;
        this.#count(1, place.path);
        if (entry.isDirectory()) names.push(entry.name);
        else if (entry.name === MANIFEST_NAME) hasManifest = entry.isFile();
      }
      if (this.#isOver) return;
      this.#onSeen(place, 0);
      if (this.#isAgent(place, hasManifest)) return;
      for (const name of names) {
        const below = this.#placeBelow(place, name);
        if (below !== undefined) this.#wait(below);
      }
    } catch (error) {
      if (!this.#isOver) this.#onUnreadable(place, codeOf(error));
    }
  }

  /** Whether the folder is an agent's, and so not to be descended further. */
  #isAgent(place: Place, hasManifest: boolean): boolean {
    if (!hasManifest || place.kind === "agents" || place.kind === "agent") return false;
    const { maxFound } = this.#options.limits;
    if (this.found.length < maxFound) this.found.push(place.path);
    else this.#stopAtCap(`the scan found more than ${maxFound} agents`, place.path);
    return true;
  }

  #onSeen(place: Place, entries: number): void {
    this.folders++;
    if (this.folders % PROGRESS_EVERY === 0) this.#options.onProgress?.(this.folders);
    this.#count(entries, place.path);
  }

  #count(entries: number, path: string): void {
    this.#entries += entries;
    const { maxEntries } = this.#options.limits;
    if (this.#entries > maxEntries) this.#stopAtCap(`the scan met more than ${maxEntries} directory entries`, path);
  }

  #onTooDeep(path: string): undefined {
    if (this.#isTooDeepReported) return;
    this.#isTooDeepReported = true;
    const { maxDepth } = this.#options.limits;
    this.#options.problems.report(
      path,
      "discovery.limit_reached",
      `folders more than ${maxDepth} levels below their root were not read`,
    );
  }

  #onUnreadable(place: Place, code: string): void {
    const { problems } = this.#options;
    if (place.kind === "root" || place.kind === "agents") problems.onBadRoot(place.path, code);
    else problems.onBadFolder(place.path, code);
  }

  #stopAtCap(message: string, path = this.#at): void {
    this.#end(() => {
      this.#options.problems.report(path, "discovery.limit_reached", message);
      this.#done.resolve();
    });
  }

  #end(settle: () => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    settle();
  }
}

function list(path: string): Listing {
  const names: string[] = [];
  let hasManifest = false;
  const entries = readdirSync(path, { withFileTypes: true });
  for (const entry of entries) {
    if (entry.isDirectory()) names.push(entry.name);
    else if (entry.name === MANIFEST_NAME) hasManifest = entry.isFile();
  }
  return { entries: entries.length, hasManifest, names };
}

/** Asks for the one name that matters where no folder has to be entered. */
function leaf(path: string): Listing {
  const manifest = lstatSync(`${path}/${MANIFEST_NAME}`, { throwIfNoEntry: false });
  return { entries: 1, hasManifest: manifest?.isFile() ?? false, names: [] };
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error) || !("code" in error) || !("syscall" in error)) throw error;
  return String(error.code);
}
