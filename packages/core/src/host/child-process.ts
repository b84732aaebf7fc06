/**
 * Where Core starts programs: the only file that imports node:child_process.
 *
 * Three kinds of start. `spawnProcess` is the bare act, for the sandbox, which watches what it starts itself.
 * `runTool` runs a short trusted program (mkfifo, git, bwrap --version) to its end under limits of time and output.
 * `spawnDetached` starts a program that outlives its parent: the CLI starts Core with it.
 *
 * Promises: a program is always an array of arguments and never passes through a shell; its environment is exactly
 * what the caller gives, nothing of Core's own; it leads its own process group unless asked otherwise, so that a
 * Ctrl-C meant for Core does not reach it and a kill of the group reaches what it forked. A tool that exceeds its
 * time, or whose caller gives up, is killed with its whole group; output over the cap is read and dropped, so that
 * memory stays flat. A tool ends when it exits: what it left holding its pipes is waited for only briefly.
 *
 * Refuses: relative and empty entries of a search path (they would name the current folder). It does not judge what
 * is started: permission, audit and isolation are decided by the callers (sandbox, install, build, cli).
 */
import { spawn, type ChildProcess, type StdioOptions } from "node:child_process";
import { once } from "node:events";
import { closeSync, fstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import { access, constants, stat } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import type { Readable } from "node:stream";
import { setImmediate as immediate, setTimeout as delay } from "node:timers/promises";
import { CoreError } from "@opensentience/protocol";
import { killPoint } from "./kill-point.ts";

export type { ChildProcess };

export type SpawnOptions = {
  cwd?: string;
  env: Record<string, string>;
  stdio: StdioOptions;
  /** True (the default) gives the program a session and process group of its own. */
  detached?: boolean;
};

/** Starts a program. Faults of the spawn itself arrive as the child's `error` event: see `whenSpawned`. */
export function spawnProcess(argv: readonly string[], options: SpawnOptions): ChildProcess {
  const [program, ...args] = argv;
  if (program === undefined) throw new CoreError("core.internal", "nothing to start");
  return spawn(program, args, {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    // Node adds its own NODE_V8_COVERAGE to every child unless the key is present; undefined is not passed on.
    // SECURITY: a variable of Core must never reach a child by accident; pinned by "gives the child exactly the given environment".
    env: { ...options.env, NODE_V8_COVERAGE: options.env["NODE_V8_COVERAGE"] },
    stdio: options.stdio,
    detached: options.detached ?? true,
    shell: false,
    windowsHide: true,
  });
}

/** Resolves once the program runs; rejects with Node's own error (ENOENT also when the folder is missing). */
export function whenSpawned(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", reject);
  });
}

/** How a process ended; one of the two is null. */
export type Exit = { exitCode: number | null; signal: NodeJS.Signals | null };

/** Resolves when the process is gone, whoever still holds its streams. To be called before anything is awaited. */
export function whenExited(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve) => {
    child.once("exit", (exitCode, signal) => resolve({ exitCode, signal }));
  });
}

export type ToolOptions = {
  cwd?: string;
  env: Record<string, string>;
  /** Measured on the monotonic clock from the spawn; then the whole group is killed. */
  timeoutMs: number;
  /** How much of each stream is kept in the result; the rest is dropped. */
  maxBytes: number;
  input?: string | Uint8Array;
  signal?: AbortSignal;
  /** Sees every chunk as it arrives, also what no longer fits the result. Must not throw. */
  onStdout?: (chunk: Buffer) => void;
  onStderr?: (chunk: Buffer) => void;
  /** Descriptors from 3 on, and who writes to those that are pipes, right after the spawn. */
  descriptors?: { stdio: ("pipe" | "ignore" | "ipc" | number)[]; feed: (child: ChildProcess) => void };
};

export type ToolResult = {
  exitCode: number | null;
  signal: string | null;
  stdout: Buffer;
  stderr: Buffer;
  timedOut: boolean;
  /** The caller's AbortSignal ended the tool. */
  aborted: boolean;
  /** At least one stream was longer than `maxBytes`. */
  truncated: boolean;
};

/** How long output is still read after the tool's exit while something else holds its pipes. */
const DRAIN_MS = 200;
/** A grandchild that never stops writing is let go after this many times DRAIN_MS. */
const DRAIN_ROUNDS = 10;

/**
 * Runs a tool to its end; a failing exit code is a value, not an error. Fails with `core.tool_missing` when the program
 * does not exist or cannot be executed, and `launcher.folder_missing` when `cwd` is not a folder.
 */
export async function runTool(argv: readonly string[], options: ToolOptions): Promise<ToolResult> {
  const result: ToolResult = {
    exitCode: null,
    signal: null,
    stdout: Buffer.alloc(0),
    stderr: Buffer.alloc(0),
    timedOut: false,
    aborted: false,
    truncated: false,
  };
  if (options.signal?.aborted) return { ...result, aborted: true };
  const input = options.input === undefined ? "ignore" : "pipe";
  const child = spawnProcess(argv, {
    ...options,
    stdio: [input, "pipe", "pipe", ...(options.descriptors?.stdio ?? [])],
  });
  const stdout = collect(child.stdout, options.maxBytes, options.onStdout);
  const stderr = collect(child.stderr, options.maxBytes, options.onStderr);
  const ended = whenExited(child);
  const timer = setTimeout(() => {
    result.timedOut = true;
    killGroup(child);
  }, options.timeoutMs);
  const abort = (): void => {
    result.aborted = true;
    killGroup(child);
  };
  options.signal?.addEventListener("abort", abort, { once: true });
  try {
    await whenSpawned(child).catch((error: unknown) => {
      throw explainSpawnError(error, argv[0] ?? "", options.cwd);
    });
    killPoint("tool.spawned");
    options.descriptors?.feed(child);
    feed(child, options.input);
    Object.assign(result, await ended);
    await drained(child, () => stdout.received + stderr.received);
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", abort);
    child.stdout?.destroy();
    child.stderr?.destroy();
  }
  result.stdout = Buffer.concat(stdout.chunks);
  result.stderr = Buffer.concat(stderr.chunks);
  result.truncated = stdout.truncated || stderr.truncated;
  return result;
}

/** The absolute path of a program on a PATH-like list, or undefined. Only bare names and absolute folders count. */
export async function findProgram(name: string, pathVariable: string): Promise<string | undefined> {
  if (name === "" || name.includes("/") || name.includes("\0")) return undefined;
  for (const folder of pathVariable.split(":")) {
    // SECURITY: "" and "." would run a program from whatever folder Core stands in; pinned by "ignores relative folders of the search path".
    if (!isAbsolute(folder)) continue;
    const candidate = join(folder, name);
    if (await isExecutableFile(candidate)) return candidate;
  }
  return undefined;
}

/** True for a regular file (symlinks followed) that this user may execute. */
export async function isExecutableFile(path: string): Promise<boolean> {
  try {
    if (!(await stat(path)).isFile()) return false;
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Starts a program that outlives this one. Both outputs go to `logFd`; the program reports on its fd 3, which is
 * `ready` here and ends when the program closes it or is gone. Neither keeps this process's event loop alive except
 * while `ready` is being read. Fails with `core.start_failed`.
 */
export async function spawnDetached(
  argv: readonly string[],
  options: { env: Record<string, string>; cwd: string; logFd: number },
): Promise<{ child: ChildProcess; ready: Readable }> {
  const child = spawnProcess(argv, {
    env: options.env,
    cwd: options.cwd,
    stdio: ["ignore", options.logFd, options.logFd, "pipe"],
    detached: true,
  });
  await whenSpawned(child).catch((cause: unknown) => {
    throw new CoreError("core.start_failed", `${argv[0] ?? ""} could not be started`, { cause });
  });
  child.unref();
  // Node types the extra stdio entries as Readable | Writable; a "pipe" entry is a duplex stream.
  const ready = child.stdio[3] as Readable;
  ready.on("error", () => {});
  return { child, ready };
}

/**
 * Closes descriptors above 2 that this process was started with by mistake (opened by its parent without
 * close-on-exec) and would pass on to every program it starts. Called once, first thing at Core's start, with the
 * descriptors it was given on purpose. What Node opens itself is close-on-exec and so is not touched, but for one
 * file: `certificates` (NODE_EXTRA_CA_CERTS) is read on a thread of its own while the program starts. Closing it
 * under that thread would break the reading, and the thread's own close would then hit whatever has the number by then.
 * SECURITY: an agent would inherit open files of whoever started Core; pinned by "a box gets descriptors 0, 1 and 2 and nothing else".
 */
export function closeInheritedFds(keep: readonly number[] = [], certificates?: string): number[] {
  const closed: number[] = [];
  const beingRead = certificates === undefined ? undefined : statSync(certificates, { throwIfNoEntry: false });
  for (const fd of openFds()) {
    if (fd <= 2 || keep.includes(fd)) continue;
    try {
      const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "latin1"))?.[1];
      if (flags === undefined || (Number.parseInt(flags, 8) & O_CLOEXEC) !== 0) continue;
      const file = fstatSync(fd);
      if (file.ino === beingRead?.ino && file.dev === beingRead.dev) continue;
      closeSync(fd);
      closed.push(fd);
    } catch {
      // Gone since it was listed (the descriptor of the listing itself).
    }
  }
  return closed;
}

/** Linux only; Node's fs.constants does not carry it. */
const O_CLOEXEC = 0o2000000;

function openFds(): number[] {
  try {
    return readdirSync("/proc/self/fd").map(Number);
  } catch {
    return [];
  }
}

function collect(stream: Readable | null, maxBytes: number, onChunk?: (chunk: Buffer) => void) {
  const kept = { chunks: [] as Buffer[], received: 0, truncated: false };
  stream?.on("data", (chunk: Buffer) => {
    onChunk?.(chunk);
    const room = Math.max(0, maxBytes - kept.received);
    if (room > 0) kept.chunks.push(chunk.subarray(0, room));
    if (chunk.length > room) kept.truncated = true;
    kept.received += chunk.length;
  });
  stream?.on("error", () => {});
  return kept;
}

function feed(child: ChildProcess, input: string | Uint8Array | undefined): void {
  // A tool may exit without reading its input; EPIPE then says nothing its exit code does not.
  child.stdin?.on("error", () => {});
  if (input !== undefined) child.stdin?.end(input);
}

/**
 * Waits until both outputs are read to their end. When something else holds them open: until a while passed in which
 * nothing arrived, looked at after the event loop has read what is there, so that a busy Core loses no output.
 */
async function drained(child: ChildProcess, received: () => number): Promise<void> {
  const open = [child.stdout, child.stderr].filter((stream): stream is Readable => stream !== null && !stream.closed);
  if (open.length === 0) return;
  const ended = new AbortController();
  void Promise.all(open.map((stream) => once(stream, "close"))).then(() => ended.abort());
  for (let round = 0; round < DRAIN_ROUNDS && !ended.signal.aborted; round += 1) {
    const before = received();
    await delay(DRAIN_MS, undefined, { signal: ended.signal }).catch(() => {});
    await immediate();
    if (received() === before) return;
  }
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    child.kill("SIGKILL");
  }
}

function explainSpawnError(error: unknown, program: string, cwd: string | undefined): CoreError {
  // Node reports a missing working folder as ENOENT of the program, so the folder is looked at first.
  if (cwd !== undefined && !statSync(cwd, { throwIfNoEntry: false })?.isDirectory()) {
    return new CoreError("launcher.folder_missing", `the folder ${cwd} is gone`, {
      details: { folder: cwd },
      cause: error,
    });
  }
  return new CoreError("core.tool_missing", `${program} is not installed, not on the PATH, or cannot be executed`, {
    details: { program },
    nextStep: "opensentience doctor",
    cause: error,
  });
}
