/**
 * Discovery: finds agents by their manifest and keeps the catalog true to the disk. Only reads files: it spawns
 * nothing, opens no connection and follows no symlink (scanner.ts), whatever a manifest says.
 *
 * Scans run on demand, at Core's start, on an interval, and for one folder when its manifest changes (watch.ts). One
 * scan at a time; a second caller gets its own scan after it. A bad manifest or an unreadable folder is one entry of
 * the report and never stops the scan. Two folders with one id: the installed copy wins, else the first path in order;
 * the other is reported. A known agent whose folder vanished is kept and marked, also one that lies outside the roots.
 */
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { setImmediate } from "node:timers/promises";
import { CoreError, type ScanReportJson } from "@opensentience/protocol";
import type { Act } from "../audit-log/audit-log.ts";
import type { Catalog, Sighting } from "../catalog/catalog.ts";
import { readManifest } from "../manifest/manifest.ts";
import { isWithin } from "../host/paths.ts";
import { answerInTime } from "./answer-in-time.ts";
import { FolderMemory } from "./folder-memory.ts";
import { Mounts } from "./mounts.ts";
import { scanRoots } from "./scanner.ts";
import { ManifestWatch } from "./watch.ts";

/** Manifests read at the same time. */
const CONCURRENCY = 16;
const LIMITS = { maxDepth: 24, maxEntries: 2_000_000, maxFound: 5_000, maxMs: 60_000 };
/** So long the manifests of one scan may take to be read, and so long Core's end waits for a scan. */
const READING_MS = 30_000;
/** So long a file outside the scan roots may take to be there or not. */
const LOOKING_MS = 2_000;
const STOP_MS = 5_000;
/** All manifests of one scan together; they are in memory at the same time. */
const MAX_MANIFESTS_BYTES = 16 * 1024 * 1024;
/** Written to the catalog at once; between two portions Core answers others. */
const PORTION = 200;

export type DiscoveryDeps = {
  catalog: Catalog;
  settings: { roots: string[]; prune: string[]; intervalMs: number };
  agentsFolder: string;
  /** The act under which Core's own rescans are recorded. */
  systemAct: Act;
  /** Told after each scan which known agents' manifests moved. */
  onUpdated: (agentIds: string[]) => Promise<void>;
  onFault: (what: string, error: unknown) => void;
};

type Kept = Parameters<Catalog["observe"]>[0][number];

export class Discovery {
  readonly #deps: DiscoveryDeps;
  readonly #watch: ManifestWatch;
  readonly #memory = new FolderMemory();
  #queue: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  /** What the background scans that have not begun yet are to look at: one key per folder, "" for the roots. */
  readonly #waiting = new Set<string>();
  readonly #stopped = new AbortController();

  constructor(deps: DiscoveryDeps) {
    this.#deps = deps;
    this.#watch = new ManifestWatch((folder) => this.#inBackground(folder));
  }

  /** Scans the configured roots, or only `paths` (absolute). Never throws for what it finds on disk. */
  scan(
    paths: string[] | undefined,
    act: Act,
    options: { signal?: AbortSignal; onProgress?: (folders: number) => void } = {},
  ): Promise<ScanReportJson> {
    const scan = this.#queue.then(() => this.#scan(paths, act, options));
    this.#queue = scan.catch(() => undefined);
    return scan;
  }

  /** First scan, then rescans on the interval and on changes of known manifests. */
  start(): void {
    this.#inBackground();
    if (this.#deps.settings.intervalMs > 0)
      this.#timer = setInterval(() => this.#inBackground(), this.#deps.settings.intervalMs).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#watch.close();
    await answerInTime(this.#queue, STOP_MS, undefined);
    this.#stopped.abort();
  }

  /** A scan that waits already will see whatever this one would have seen: there is no second behind it. */
  #inBackground(folder?: string): void {
    const key = folder ?? "";
    if (this.#waiting.has(key)) return;
    this.#waiting.add(key);
    const scan = this.#queue.then(() => {
      this.#waiting.delete(key);
      return this.#scan(folder === undefined ? undefined : [folder], this.#deps.systemAct, {});
    });
    this.#queue = scan.catch((error: unknown) => {
      if (!this.#stopped.signal.aborted) this.#deps.onFault("a scan failed", error);
    });
  }

  async #scan(
    paths: string[] | undefined,
    act: Act,
    options: { signal?: AbortSignal; onProgress?: (folders: number) => void },
  ): Promise<ScanReportJson> {
    const startedMs = performance.now();
    const roots = paths ?? this.#deps.settings.roots;
    const result = await scanRoots({
      roots,
      prune: this.#deps.settings.prune,
      limits: LIMITS,
      agentsFolder: this.#deps.agentsFolder,
      // Whoever names a folder wants it looked at, not remembered.
      memory: paths === undefined ? this.#memory : undefined,
      ...options,
    });
    const { sightings, rejected } = await readAll(result.found);
    // A scan that Core's end did not wait for must not write to a database that is closed.
    this.#stopped.signal.throwIfAborted();
    const { kept, duplicates } = this.#judge(sightings);
    const outcomes = await this.#observe(kept, act);
    const isWhole = ![...result.problems, ...rejected].some(({ code }) => code === "discovery.limit_reached");
    const outside = paths === undefined ? await this.#lookOutside(roots) : { gone: [], back: [] };
    this.#stopped.signal.throwIfAborted();
    const missing = isWhole ? this.#markVanished(roots, new Set(result.found), outside.gone) : 0;
    this.#deps.catalog.markPresent(outside.back);
    const updated = kept.filter((_, index) => outcomes[index] === "updated").map((one) => one.kept.manifest.id);
    if (updated.length > 0) await this.#deps.onUpdated(updated);
    this.#watch.watch(await onlyNear(result.found));
    const count = (outcome: string): number => outcomes.filter((one) => one === outcome).length;
    // A default root that does not exist is nothing to complain about; one that was named is.
    const problems = result.problems.filter(
      (problem) => paths !== undefined || problem.code !== "discovery.root_missing",
    );
    return {
      roots,
      found: kept.length,
      new: count("new"),
      updated: count("updated"),
      unchanged: count("unchanged"),
      missing,
      rejected: [...rejected, ...problems],
      duplicates,
      duration_ms: Math.round(performance.now() - startedMs),
    };
  }

  async #observe(kept: Kept[], act: Act): Promise<ReturnType<Catalog["observe"]>> {
    const outcomes: ReturnType<Catalog["observe"]> = [];
    for (let index = 0; index < kept.length; index += PORTION) {
      if (index > 0) await setImmediate();
      outcomes.push(...this.#deps.catalog.observe(kept.slice(index, index + PORTION), act));
    }
    return outcomes;
  }

  #judge(sightings: Sighting[]): {
    kept: Kept[];
    duplicates: ScanReportJson["duplicates"];
  } {
    const byId = new Map<string, Sighting[]>();
    for (const sighting of sightings)
      byId.set(sighting.manifest.id, [...(byId.get(sighting.manifest.id) ?? []), sighting]);
    const duplicates: ScanReportJson["duplicates"] = [];
    const kept = [...byId].map(([agentId, copies]) => {
      const known = this.#deps.catalog.find(agentId);
      const winner =
        copies.find((copy) => copy.folder === known?.installPath) ??
        copies.find((copy) => copy.path === known?.manifestPath) ??
        (copies[0] as Sighting);
      const keptFolder = known?.installPath ?? winner.folder;
      const others = copies.filter((copy) => copy.folder !== keptFolder);
      for (const other of others) duplicates.push({ agent_id: agentId, path: other.path, kept: keptFolder });
      return { kept: winner, other: others[0]?.folder ?? null };
    });
    return { kept, duplicates };
  }

  /** What lay below the roots that were scanned, and `outside`; to be called only when the scan saw everything. */
  #markVanished(roots: string[], present: Set<string>, outside: readonly string[]): number {
    const vanished = this.#deps.catalog.places().filter(({ manifestPath: path }) => {
      return path !== null && !present.has(dirname(path)) && liesBelow(roots, path);
    });
    const agentIds = [...vanished.map(({ agentId }) => agentId), ...outside];
    this.#deps.catalog.markVanished(agentIds);
    return agentIds.length;
  }

  /** A folder that is run in place may lie where no scan comes. Whether it is there is asked; it is not read. */
  async #lookOutside(roots: string[]): Promise<{ gone: string[]; back: string[] }> {
    const outside = this.#deps.catalog
      .places()
      .filter(({ manifestPath: path }) => path !== null && !liesBelow(roots, path));
    const answers = await Promise.all(
      outside.map(({ manifestPath }) => answerInTime(isThere(manifestPath ?? ""), LOOKING_MS, undefined)),
    );
    const idsWhere = (answer: boolean): string[] =>
      outside.filter((_, index) => answers[index] === answer).map(({ agentId }) => agentId);
    const marked = new Set(outside.filter(({ missingSince }) => missingSince !== null).map(({ agentId }) => agentId));
    return { gone: idsWhere(false), back: idsWhere(true).filter((agentId) => marked.has(agentId)) };
  }
}

function liesBelow(roots: readonly string[], manifestPath: string): boolean {
  const folder = dirname(manifestPath);
  return roots.some((root) => isWithin(folder, root));
}

/** Undefined where that cannot be told: a folder that may not be entered, a file server that fails. */
function isThere(path: string): Promise<boolean | undefined> {
  return stat(path).then(
    () => true,
    ({ code }: NodeJS.ErrnoException) => (code === "ENOENT" || code === "ENOTDIR" ? false : undefined),
  );
}

/** To watch a folder is to ask its file system, and to wait for it. Where the system does not say what is far, all is watched. */
async function onlyNear(folders: string[]): Promise<string[]> {
  if (process.platform !== "linux") return folders;
  const mounts = await Mounts.read();
  return folders.filter((folder) => mounts.isNear(folder));
}

async function readAll(folders: string[]): Promise<{ sightings: Sighting[]; rejected: ScanReportJson["rejected"] }> {
  const sightings: (Sighting | undefined)[] = Array.from({ length: folders.length });
  const rejected: ScanReportJson["rejected"] = [];
  let next = 0;
  let bytes = 0;
  let isOver = false;
  const work = async (): Promise<void> => {
    for (let index = next++; index < folders.length; index = next++) {
      const folder = folders[index] as string;
      try {
        const file = await readManifest(folder, { isReal: true });
        if (isOver) return;
        bytes += file.bytes;
        if (bytes > MAX_MANIFESTS_BYTES && next < folders.length) {
          next = folders.length;
          const message = `the manifests are more than ${MAX_MANIFESTS_BYTES >> 20} MiB together; not all were read`;
          rejected.push({ path: folder, code: "discovery.limit_reached", message });
        }
        sightings[index] = { folder, path: file.path, manifest: file.manifest, manifestHash: file.manifestHash };
      } catch (error) {
        if (isOver) return;
        if (!(error instanceof CoreError)) throw error;
        rejected.push({ path: folder, code: error.code, message: error.message });
      }
    }
  };
  const reading = Promise.all(Array.from({ length: CONCURRENCY }, work)).then(() => true);
  if (!(await answerInTime(reading, READING_MS, false))) {
    const message = `not all manifests were read within ${READING_MS} ms`;
    const silent = folders.find(
      (folder, index) => sightings[index] === undefined && !rejected.some(({ path }) => path === folder),
    );
    rejected.push({ path: silent ?? "/", code: "discovery.limit_reached", message });
  }
  isOver = true;
  next = folders.length;
  rejected.sort((a, b) => (a.path < b.path ? -1 : 1));
  return { sightings: sightings.filter((one) => one !== undefined), rejected };
}
