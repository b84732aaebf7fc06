/** What listens on this machine by the path of a file, for boxes to show nothing of it. */
import { lstatSync, readFileSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { isWithin, type Place } from "./policy.ts";

/** proc_pid_net(5): seven columns, then the path as it was bound; `@` begins an abstract one. */
const BOUND_PATH = /^(?:\S+ +){7}(\/.*)$/gm;
/** More than any machine has in approved folders; what lies beyond stays reachable rather than keep a run from starting. */
const MAX_SOCKETS = 256;

/**
 * Paths, as the box has them, of the sockets in these folders that a program of this machine is bound to at this moment.
 * Ones that were bound by a relative path, in another network namespace, or later, are not among them.
 * SECURITY: a mount that can only be read still lets everybody connect, so that `filesystem:read:/run/**` would be the
 * whole machine where Docker listens; pinned by "what listens in an approved folder cannot be reached".
 */
export function listeningSockets(places: readonly Place[]): string[] {
  const folders = places.filter(({ kind }) => kind === "folder");
  if (folders.length === 0) return [];
  const found = new Set<string>();
  for (const bound of boundPaths()) {
    const path = realSocket(bound);
    if (path === undefined) continue;
    for (const { path: shown, source } of folders)
      if (isWithin(path, source)) found.add(join(shown, path.slice(source.length)));
    if (found.size >= MAX_SOCKETS) break;
  }
  return [...found];
}

/** Each once: what is connected to a socket bears its path too. */
function boundPaths(): Set<string> {
  try {
    const lines = readFileSync("/proc/net/unix", "utf8").matchAll(BOUND_PATH);
    return new Set(Array.from(lines, ([, path = ""]) => path));
  } catch {
    return new Set();
  }
}

function realSocket(bound: string): string | undefined {
  try {
    const path = join(realpathSync(dirname(bound)), basename(bound));
    return lstatSync(path).isSocket() ? path : undefined;
  } catch {
    // Removed since, or not for Core's user to see, so not for the agent.
    return undefined;
  }
}
