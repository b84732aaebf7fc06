/** What both ways of holding a process tree have in common: the options, the running box, how it ended. */
import type { Server } from "node:net";
import type { Readable } from "node:stream";
import type { ProcessInfo } from "../host/process-tree.ts";
import type { BoxFeatures } from "./box-vector.ts";
import type { GroupHeld, GroupHome } from "./control-group.ts";
import type { GroupController, GroupLimits } from "./control-group-layout.ts";
import type { BoxLimits, BoxPolicy } from "./policy.ts";
import { LISTENER_LINES } from "./way-out.ts";

/** How the tree is held together, and so how surely it can be ended. `sandbox` holds permissions too. */
export type Isolation = "sandbox" | "pid_namespace" | "process_group";

/**
 * What this machine can do, found by trying. `reason` and `nextStep` say why there is no sandbox: with `bubblewrap` the
 * tree can be held all the same.
 */
export type SandboxProbe = {
  backend: "bubblewrap" | "process_group";
  bwrapPath?: string;
  version?: string;
  /** Undefined where permissions cannot be held. */
  features?: BoxFeatures;
  reason?: string;
  nextStep?: string;
  /** Where limits of whole runs can be set; the caller of the probe adds it. */
  groups?: GroupHome;
};

/** No sandbox around it: only its process tree is held. `network: false` takes the network away all the same. */
export type Unconfined = { confined: false; network: boolean };
export const UNCONFINED: Unconfined = { confined: false, network: true };

export type BoxOptions = {
  probe: SandboxProbe;
  /** The program first, as an absolute path from `checkProgram`. */
  argv: readonly string[];
  /** Absolute path of an existing folder. */
  cwd: string;
  /** The whole environment of the agent. */
  env: Record<string, string>;
  /** A folder only Core's user can enter; FIFOs stand in it for a moment. */
  pipeFolder: string;
  /** The run's id. It becomes OPENSENTIENCE_RUN_ID, by which the sweep without namespaces finds strays. */
  marker: string;
  /** What the box shows of the machine; to start something without a sandbox has to be said. */
  policy: BoxPolicy | Unconfined;
  /** Of the whole tree; set before its first instruction where this machine lets Core. */
  treeLimits?: GroupLimits;
  /**
   * The one way out of an empty network: is given the socket that listens on 127.0.0.1:WAY_OUT_PORT in the box, once,
   * and is awaited before `startBoxed` resolves. The box must show Core's Node.
   */
  wayOut?: (listener: Server) => Promise<void>;
};

export type ProcessEnd = {
  /** The leader's exit code, or null when a signal ended it. */
  exitCode: number | null;
  /**
   * The signal's name. In a PID namespace only bubblewrap's exit code is known, which reports signal n as 128+n (the
   * shell's convention), so a leader that exits with 143 of its own accord is shown as ended by SIGTERM.
   */
  signal: string | null;
  /** The grace period of a stop ran out and what was left got SIGKILL. */
  killedAfterTimeout: boolean;
  /** How many that was, where the first process had ended by itself before; undefined where it had not. */
  outlivedLeader?: number | undefined;
  /** Host pids that are still alive after everything was tried; empty is the promise, anything else must be shown. */
  leaked: number[];
  /** Which limits of the tree the kernel held it to; undefined where none. */
  limitsHit?: GroupController[] | undefined;
};

export type BoxedProcess = {
  /** Host pid of the agent's first process; with start time and boot id it names the process across restarts of Core. */
  pid: number;
  pidStartTime: string;
  bootId: string;
  isolation: Isolation;
  /** Of `treeLimits`: true where the kernel holds it, else why not. */
  limitsHeld: GroupHeld;
  stdout: Readable;
  stderr: Readable;
  /** Lets the agent's first instruction happen. Before it nothing of the agent has run. Idempotent. */
  release(): void;
  /**
   * Resolves, never rejects, when nothing of the tree is alive (or `leaked` says what is). Independent of the
   * streams, which something outside may hold open: the reader drains them with a limit and destroys them.
   */
  ended: Promise<ProcessEnd>;
  /**
   * SIGTERM to every member, SIGKILL to what is left after `graceMs`; resolves with `ended`. The grace belongs to the
   * tree, not to its leader. Idempotent: a second call can only shorten the grace.
   */
  stop(graceMs: number): Promise<void>;
  /** SIGKILL to every member now; resolves with `ended`. */
  kill(): Promise<void>;
  /** The whole tree's use at this moment; pages that processes share count once only where a group holds the memory. Who asks several trees gives them one look at the machine's processes. */
  usage(processes?: ProcessInfo[]): { cpuMs: number; memoryBytes: number; processes: number };
};

/** Descriptor on which the shim waits for the go byte, in both backends. */
export const GO_FD = 3;

/**
 * The first program of every box. It waits for the go byte, closes what it was given beside 0, 1 and 2, and becomes
 * the agent, so the pid that Core recorded is the agent's. The arguments arrive as "$@", never as shell text.
 * SECURITY: when Core dies before it recorded the run, read meets the end of the socket and nothing of the agent runs;
 * pinned by "kill -9 of Core before the release runs nothing". Single digits are all that a POSIX shell can close;
 * higher descriptors are Core's duty (closeInheritedFds), and bubblewrap's, which closes the places it has bound.
 * What makes a way out goes first, where there is one.
 */
function shim(limits: BoxLimits, hasListeners: boolean): string {
  return [
    ...(hasListeners ? LISTENER_LINES : []),
    `read -r _ <&${GO_FD} || exit 125`,
    "exec 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&-",
    ...limitLines(limits),
    'exec "$@"',
  ].join("; ");
}

/** The vector that starts a shim; the agent's own follows. `listeners` is that of way-out.ts, or empty. */
export function shimVector(limits: BoxLimits = {}, listeners: readonly string[] = []): string[] {
  return ["/bin/sh", "-c", shim(limits, listeners.length > 0), "sh", ...listeners];
}

/** A limit that is not taken must not be missing unseen: then nothing is started. */
function limitLines({ memoryBytes, fileBytes, processes }: BoxLimits): string[] {
  return [
    ...(memoryBytes === undefined ? [] : [`ulimit -d ${Math.ceil(memoryBytes / 1024)} || exit 124`]),
    // The option is -u in some shells and -p in others.
    ...(processes === undefined ? [] : [`ulimit -u ${processes} 2>/dev/null || ulimit -p ${processes} || exit 124`]),
    ...(fileBytes === undefined ? [] : [`ulimit -f ${Math.ceil(fileBytes / 512)} || exit 124`]),
  ];
}

/** What every box's environment is: what was given plus the marker. */
export function boxEnvironment(options: BoxOptions): Record<string, string> {
  return { ...options.env, OPENSENTIENCE_RUN_ID: options.marker };
}
