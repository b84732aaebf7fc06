import { lstat, mkdir, readdir, realpath, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CoreError } from "@opensentience/protocol";
import type { ToolResult } from "../host/child-process.ts";
import { killPoint } from "../host/kill-point.ts";
import { gitMessage, runGit, safeLines, timeLimitExceeded, type GitCall, type GitProgram } from "./git-command.ts";
import { parseRef, remoteOf, type GitUrl } from "./git-url.ts";
import { prepareFiles, writeHead } from "./repository-files.ts";

export type FetchOptions = {
  git: GitProgram;
  url: GitUrl;
  /** Absolute; created when missing. Core's own bare repository, never inside what an agent can write. */
  repoFolder: string;
  /** For everything together. */
  timeoutMs: number;
  /** Size of `repoFolder` on disk, history included. */
  maxBytes: number;
  signal?: AbortSignal | undefined;
  /** One printable line of git's progress. */
  onProgress?: ((line: string) => void) | undefined;
  /** Path of the operator's ssh agent, only used for ssh URLs. */
  sshAuthSocket?: string | undefined;
};

/** Where a remote's detached HEAD is kept. */
export const DETACHED_HEAD = "refs/opensentience/head";

const SIZE_CHECK_MS = 100;
const KEPT_OUTPUT = 64 * 1024;
const BRANCHES_AND_TAGS = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
const FETCH = [
  "fetch",
  "--progress",
  "--prune",
  "--no-tags",
  "--no-recurse-submodules",
  "--no-auto-maintenance",
  "--no-write-fetch-head",
  "--no-write-commit-graph",
  "--no-show-forced-updates",
  "--upload-pack=git-upload-pack",
  "--",
];
/** Complaints of git's fsck about what a tree holds, as opposed to damage on the way. */
const UNSAFE_OBJECT =
  /(?:object|tree|blob) [0-9a-f]+: (hasDot|hasDotdot|hasDotgit|fullPathname|emptyName|duplicateEntries|gitmodules\w+|gitattributes\w+|symlinkTargetLength|largePathname)\b/;

/**
 * Brings all branches and tags of `url` into `repoFolder` and makes HEAD the remote's default branch. Throws
 * `install.clone_failed`, `install.limit_exceeded` or `install.unsafe_tree`; a folder made here is removed again then.
 */
export async function fetchRepository(options: FetchOptions): Promise<void> {
  options.signal?.throwIfAborted();
  const isNew = (await mkdir(options.repoFolder, { recursive: true, mode: 0o700 })) !== undefined;
  const deadline = performance.now() + options.timeoutMs;
  const giveUp = new AbortController();
  const signal = options.signal === undefined ? giveUp.signal : AbortSignal.any([options.signal, giveUp.signal]);
  const stopWatching = watchSize(options, giveUp);
  const call = (transport: GitCall["transport"]): GitCall => ({
    git: options.git,
    repoFolder: options.repoFolder,
    transport,
    timeoutMs: remaining(deadline),
    maxBytes: KEPT_OUTPUT,
    signal,
    sshAuthSocket: options.sshAuthSocket,
  });
  try {
    await removeLeftovers(options.repoFolder);
    await prepareFiles(options.repoFolder);
    killPoint("install.repository_prepared");
    const { operand, folder } = await checkSource(options.url);
    if (folder !== undefined && options.git.sandbox !== undefined) await refuseElsewhere(folder);
    const reached = (): GitCall => ({ ...call(options.url.kind), source: folder, remote: remoteOf(options.url) });
    const head = await remoteHead(operand, reached());
    const onStderr = progressReader(options.onProgress);
    const refspecs = head === DETACHED_HEAD ? [...BRANCHES_AND_TAGS, `+HEAD:${DETACHED_HEAD}`] : BRANCHES_AND_TAGS;
    checkFetched(await runGit([...FETCH, operand, ...refspecs], { ...reached(), writes: true, onStderr }));
    await writeHead(options.repoFolder, head);
    await checkSize(options);
  } catch (error) {
    await (isNew ? rm(options.repoFolder, { recursive: true, force: true }) : removeLeftovers(options.repoFolder));
    throw error;
  } finally {
    stopWatching();
  }
}

/**
 * The operand for git, and the real path of a local source. SECURITY: a local source of another user could hold a config made against us; git's own check
 * depends on its version, so the owner is compared here; pinned by "refuses a local source that belongs to another user".
 */
async function checkSource(url: GitUrl): Promise<{ operand: string; folder?: string }> {
  if (url.kind !== "local") return { operand: url.text };
  let folder: string;
  try {
    folder = await realpath(fileURLToPath(url.text));
    const owners = [(await stat(folder)).uid];
    owners.push((await stat(join(folder, ".git")).catch(() => ({ uid: owners[0]! }))).uid);
    if (owners.every((uid) => uid === process.geteuid?.()))
      return { operand: `file://${folder.split("/").map(encodeURIComponent).join("/")}`, folder };
  } catch (cause) {
    throw new CoreError("install.clone_failed", "the local repository does not exist or cannot be read", {
      nextStep: "opensentience help agents install",
      cause,
    });
  }
  throw new CoreError(
    "install.clone_failed",
    "the local repository belongs to another user; make a copy that you own and install from there",
    {
      nextStep: "opensentience help agents install",
    },
  );
}

/**
 * SECURITY: whoever made the source could name any folder of the operator's as a part of it, so no such pointer is
 * followed into a sandbox; pinned by "a local source that borrows from another repository is refused".
 */
async function refuseElsewhere(folder: string): Promise<void> {
  const isThere = (path: string): Promise<boolean> =>
    lstat(join(folder, path)).then(
      (found) => found.isFile() || found.isSymbolicLink(),
      () => false,
    );
  const pointers = [".git", "objects/info/alternates", ".git/objects/info/alternates", "commondir", ".git/commondir"];
  for (const path of [...pointers, "objects", ".git/objects"]) {
    if (!(await isThere(path))) continue;
    throw new CoreError(
      "install.clone_failed",
      "the local repository keeps a part of itself elsewhere (a linked worktree, or objects it borrows); clone it whole and install from the clone",
      { details: { pointer: path }, nextStep: "opensentience help agents install" },
    );
  }
}

/** The full name of the ref that the remote's HEAD stands for. */
async function remoteHead(source: string, call: GitCall): Promise<string> {
  const command = ["ls-remote", "--quiet", "--symref", "--upload-pack=git-upload-pack", "--", source, "HEAD"];
  const result = await runGit(command, call);
  checkFetched(result);
  const text = result.stdout.toString("utf8");
  const branch = /^ref: (refs\/heads\/[^\t\n]+)\tHEAD$/m.exec(text)?.[1];
  if (branch !== undefined) return parseRef(branch);
  return /^[0-9a-f]+\tHEAD$/m.test(text) ? DETACHED_HEAD : "refs/heads/main";
}

function checkFetched(result: ToolResult): void {
  if (result.exitCode === 0) return;
  const message = gitMessage(result.stderr);
  const unsafe = UNSAFE_OBJECT.exec(result.stderr.toString("latin1"))?.[1];
  if (unsafe !== undefined) {
    throw new CoreError("install.unsafe_tree", `git refused an object of the repository (${unsafe})`, {
      details: { reason: unsafe },
      nextStep: "opensentience help agents install",
    });
  }
  throw new CoreError("install.clone_failed", `git could not fetch the repository: ${message}`, {
    details: { exit_code: result.exitCode, signal: result.signal },
    nextStep: "check the address and the network, then try again",
  });
}

function progressReader(onProgress: ((line: string) => void) | undefined): (chunk: Buffer) => void {
  let rest = "";
  return (chunk) => {
    const text = rest + chunk.toString("utf8");
    const end = Math.max(text.lastIndexOf("\n"), text.lastIndexOf("\r")) + 1;
    rest = text.slice(end).slice(-1_000);
    for (const line of safeLines(text.slice(0, end))) onProgress?.(line);
  };
}

/** Looks at the folder's size again and again while git writes; over the limit, `giveUp` ends git. */
function watchSize(options: FetchOptions, giveUp: AbortController): () => void {
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  const look = async (): Promise<void> => {
    await checkSize(options).catch((error: unknown) => giveUp.abort(error));
    if (!isStopped && !giveUp.signal.aborted) timer = setTimeout(() => void look(), SIZE_CHECK_MS);
  };
  timer = setTimeout(() => void look(), SIZE_CHECK_MS);
  return () => {
    isStopped = true;
    clearTimeout(timer);
  };
}

async function checkSize(options: FetchOptions): Promise<void> {
  if ((await folderBytes(options.repoFolder)) <= options.maxBytes) return;
  throw new CoreError("install.limit_exceeded", "the repository is larger than the size limit", {
    details: { limit: "install.max_bytes", max_bytes: options.maxBytes },
    nextStep: "raise install.max_bytes in config.toml",
  });
}

/** Bytes on disk; what vanishes while counting counts nothing. */
async function folderBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  let total = 0;
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) total += await folderBytes(path);
    else
      total += await lstat(path).then(
        (found) => found.blocks * 512,
        () => 0,
      );
  }
  return total;
}

/** A git that was killed leaves lock files and half packs, which would block or fatten the next fetch. */
async function removeLeftovers(folder: string, isObjects = false): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await removeLeftovers(path, isObjects || path === join(folder, "objects"));
    // No ref can end in .lock; one may well begin with tmp_, so that counts below objects only.
    else if (entry.name.endsWith(".lock") || (isObjects && /^\.?tmp[_-]/.test(entry.name)))
      await rm(path, { force: true });
  }
}

function remaining(deadline: number): number {
  const left = Math.ceil(deadline - performance.now());
  if (left <= 0) throw timeLimitExceeded("fetch");
  return left;
}
