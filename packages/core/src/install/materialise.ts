import { closeSync, constants, mkdirSync, openSync, writeSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { CoreError } from "@opensentience/protocol";
import type { TreeEntry } from "../tree/tree.ts";
import { readBlobs, type BlobSink } from "./blob-reader.ts";
import type { Repository } from "./git-ref.ts";
import { listTree, type ListedEntry } from "./git-tree.ts";
import { staysInside, TreePaths, unsafePath } from "./tree-path.ts";

export type MaterialiseOptions = Repository & {
  /** A whole commit id, from `resolveRef`. */
  commit: string;
  /** Absolute; must be missing or empty. */
  target: string;
  /** `maxBytes` of all files together. */
  limits: { maxBytes: number; maxFiles: number };
  signal?: AbortSignal | undefined;
};

export type Materialised = {
  /** What is on disk now, sorted; `hashEntries` of it equals `hashTree` of the folder. */
  entries: TreeEntry[];
  /** Paths that are symlinks in the commit and small text files on disk. */
  symlinks: string[];
  /** Paths of submodules, which are not fetched. */
  submodules: string[];
};

const MAX_LINK_BYTES = 4_096;
const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;

/**
 * Writes the files of a commit into `target` without a checkout: nothing of the repository runs and no link is made.
 * All paths, kinds, sizes and link texts are checked before the first byte is written. Throws `install.unsafe_tree`,
 * `install.limit_exceeded`, `install.clone_failed` or `install.io_failed`; `target` is gone then.
 */
export async function materialise(options: MaterialiseOptions): Promise<Materialised> {
  const { git, repoFolder, limits, signal } = options;
  const repository = { git, repoFolder };
  const listed = await listTree(repository, options.commit, limits.maxFiles, signal);
  const paths = new TreePaths();
  for (const entry of listed) paths.addFile(entry.path);
  const written = listed.filter((entry) => entry.kind !== "submodule");
  checkSizes(written, limits.maxBytes);
  await checkLinks(
    repository,
    written.filter((entry) => entry.kind === "symlink"),
    signal,
  );
  await makeEmpty(options.target);
  try {
    const entries = await writeFiles(repository, written, options.target, signal);
    return { entries, symlinks: pathsOf(listed, "symlink"), submodules: pathsOf(listed, "submodule") };
  } catch (error) {
    await rm(options.target, { recursive: true, force: true });
    throw isSystemError(error) ? ioFailed(error) : error;
  }
}

function checkSizes(entries: readonly ListedEntry[], maxBytes: number): void {
  let total = 0;
  for (const entry of entries) {
    if (!Number.isSafeInteger(entry.size)) throw unsafePath(entry.path, "git does not know its size");
    total += entry.size;
    if (total > maxBytes) {
      throw new CoreError("install.limit_exceeded", "the commit's files are larger than the size limit", {
        details: { limit: "install.max_bytes", max_bytes: maxBytes },
        nextStep: "raise install.max_bytes in config.toml",
      });
    }
  }
}

/** SECURITY: a link out of the tree shows what its author is after, even as text; pinned by "refuses a symlink that leaves the tree". */
async function checkLinks(
  repository: Repository,
  links: readonly ListedEntry[],
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const link of links)
    if (link.size > MAX_LINK_BYTES) throw unsafePath(link.path, "it is a symlink with a text that is too long");
  let current: ListedEntry | undefined;
  let text = "";
  const sink: BlobSink = {
    begin: (entry) => {
      current = entry;
      text = "";
    },
    write: (chunk) => {
      text += chunk.toString("latin1");
    },
    end: () => {
      if (current !== undefined && !staysInside(current.path, text))
        throw unsafePath(current.path, "it is a symlink that leaves the tree");
    },
  };
  await readBlobs(repository, links, sink, signal);
}

async function makeEmpty(target: string): Promise<void> {
  try {
    await mkdir(target, { mode: 0o700 });
  } catch (error) {
    const isEmpty =
      (error as NodeJS.ErrnoException).code === "EEXIST" && (await readdir(target).catch(() => ["?"])).length === 0;
    if (!isEmpty) throw ioFailed(error);
  }
}

/**
 * SECURITY: every folder is made here and every file opened with O_EXCL | O_NOFOLLOW in a folder that nobody else
 * writes to, so no entry can be written through another; pinned by "refuses a path that is a file and a folder".
 */
async function writeFiles(
  repository: Repository,
  listed: readonly ListedEntry[],
  target: string,
  signal: AbortSignal | undefined,
): Promise<TreeEntry[]> {
  const entries: TreeEntry[] = [];
  const folders = new Set(["."]);
  let current: ListedEntry | undefined;
  let file = -1;
  const close = (): void => {
    if (file >= 0) closeSync(file);
    file = -1;
  };
  const sink: BlobSink = {
    begin: (entry) => {
      current = entry;
      makeFolder(target, dirname(entry.path), folders);
      const mode = entry.kind === "executable" ? 0o700 : 0o600;
      file = openSync(join(target, entry.path), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    },
    write: (chunk) => {
      for (let offset = 0; offset < chunk.length;) offset += writeSync(file, chunk, offset);
    },
    end: (sha256) => {
      close();
      if (current === undefined) return;
      entries.push({
        path: current.path,
        mode: current.kind === "executable" ? "executable" : "file",
        sha256,
        size: current.size,
      });
    },
  };
  try {
    await readBlobs(repository, listed, sink, signal);
  } finally {
    close();
  }
  return entries.sort((left, right) => (left.path < right.path ? -1 : left.path > right.path ? 1 : 0));
}

function makeFolder(target: string, folder: string, made: Set<string>): void {
  if (made.has(folder)) return;
  makeFolder(target, dirname(folder), made);
  mkdirSync(join(target, folder), { mode: 0o700 });
  made.add(folder);
}

function pathsOf(listed: readonly ListedEntry[], kind: ListedEntry["kind"]): string[] {
  return listed
    .filter((entry) => entry.kind === kind)
    .map((entry) => entry.path)
    .sort();
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && "errno" in error;
}

function ioFailed(cause: unknown): CoreError {
  const code = (cause as NodeJS.ErrnoException).code ?? "unknown error";
  return new CoreError("install.io_failed", `the files could not be written (${code})`, { details: { code }, cause });
}
