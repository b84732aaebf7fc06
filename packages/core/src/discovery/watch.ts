/**
 * Watches the folders of manifests that were found, good or bad (not their trees), and says which one changed, once things are quiet, and about
 * each at most once a second, so that a manifest that never rests does not keep Core busy. A
 * convenience: the interval rescan finds what a watch missed, and the run gate reads the disk anyway.
 */
import { watch, type FSWatcher } from "node:fs";
import { basename } from "node:path";
import { MANIFEST_NAME } from "../manifest/manifest.ts";

/** The kernel's default limit of watches is 8192 per user; Core takes its share of it. */
const MAX_WATCHES = 2_000;
const QUIET_MS = 200;
const SPACING_MS = 1_000;

export class ManifestWatch {
  readonly #onChange: (folder: string) => void;
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #pending = new Map<string, { timer: NodeJS.Timeout; sinceMs: number }>();
  /** When a folder was last told; entries count for a second. */
  readonly #toldMs = new Map<string, number>();

  constructor(onChange: (folder: string) => void) {
    this.#onChange = onChange;
  }

  /** Adds folders; those already watched stay. */
  watch(folders: string[]): void {
    for (const folder of folders) {
      if (this.#watchers.has(folder) || this.#watchers.size >= MAX_WATCHES) continue;
      try {
        const watcher = watch(folder, { persistent: false }, (_event, name) => {
          // A folder that is itself moved or removed is told under its own name.
          if (name === null || name === MANIFEST_NAME || name === basename(folder)) this.#soon(folder);
        });
        watcher.on("error", () => this.#drop(folder));
        this.#watchers.set(folder, watcher);
      } catch {
        // No watch to be had (limit, folder gone): the interval rescan covers it.
      }
    }
  }

  close(): void {
    for (const folder of this.#watchers.keys()) this.#drop(folder);
  }

  #soon(folder: string): void {
    const nowMs = performance.now();
    const { timer, sinceMs } = this.#pending.get(folder) ?? { timer: undefined, sinceMs: nowMs };
    clearTimeout(timer);
    const earliestMs = (this.#toldMs.get(folder) ?? Number.NEGATIVE_INFINITY) + SPACING_MS;
    // Whoever writes without a pause is told of, too.
    const dueMs = Math.max(earliestMs, Math.min(nowMs + QUIET_MS, sinceMs + SPACING_MS));
    this.#pending.set(folder, { timer: setTimeout(() => this.#tell(folder), dueMs - nowMs).unref(), sinceMs });
  }

  #tell(folder: string): void {
    // A replaced folder has a new inode, which the old watch does not see. One whose manifest is gone or spoiled for
    // now stays watched: it may be halfway through being saved.
    this.#drop(folder);
    this.watch([folder]);
    const nowMs = performance.now();
    for (const [told, atMs] of this.#toldMs) if (atMs < nowMs - SPACING_MS) this.#toldMs.delete(told);
    this.#toldMs.set(folder, nowMs);
    this.#onChange(folder);
  }

  #drop(folder: string): void {
    clearTimeout(this.#pending.get(folder)?.timer);
    this.#pending.delete(folder);
    this.#watchers.get(folder)?.close();
    this.#watchers.delete(folder);
  }
}
