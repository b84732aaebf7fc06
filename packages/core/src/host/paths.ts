/**
 * Where everything lives below OPENSENTIENCE_HOME. Pure path arithmetic: creates and checks nothing.
 *
 * A Unix socket path must fit the kernel's 107 bytes (unix(7)). Where the home is too deep for the longest socket
 * path below it, `run/` moves to $XDG_RUNTIME_DIR or /tmp/opensentience-<uid>/ under a name derived from the home,
 * and `socketFallback` says so (`core status` shows it).
 */
import { join } from "node:path";

/** sun_path is 108 bytes with its NUL (unix(7)). */
const MAX_SOCKET_PATH_BYTES = 107;
/** The longest socket below run/: agents/<12 hex digits>/core.sock. */
const LONGEST_SOCKET = join("agents", "0".repeat(12), "core.sock");

export type Paths = {
  home: string;
  config: string;
  stateFolder: string;
  database: string;
  auditKey: string;
  auditCheckpoints: string;
  auditJournal: string;
  webToken: string;
  runFolder: string;
  runAgentsFolder: string;
  controlSocket: string;
  coreMark: string;
  lock: string;
  socketFallback: boolean;
  agentsFolder: string;
  stagingFolder: string;
  logsFolder: string;
  coreLog: string;
};

/** `home` must be absolute. */
export async function pathsOf(home: string, runtimeFolder: string | undefined, uid: number): Promise<Paths> {
  const stateFolder = join(home, "state");
  const ownRun = join(home, "run");
  const socketFallback = Buffer.byteLength(join(ownRun, LONGEST_SOCKET)) > MAX_SOCKET_PATH_BYTES;
  const runFolder = socketFallback ? await fallbackRun(home, runtimeFolder, uid) : ownRun;
  return {
    home,
    config: join(home, "config.toml"),
    stateFolder,
    database: join(stateFolder, "core.sqlite3"),
    auditKey: join(stateFolder, "audit.key"),
    auditCheckpoints: join(stateFolder, "audit.checkpoints"),
    auditJournal: join(stateFolder, "audit.journal"),
    webToken: join(stateFolder, "web.token"),
    runFolder,
    runAgentsFolder: join(runFolder, "agents"),
    controlSocket: join(runFolder, "core.sock"),
    coreMark: join(runFolder, "core.pid"),
    lock: join(stateFolder, "core.lock"),
    socketFallback,
    agentsFolder: join(home, "agents"),
    stagingFolder: join(home, "agents", ".staging"),
    logsFolder: join(home, "logs"),
    coreLog: join(home, "logs", "core.log"),
  };
}

/** True when `path` is `folder` or lies below it; both absolute and normalised. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || folder === "/" || path.startsWith(`${folder}/`);
}

/** The folder of one agent: `src`, `data`, `build-home`, `repo.git`, `previous` live below it, its logs do not. */
export function agentFolders(
  paths: Paths,
  agentId: string,
): Record<
  | "root"
  | "source"
  | "data"
  | "buildHome"
  | "repository"
  | "previous"
  | "trackedEntries"
  | "builtEntries"
  | "treeCache"
  | "temporary"
  | "logs",
  string
> {
  const root = join(paths.agentsFolder, agentId);
  return {
    root,
    source: join(root, "src"),
    data: join(root, "data"),
    buildHome: join(root, "build-home"),
    repository: join(root, "repo.git"),
    previous: join(root, "previous"),
    trackedEntries: join(root, "tracked.json"),
    builtEntries: join(root, "built.json"),
    treeCache: join(root, "tree-cache.json"),
    temporary: join(root, "data", "tmp"),
    logs: join(paths.logsFolder, agentId),
  };
}

async function fallbackRun(home: string, runtimeFolder: string | undefined, uid: number): Promise<string> {
  // Few homes are so deep; the commands of all others must not pay for loading this.
  const { hash } = await import("node:crypto");
  const name = hash("sha256", home, "hex").slice(0, 16);
  const candidate = runtimeFolder === undefined ? undefined : join(runtimeFolder, "opensentience", name);
  if (candidate !== undefined && Buffer.byteLength(join(candidate, LONGEST_SOCKET)) <= MAX_SOCKET_PATH_BYTES)
    return candidate;
  return join("/tmp", `opensentience-${uid}`, name);
}
