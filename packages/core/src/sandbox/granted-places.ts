/**
 * Approved `filesystem:*` permissions as places that a box shows: exactly what they cover, or a refusal, never more.
 *
 * A bind shows one file, or a folder with everything below it. So `/a/b/**` is one bind; a literal path is the one file
 * that is there; other wildcards become the files that match at this moment, up to a bound. A literal path that is a
 * folder covers the folder and nothing in it, which no bind can say: it is refused, as is what lies in Core's own
 * folders. What does not exist is not shown; a missing folder or file that may be written is made, when the folder it
 * lies in is there.
 *
 * SECURITY: a link in a path could have been put there by an agent that may write beside it, and lead anywhere. Only
 * links that nobody but root can make are followed; every place is opened again without following any right before
 * it is bound (open-places.ts). Pinned by "a link in the path of a permission is refused".
 */
import { closeSync, constants, lstatSync, mkdirSync, openSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { CoreError, matchesPath, parsePermission, pathReach, type PathReach } from "@opensentience/protocol";
import { folderEntries } from "../host/folder-entries.ts";
import { shellWord } from "../host/shell-word.ts";
import { isWithin } from "../host/paths.ts";
import type { Place } from "./policy.ts";
import { isSystemPath } from "./system-view.ts";

/** A box has at most so many granted places, and a pattern is looked for among at most so many names. */
export const MAX_PLACES = 256;
const MAX_NAMES = 20_000;

/** As the kernel follows at most. */
const MAX_LINKS = 40;

/** These are the box's own and never the host's. */
const OWN_ROOTS = ["/proc", "/dev"];
/** Files of /proc that say the same in every /proc, so that an approval of one is met by the box's own. */
const SAME_EVERYWHERE =
  /^\/proc\/(?:meminfo|cpuinfo|stat|loadavg|uptime|version|vmstat|diskstats|partitions|swaps|filesystems|devices|mounts)$/;

export type GrantSettings = {
  /** The operator's home, for `~`. */
  home: string;
  /** Core's own folders: never shown, not even in part. */
  forbidden: readonly string[];
};

type Grant = { permission: string; pattern: string; write: boolean; reach: PathReach };

/**
 * Outermost first. Throws `sandbox.path_forbidden`, `sandbox.path_inexpressible`, `sandbox.path_is_link` and
 * `sandbox.too_many_places`.
 */
export async function grantedPlaces(approved: readonly string[], settings: GrantSettings): Promise<Place[]> {
  const grants = approved.flatMap((permission) => understood(permission, settings.home));
  // Wider ones first, so that what they show already is not looked for again.
  grants.sort(
    (a, b) =>
      Number(b.write) - Number(a.write) ||
      Number(a.reach.covers === "matches") - Number(b.reach.covers === "matches") ||
      a.reach.fixed.length - b.reach.fixed.length,
  );
  const places = new Map<string, Place>();
  for (const grant of grants) {
    for (const place of await placesOf(grant, settings, [...places.values()])) {
      if (isShown(place, places.values())) continue;
      places.set(place.path, place);
      if (places.size > MAX_PLACES) throw tooMany(grant);
    }
  }
  return [...places.values()].sort((a, b) => depthOf(a.path) - depthOf(b.path) || (a.path < b.path ? -1 : 1));
}

/** A permission of another kind, or one that covers no path, opens nothing. */
function understood(permission: string, home: string): Grant[] {
  const parsed = parsePermission(permission);
  if (parsed?.domain !== "filesystem" || parsed.pattern === undefined) return [];
  if (parsed.action !== "read" && parsed.action !== "write") return [];
  const reach = pathReach(parsed.pattern, home);
  return reach === undefined ? [] : [{ permission, pattern: parsed.pattern, write: parsed.action === "write", reach }];
}

async function placesOf(grant: Grant, settings: GrantSettings, shown: readonly Place[]): Promise<Place[]> {
  const { fixed, covers } = grant.reach;
  if (covers === "itself" && SAME_EVERYWHERE.test(fixed) && !grant.write) return [];
  refuseForbidden(grant, settings);
  const source = realSource(grant, fixed);
  if (source === undefined) return [];
  // Behind a link of root's the place is somewhere else, where it may be forbidden.
  refuseForbidden({ ...grant, reach: { ...grant.reach, fixed: source } }, settings);
  const stat = unchanged(grant, () => lstatSync(source));
  if (stat.isSymbolicLink()) throw isLink(grant, source);
  if (covers === "everything") {
    const kind = stat.isDirectory() ? "folder" : stat.isFile() ? "file" : undefined;
    return kind === undefined ? [] : [{ path: fixed, source, write: grant.write, kind }];
  }
  if (covers === "itself") {
    if (stat.isFile()) return [{ path: fixed, source, write: grant.write, kind: "file" }];
    if (!stat.isDirectory()) return [];
    throw new CoreError(
      "sandbox.path_inexpressible",
      `${grant.permission} names a folder without what is in it, which a sandbox cannot show`,
      {
        details: { permission: grant.permission },
        nextStep: `write ${grant.pattern}/** in the manifest for the folder and all that is in it`,
      },
    );
  }
  return stat.isDirectory() ? matching(grant, source, settings, shown) : [];
}

/** SECURITY: pinned by "no permission opens Core's own folders, /proc or /dev". */
function refuseForbidden(grant: Grant, { forbidden }: GrantSettings): void {
  const { fixed, covers } = grant.reach;
  const within = [...OWN_ROOTS, ...forbidden].find((folder) => isWithin(fixed, folder));
  const isAll = fixed === "/" && covers !== "itself" && grant.reach.depth === Number.POSITIVE_INFINITY;
  if (within === undefined && !isAll) return;
  const why = isAll ? "begins at the root of the file system" : `reaches into ${within}`;
  throw new CoreError("sandbox.path_forbidden", `${grant.permission} ${why}, which no sandbox shows`, {
    details: { permission: grant.permission },
    nextStep: "opensentience help agents enable",
  });
}

/**
 * Where `path` really is; undefined when it is not there and is not to be made. Links are followed only where nobody
 * but root can have put them.
 */
function realSource(grant: Grant, path: string): string | undefined {
  try {
    if (realpathSync(path) === path) return path;
  } catch {
    return made(grant, path);
  }
  return unchanged(grant, () => behindLinks(grant, path, MAX_LINKS));
}

/**
 * SECURITY: each part is looked at once, and where it leads follows from that look: whoever swaps a folder for a link and
 * back between two looks would have the link followed and not seen. Pinned by "a folder that is swapped for a link all the
 * time is never followed".
 */
function behindLinks(grant: Grant, path: string, linksLeft: number): string {
  let real = "/";
  for (const name of path.split("/").filter(Boolean)) {
    const part = join(real, name);
    if (!lstatSync(part).isSymbolicLink()) {
      real = part;
      continue;
    }
    if (linksLeft === 0 || !isRootsOwn(real)) throw isLink(grant, part);
    real = behindLinks(grant, resolve(real, readlinkSync(part)), linksLeft - 1);
  }
  return real;
}

/** What was there a moment ago and is not any more is no fault of Core. */
function unchanged<T>(grant: Grant, look: () => T): T {
  try {
    return look();
  } catch (cause) {
    if (cause instanceof CoreError) throw cause;
    throw new CoreError("sandbox.path_is_link", `${grant.permission} changed while the sandbox was being made`, {
      details: { permission: grant.permission },
      nextStep: `ls -ld ${shellWord(grant.reach.fixed)}`,
      cause,
    });
  }
}

/** Only root can have put a link here: with Core as root, directly in `/` alone, since its agents have the same uid. */
function isRootsOwn(folder: string): boolean {
  if (folder === "/") return true;
  const { uid, mode } = statSync(folder);
  return process.geteuid?.() !== 0 && uid === 0 && (mode & 0o022) === 0 && isRootsOwn(dirname(folder));
}

/** What may be written and is not there: the agent could make it, were the folder around it in the box. */
function made(grant: Grant, path: string): string | undefined {
  const { covers } = grant.reach;
  if (isSymbolicLink(path)) throw isLink(grant, path);
  if (!grant.write || covers === "matches") return undefined;
  const parent = dirname(path);
  try {
    if (realpathSync(parent) !== parent || !statSync(parent).isDirectory()) return undefined;
    if (covers === "everything") mkdirSync(path, { mode: 0o700 });
    else
      closeSync(
        openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600),
      );
    return path;
  } catch {
    // Not for Core's user to make either, so not for the agent.
    return undefined;
  }
}

function isSymbolicLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    // Not there, below a file, or not for Core's user to look at.
    return false;
  }
}

/** The files below `root` that the pattern covers, and the folders that it covers with all that is in them. */
async function matching(
  grant: Grant,
  root: string,
  settings: GrantSettings,
  shown: readonly Place[],
): Promise<Place[]> {
  const { fixed, takesFolders, depth } = grant.reach;
  const found: Place[] = [];
  let names = 0;
  const walk = async (folder: string, below: number): Promise<void> => {
    for await (const entry of folderEntries(join(root, folder))) {
      if ((names += 1) > MAX_NAMES) throw tooMany(grant);
      const part = join(folder, entry.name);
      const path = join(fixed, part);
      const source = join(root, part);
      // A link is judged by where it leads, and what is there is found by itself.
      if (entry.isSymbolicLink() || isHiddenHere(source, settings)) continue;
      const place = { path, source, write: grant.write };
      if (isShown({ ...place, kind: "folder" }, shown)) continue;
      const isCovered = matchesPath(grant.pattern, path, settings.home);
      if (isCovered && entry.isFile()) found.push({ ...place, kind: "file" });
      if (found.length > MAX_PLACES) throw tooMany(grant);
      if (!entry.isDirectory()) continue;
      if (isCovered && takesFolders) found.push({ ...place, kind: "folder" });
      else if (below < depth) await walk(part, below + 1);
    }
  };
  // `/a/*/..` cannot be written, so the first segment below `fixed` is always a name in it.
  await walk("", 1);
  return found;
}

function isHiddenHere(path: string, { forbidden }: GrantSettings): boolean {
  return [...OWN_ROOTS, ...forbidden].some((folder) => isWithin(path, folder));
}

/** In the box already: by a wider place, or because every box has it. */
function isShown(place: Place, shown: Iterable<Place>): boolean {
  if (!place.write && isSystemPath(place.source)) return true;
  for (const other of shown) {
    if (other.write || !place.write) {
      if (other.kind === "folder" ? isWithin(place.path, other.path) : place.path === other.path) return true;
    }
  }
  return false;
}

function depthOf(path: string): number {
  return path.split("/").length;
}

function isLink(grant: Grant, link: string): CoreError {
  return new CoreError("sandbox.path_is_link", `${grant.permission} leads through the link ${link}`, {
    details: { permission: grant.permission, link },
    nextStep: `ls -ld ${shellWord(link)}`,
  });
}

function tooMany(grant: Grant): CoreError {
  return new CoreError(
    "sandbox.too_many_places",
    `${grant.permission} covers more single files than a sandbox can show (${MAX_PLACES} files, ${MAX_NAMES} names looked at)`,
    {
      details: { permission: grant.permission },
      nextStep: "name the folder with /** instead, in the manifest",
    },
  );
}
