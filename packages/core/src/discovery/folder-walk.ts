import { type Dirent, readdir } from "node:fs";
import { MANIFEST_NAME } from "../manifest/manifest.ts";

export type ScanProblem = {
  path: string;
  code: "discovery.root_missing" | "discovery.unreadable" | "discovery.limit_reached";
  message: string;
};

/** `maxDepth`: levels below a root; `maxEntries`: directory entries seen in all; `maxMs`: milliseconds for the walk. */
export type WalkLimits = { maxDepth: number; maxEntries: number; maxMs: number };

type WalkOptions = {
  prune: string[];
  limits: WalkLimits;
  agentsFolder: string;
  signal?: AbortSignal | undefined;
  onProgress?: ((folders: number) => void) | undefined;
};

/** `agents`: Core's agents folder; `agent`: one `<id>` in it; `root`: like `plain`, named by the operator. */
type Place = { path: string; depth: number; kind: "root" | "plain" | "agents" | "agent" };

/** Listings under way at the same time: enough to keep the four threads of Node's pool busy. */
const CONCURRENCY = 16;
const PROGRESS_EVERY = 256;
/** A tree of unreadable folders must not fill memory with complaints. */
const MAX_PROBLEMS = 1_000;

/** One walk over the folders below some roots; use it once. */
export class FolderWalk {
  readonly found: string[] = [];
  readonly problems: ScanProblem[] = [];
  folders = 0;

  readonly #options: WalkOptions;
  readonly #pruned: Set<string>;
  readonly #roots = new Set<string>();
  readonly #waiting: Place[] = [];
  readonly #done = Promise.withResolvers<void>();
  #next = 0;
  #running = 0;
  #entries = 0;
  #isOver = false;
  #isTooDeepReported = false;

  constructor(options: WalkOptions) {
    this.#options = options;
    this.#pruned = new Set([...options.prune, ".git"]);
  }

  /** Resolves when every folder was read or a cap was reached; rejects with the reason of an aborted signal. */
  async run(roots: readonly string[]): Promise<void> {
    const { signal, limits, agentsFolder } = this.#options;
    for (const path of roots) this.#roots.add(path);
    for (const path of this.#roots)
      this.#waiting.push({ path, depth: 0, kind: path === agentsFolder ? "agents" : "root" });
    const onAbort = (): void => this.#end(() => this.#done.reject(signal?.reason));
    const timer = setTimeout(() => this.#stopAtCap(`the scan took longer than ${limits.maxMs} ms`), limits.maxMs);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      if (signal?.aborted === true) onAbort();
      this.#fill();
      await this.#done.promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  report(path: string, code: ScanProblem["code"], message: string): void {
    if (this.problems.length < MAX_PROBLEMS) this.problems.push({ path, code, message });
  }

  #fill(): void {
    while (!this.#isOver && this.#running < CONCURRENCY && this.#next < this.#waiting.length) {
      const place = this.#waiting[this.#next++]!;
      this.#running++;
      readdir(place.path, { withFileTypes: true }, (error, entries) => this.#onListed(place, error, entries));
    }
    if (this.#running === 0) this.#end(() => this.#done.resolve());
  }

  #onListed(place: Place, error: NodeJS.ErrnoException | null, entries: Dirent[]): void {
    this.#running--;
    if (this.#isOver) return;
    try {
      if (error !== null) this.#onUnreadable(place, error);
      else this.#onEntries(place, entries);
      this.#fill();
    } catch (thrown) {
      this.#end(() => this.#done.reject(thrown));
    }
  }

  #onEntries(place: Place, entries: Dirent[]): void {
    this.folders++;
    if (this.folders % PROGRESS_EVERY === 0) this.#options.onProgress?.(this.folders);
    this.#entries += entries.length;
    const { maxEntries } = this.#options.limits;
    if (this.#entries > maxEntries)
      return this.#stopAtCap(`the scan met more than ${maxEntries} directory entries`, place.path);
    const isSearched = place.kind === "root" || place.kind === "plain";
    if (isSearched && entries.some((entry) => entry.name === MANIFEST_NAME && entry.isFile())) {
      this.found.push(place.path);
      return;
    }
    for (const entry of entries) if (entry.isDirectory()) this.#enter(place, entry.name);
  }

  #enter(parent: Place, name: string): void {
    const path = parent.path === "/" ? `/${name}` : `${parent.path}/${name}`;
    const { agentsFolder, limits } = this.#options;
    // SECURITY: in Core's own folder only `<id>/src` counts: not staging, older trees or what an agent wrote itself;
    // pinned by "looks only at <id>/src in Core's own agents folder".
    if (parent.kind === "agents" && name.startsWith(".")) return;
    if (parent.kind === "agent" && name !== "src") return;
    if (parent.kind !== "agents" && this.#pruned.has(name)) return;
    if (this.#roots.has(path)) return;
    const depth = parent.depth + 1;
    if (depth > limits.maxDepth) return this.#onTooDeep(path);
    const kind = path === agentsFolder ? "agents" : parent.kind === "agents" ? "agent" : "plain";
    this.#waiting.push({ path, depth, kind });
  }

  #onTooDeep(path: string): void {
    if (this.#isTooDeepReported) return;
    this.#isTooDeepReported = true;
    const { maxDepth } = this.#options.limits;
    this.report(path, "discovery.limit_reached", `folders more than ${maxDepth} levels below their root were not read`);
  }

  #onUnreadable(place: Place, error: NodeJS.ErrnoException): void {
    const code = error.code ?? "unknown error";
    if (place.kind === "root" || place.kind === "agents") {
      const isMissing = code === "ENOENT" || code === "ENOTDIR";
      this.report(
        place.path,
        isMissing ? "discovery.root_missing" : "discovery.unreadable",
        `the scan root cannot be read (${code})`,
      );
    } else if (code === "ENOENT" && place.path.includes("\uFFFD")) {
      this.report(place.path, "discovery.unreadable", "the folder's name is not valid UTF-8");
    } else if (code !== "ENOENT") {
      this.report(place.path, "discovery.unreadable", `the folder cannot be read (${code})`);
    }
  }

  #stopAtCap(message: string, path?: string): void {
    const reached = path ?? this.#waiting[Math.max(0, this.#next - 1)]?.path ?? "/";
    this.#end(() => {
      this.report(reached, "discovery.limit_reached", message);
      this.#done.resolve();
    });
  }

  #end(settle: () => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    settle();
  }
}
