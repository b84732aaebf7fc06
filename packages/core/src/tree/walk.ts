import { type BigIntStats, type Dirent, lstat, readdir } from "node:fs";
import { promisify } from "node:util";
import { CoreError, safeText } from "@opensentience/protocol";
import type { TreeMode } from "./tree-entry.ts";

/** One file or symlink with the facts that tell whether it changed; times and inode are decimal text (64 bits). */
export type FoundEntry = { path: string; mode: TreeMode; size: number; mtimeNs: string; ctimeNs: string; ino: string };

/** Folders whose listing and stats are under way at the same time. */
const CONCURRENCY = 16;
const SET_ID_BITS = 0o6000n;
const OWNER_EXECUTE = 0o100n;

const readFolder = promisify(readdir) as (path: string, options: { withFileTypes: true }) => Promise<Dirent[]>;

export type WalkBounds = {
  signal?: AbortSignal | undefined;
  maxFiles?: number;
  /** Told of what is refused, which is then left out. */
  onOdd?: (path: string) => void;
};

/**
 * Every regular file and symlink below `root`, in no order. Throws `install.unsafe_tree` for anything else but folders,
 * `install.limit_exceeded` for more entries (folders count) than `maxFiles`, and the reason of `signal`.
 */
export async function walkTree(root: string, bounds: WalkBounds = {}): Promise<FoundEntry[]> {
  const found: FoundEntry[] = [];
  const maxEntries = bounds.maxFiles ?? Number.POSITIVE_INFINITY;
  let visited = 0;
  let leftOut = 0;
  const onOdd =
    bounds.onOdd === undefined
      ? undefined
      : (path: string): void => {
          leftOut += 1;
          bounds.onOdd?.(path);
        };
  const folders: string[] = [""];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let running = 0;
  let isFailed = false;
  const fill = (): void => {
    while (!isFailed && running < CONCURRENCY && folders.length > 0) {
      if (bounds.signal?.aborted === true) return fail(bounds.signal.reason);
      if (found.length > maxEntries || ++visited > maxEntries) return fail(tooMany());
      running++;
      visitFolder(root, folders.pop()!, found, folders, onOdd).then(finish, fail);
    }
    if (running === 0) resolve();
  };
  const finish = (): void => {
    running--;
    if (found.length + leftOut > maxEntries) return fail(tooMany());
    fill();
  };
  const fail = (error: unknown): void => {
    isFailed = true;
    reject(error);
  };
  fill();
  await promise;
  return found;
}

async function visitFolder(
  root: string,
  folder: string,
  found: FoundEntry[],
  folders: string[],
  onOdd: WalkBounds["onOdd"],
): Promise<void> {
  const paths: string[] = [];
  const odd = (path: string, error: unknown): void => {
    if (onOdd === undefined) throw error;
    onOdd(path);
  };
  const listing = readFolder(folder === "" ? root : `${root}/${folder}`, { withFileTypes: true });
  for (const entry of await listing.catch((error: unknown) => unlisted(folder, error, odd))) {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    // A name that is not UTF-8 arrives with the replacement character and would name another file.
    if (entry.name.includes("\uFFFD")) odd(path, unsafeEntry(path, "its name is not valid UTF-8"));
    else if (entry.isDirectory()) folders.push(path);
    else paths.push(path);
  }
  if (paths.length === 0) return;
  const stats = await statAll(root, paths);
  for (const [index, stat] of stats.entries()) {
    const path = paths[index]!;
    const why = oddity(stat);
    if (why === undefined) found.push(toEntry(path, stat));
    else odd(path, unsafeEntry(path, why));
  }
}

/** A root that cannot be listed is no entry of the tree. */
function unlisted(folder: string, error: unknown, odd: (path: string, error: unknown) => void): Dirent[] {
  if (folder === "") throw error;
  odd(folder, error);
  return [];
}

/** Why it is no entry of a tree; undefined where it is one. */
function oddity(stat: BigIntStats): string | undefined {
  if (!stat.isFile()) return stat.isSymbolicLink() ? undefined : "it is a device, pipe or socket";
  return (stat.mode & SET_ID_BITS) === 0n ? undefined : "it carries a setuid or setgid bit";
}

function toEntry(path: string, stat: BigIntStats): FoundEntry {
  const isFile = stat.isFile();
  return {
    path,
    mode: isFile ? ((stat.mode & OWNER_EXECUTE) === 0n ? "file" : "executable") : "symlink",
    size: Number(stat.size),
    mtimeNs: String(stat.mtimeNs),
    ctimeNs: String(stat.ctimeNs),
    ino: String(stat.ino),
  };
}

/** One promise for a whole folder: a promise per file costs more than the system call. */
function statAll(root: string, paths: string[]): Promise<BigIntStats[]> {
  const { promise, resolve, reject } = Promise.withResolvers<BigIntStats[]>();
  const stats = new Array<BigIntStats>(paths.length);
  let started = 0;
  let finished = 0;
  const startNext = (): void => {
    const index = started++;
    if (index >= paths.length) return;
    lstat(`${root}/${paths[index]!}`, { bigint: true }, (error, stat) => {
      if (error !== null) return reject(error);
      stats[index] = stat;
      if (++finished === paths.length) resolve(stats);
      else startNext();
    });
  };
  for (let lane = 0; lane < CONCURRENCY; lane++) startNext();
  return promise;
}

function tooMany(): CoreError {
  return new CoreError("install.limit_exceeded", "the tree holds more files than the limit", {
    details: { limit: "install.max_files" },
    nextStep: "raise install.max_files in config.toml",
  });
}

function unsafeEntry(path: string, reason: string): CoreError {
  return new CoreError("install.unsafe_tree", `an entry of the tree is refused: ${reason}`, {
    details: { path: safeText(path.slice(0, 300)), reason },
  });
}
