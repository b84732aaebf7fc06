/** The policies of what Core starts: a run, by its approval, a step of a build, by its phase, and one call of git. */
import { lstatSync, realpathSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { CoreError, parsePermission } from "@opensentience/protocol";
import { grantedPlaces } from "./granted-places.ts";
import { isWithin } from "../host/paths.ts";
import { type BoxLimits, type BoxNetwork, type BoxPolicy, type Place } from "./policy.ts";
import { isSystemPath, toolFolders } from "./system-view.ts";

/** What of this machine is Core's and the operator's, for every policy. */
export type CoreFolders = {
  operatorHome: string;
  /** Never shown: Core's home, its run folder, and wherever else it keeps something. */
  own: readonly string[];
};

/**
 * What an approval opens. Throws what `grantedPlaces` throws, `sandbox.path_forbidden` also for a folder to write with
 * Core's own deep in it. `network` is what an approved `network:egress` gets;
 * without one there is none.
 */
export async function runPolicy(run: {
  approvedPermissions: readonly string[];
  source: string;
  data: string;
  socketFolder: string;
  toolPath: string;
  program: string;
  network: BoxNetwork;
  limits: BoxLimits;
  core: CoreFolders;
}): Promise<BoxPolicy> {
  const forbidden = run.core.own.map(real);
  const granted = await grantedPlaces(run.approvedPermissions, { home: run.core.operatorHome, forbidden });
  refuseAround(granted, forbidden);
  const hasEgress = run.approvedPermissions.some(isEgress);
  const own: Place[] = [
    folder(run.source, false),
    folder(run.data, true),
    // A socket can be connected to through a read-only mount, and nothing else can be put beside it.
    folder(run.socketFolder, false),
  ];
  return {
    granted,
    hidden: hiddenIn(granted, forbidden),
    own,
    // Node may have to make the way out of an empty network.
    tools: [...tools(run.toolPath, run.program, own), ...(hasEgress ? tools("", process.execPath, own) : [])],
    network: hasEgress ? run.network : "none",
    limits: run.limits,
  };
}

/** A build sees the source, its own home, and what the operator named as certificates; no data, no socket, no token. */
export function buildPolicy(build: {
  source: string;
  home: string;
  toolPath: string;
  program: string;
  reach: "none" | "public_hosts" | "machine";
  /** Files that variables of `build.pass_env` name. */
  files: readonly string[];
}): BoxPolicy {
  const own = [folder(build.source, true), folder(build.home, true)];
  return {
    granted: [],
    hidden: [],
    own: [...own, ...build.files.flatMap(file)],
    // Node has to make the way out of an empty network.
    tools: [
      ...tools(build.toolPath, build.program, own),
      ...(build.reach === "public_hosts" ? tools("", process.execPath, own) : []),
    ],
    network: build.reach === "machine" ? "open" : "none",
    limits: {},
  };
}

/**
 * git sees one repository of Core's own, and of a local source its objects and refs, not the files beside them.
 * `writes` false: that repository is only read. Throws nothing: what is missing is missing inside.
 */
export function gitPolicy(git: {
  repository: string;
  writes: boolean;
  /** Real path of a local source. */
  source?: string | undefined;
  /** What ssh needs, each shown at a place of its own. */
  own?: readonly Place[];
  hasWayOut: boolean;
  toolPath: string;
  program: string;
  core: CoreFolders;
}): BoxPolicy {
  const forbidden = git.core.own.map(real);
  const granted = git.source === undefined ? [] : sourceOf(git.source);
  const own = [...(git.own ?? []), folder(git.repository, git.writes)];
  return {
    granted,
    hidden: hiddenIn(granted, forbidden),
    own,
    // Node may have to make the way out of an empty network.
    tools: [...tools(git.toolPath, git.program, own), ...(git.hasWayOut ? tools("", process.execPath, own) : [])],
    network: "none",
    limits: {},
  };
}

/**
 * Core's own folders as the box would have them. SECURITY: behind a link of root's (/home to /var/home) a place has
 * another path than on this machine; pinned by "Core's own is hidden behind a link of root's too".
 */
function hiddenIn(granted: readonly Place[], forbidden: readonly string[]): string[] {
  const folders = granted.filter(({ kind }) => kind === "folder");
  const hidden = folders.flatMap(({ path, source }) =>
    forbidden.filter((own) => isWithin(own, source)).map((own) => join(path, own.slice(source.length))),
  );
  return [...new Set(hidden)];
}

/**
 * SECURITY: what covers Core's folder up lies on its path, so who may rename a folder on the way to it would find the real
 * one at another path in the next run; directly in the place there is no such folder. Pinned by "a folder to write with
 * Core's own deep in it is refused".
 */
function refuseAround(granted: readonly Place[], forbidden: readonly string[]): void {
  const outermost = forbidden.filter((path) => !forbidden.some((other) => other !== path && isWithin(path, other)));
  for (const { path, source, write, kind } of granted) {
    if (!write || kind !== "folder") continue;
    const own = outermost.find((one) => isWithin(one, source) && one !== source && dirname(one) !== source);
    if (own === undefined) continue;
    throw new CoreError(
      "sandbox.path_forbidden",
      `${path} cannot be approved for writing: Core's own ${own} lies deep in it, and could be moved with a folder around it`,
      { details: { path, own }, nextStep: "opensentience help agents enable" },
    );
  }
}

/** What a file is shown as in a box of git; undefined where there is none. */
export function shownAs(path: string, source: string): Place | undefined {
  const target = real(source);
  const found = statSync(target, { throwIfNoEntry: false });
  return found === undefined || found.isDirectory() ? undefined : { path, source: target, write: false, kind: "file" };
}

function sourceOf(source: string): Place[] {
  const isFolder = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  if (!isFolder(source)) return [];
  const own = join(source, ".git");
  return [folder(isFolder(own) ? own : source, false)];
}

function isEgress(permission: string): boolean {
  const parsed = parsePermission(permission);
  return parsed?.domain === "network" && parsed.action === "egress";
}

/** The tool folders, and the program itself where it lies in none of them (a link to somewhere else). */
function tools(toolPath: string, program: string, own: readonly Place[]): string[] {
  const folders = toolFolders(toolPath);
  const target = real(program);
  const isThere = [...folders, ...own.map(({ path }) => path)].some((path) => isWithin(target, path));
  return isThere || isSystemPath(target) ? folders : [...folders, target];
}

function folder(path: string, write: boolean): Place {
  return { path, source: path, write, kind: "folder" };
}

function file(path: string): Place[] {
  const source = real(path);
  if (!path.startsWith("/") || isSystemPath(source) || statSync(source, { throwIfNoEntry: false })?.isFile() !== true)
    return [];
  return [{ path, source, write: false, kind: "file" }];
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
