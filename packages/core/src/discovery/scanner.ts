/**
 * Finds folders that carry an agent manifest. Reads names and kinds of directory entries and nothing else: it opens
 * no file, spawns nothing and follows no symlink. One exception is documented: a root that is itself a symlink is
 * resolved once, because the operator named it.
 *
 * Rules: a folder with a regular file `opensentience.agent.json` is found and not descended further; names in `prune`
 * and `.git` are never entered, other hidden folders are; below Core's own agents folder only `<id>/src` is looked at,
 * so that an agent cannot plant a manifest in its data. A root inside another root is walked once, as its own root.
 *
 * A folder that is as the last scan saw it is not listed again (folder-memory.ts); each is still looked at, so that no
 * change is missed and every problem is told every time.
 *
 * Promises: ends within `maxMs` (and some seconds for resolving roots and finds) even when a file system never answers; a folder that cannot be read is one problem in
 * the report and never ends the scan; the result is sorted, so two scans of the same disk are equal. Reaching a cap is
 * a problem in the report, and what was found until then stays found.
 * Caller: discovery, which reads the manifests and decides what they mean.
 */
import { realpath } from "node:fs/promises";
import { isAbsolute, sep } from "node:path";
import { answerInTime } from "./answer-in-time.ts";
import { FolderMemory } from "./folder-memory.ts";
import { FolderWalk, type WalkLimits } from "./folder-walk.ts";
import { Mounts } from "./mounts.ts";
import { type ScanProblem, ScanProblems } from "./scan-problems.ts";

/** So long a root, or all finds together, may take to be resolved, whatever the walk's own time. */
const ANSWER_MS = 10_000;

export type { ScanProblem } from "./scan-problems.ts";

export type ScanOptions = {
  /** Absolute paths. */
  roots: string[];
  /** Folder names that are never entered, at any depth below a root. */
  prune: string[];
  limits: WalkLimits;
  /** `<home>/agents`, absolute; need not exist. */
  agentsFolder: string;
  /** What the last scan of the same roots saw; without it every folder is listed. */
  memory?: FolderMemory | undefined;
  signal?: AbortSignal | undefined;
  /** Called now and then with the number of folders read so far. */
  onProgress?: ((folders: number) => void) | undefined;
};

export type ScanResult = {
  /** Absolute paths of folders with a manifest, sorted. */
  found: string[];
  problems: ScanProblem[];
  folders: number;
  durationMs: number;
};

/** Walks all roots. Throws only the reason of `signal` when it is aborted. */
export async function scanRoots(options: ScanOptions): Promise<ScanResult> {
  const startedAt = performance.now();
  options.signal?.throwIfAborted();
  const agentsFolder = await answerInTime(
    realpath(options.agentsFolder).catch(() => options.agentsFolder),
    ANSWER_MS,
    options.agentsFolder,
  );
  const problems = new ScanProblems();
  const memory = options.memory ?? new FolderMemory();
  const walk = new FolderWalk({ ...options, agentsFolder, memory, problems, mounts: await Mounts.read() });
  const real = await Promise.all(options.roots.map((root) => resolveRoot(root, problems)));
  const roots = new Set(real.filter((root) => root !== undefined));
  await walk.run([...roots].flatMap((root) => insideAgents(root, agentsFolder)));
  const found = await keepTrue(walk.found, problems);
  return {
    found: found.sort(),
    problems: problems.list.sort((left, right) => (left.path < right.path ? -1 : left.path > right.path ? 1 : 0)),
    folders: walk.folders,
    durationMs: performance.now() - startedAt,
  };
}

async function resolveRoot(root: string, problems: ScanProblems): Promise<string | undefined> {
  if (!isAbsolute(root)) {
    // It would be taken from the folder that Core happens to have been started in.
    problems.report(
      root,
      "discovery.root_missing",
      "a relative path is not taken; name the folder by its absolute path",
    );
    return undefined;
  }
  try {
    const real = await answerInTime(realpath(root), ANSWER_MS, undefined);
    if (real === undefined) problems.onNoAnswer(root, ANSWER_MS);
    return real;
  } catch (error) {
    problems.onBadRoot(root, (error as NodeJS.ErrnoException).code ?? "unknown error");
    return undefined;
  }
}

/** A root below the agents folder keeps to that folder's rule: it becomes `<id>/src`, or nothing when it lies beside that. */
function insideAgents(root: string, agentsFolder: string): string[] {
  if (!root.startsWith(agentsFolder + sep)) return [root];
  const [id, part] = root.slice(agentsFolder.length + 1).split(sep);
  if (id === undefined || id.startsWith(".")) return [];
  if (part === undefined) return [`${agentsFolder}/${id}/src`];
  return part === "src" ? [root] : [];
}

/**
 * SECURITY: a folder that was swapped for a symlink between listing and entering it would let a scan report a place
 * outside its roots; such finds are dropped; pinned by "reports nothing that is reached through a symlink".
 */
async function keepTrue(found: string[], problems: ScanProblems): Promise<string[]> {
  const isTrue: boolean[] = [];
  const asked = Promise.all(
    found.map(async (path, index) => {
      const real = await realpath(path).catch(() => undefined);
      isTrue[index] = real === path;
    }),
  );
  await answerInTime(asked, ANSWER_MS, undefined);
  const silent = found.find((_, index) => isTrue[index] === undefined);
  if (silent !== undefined) problems.onNoAnswer(silent, ANSWER_MS);
  return found.filter((_, index) => isTrue[index]);
}
