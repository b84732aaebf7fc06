/**
 * Watches the folders of manifests that were found, good or bad (not their trees), and says which one changed, once things are quiet. A
 * convenience: the interval rescan finds what a watch missed, and the run gate reads the disk anyway.
 */
import { watch, type FSWatcher } from "node:fs";
import { basename } from "node:path";
import { MANIFEST_NAME } from "../manifest/manifest.ts";

/** The kernel's default limit of watches is 8192 per user; Core takes its share of it. */
const MAX_WATCHES = 2_000;
const QUIET_MS = 200;

export class ManifestWatch {
  readonly #onChange: (folder: string) => void;
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #timers = new Map<string, NodeJS.Timeout>();

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
    clearTimeout(this.#timers.get(folder));
    this.#timers.set(
      folder,
      setTimeout(() => {
        // A replaced folder has a new inode, which the old watch does not see. One whose manifest is gone or spoiled for
        // now stays watched: it may be halfway through being saved.
        this.#drop(folder);
        this.watch([folder]);
        this.#onChange(folder);
      }, QUIET_MS).unref(),
    );
  }

  #drop(folder: string): void {
    clearTimeout(this.#timers.get(folder));
    this.#timers.delete(folder);
    this.#watchers.get(folder)?.close();
    this.#watchers.delete(folder);
  }
}
