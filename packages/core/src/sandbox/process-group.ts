/**
 * One agent in a process group and session of its own: what is left where bubblewrap cannot run.
 *
 * Core finds the members of the tree by four marks, each read from /proc: descent from the leader, the leader's
 * process group, its session, and OPENSENTIENCE_RUN_ID in the environment they were started with. Everything found
 * once is remembered by pid and start time, so that it is still known after it was orphaned.
 *
 * What this does not hold, and the interface says so: a program that forks, calls setsid and clears its environment
 * between two looks is lost, and so is one that forks anew faster than Core can scan; what is seen and cannot be ended
 * is reported in `leaked`. Nothing tells the agent that
 * Core died. The shim keeps an unreleased agent from ever starting, and that is all: an agent that was released
 * lives on until the next start of Core finds its run and ends it.
 *
 * Without /proc (macOS) only the group itself can be signalled and asked whether it is empty.
 */
import { closeSync } from "node:fs";
import { performance } from "node:perf_hooks";
import type { Readable, Writable } from "node:stream";
import { CoreError } from "@opensentience/protocol";
import { spawnProcess, whenExited, whenSpawned, type ChildProcess, type Exit } from "../host/child-process.ts";
import { openPipes, type OpenPipe } from "../host/pipe.ts";
import {
  bootId,
  hasEnvironmentEntry,
  hasProcessTable,
  listDescendants,
  pollUntil,
  processUsage,
  readProcess,
  scanProcesses,
  signalProcess,
  type ProcessInfo,
} from "../host/process-tree.ts";
import {
  boxEnvironment,
  GO_FD,
  SHIM,
  type BoxedProcess,
  type BoxOptions,
  type Isolation,
  type ProcessEnd,
} from "./boxed-process.ts";

const POLL_MS = 25;
/** How long SIGKILL is repeated before what is left is called leaked. */
const KILL_MS = 5_000;

/** Starts the group up to the shim. Fails with `launcher.start_failed`; then nothing of it is left. */
export async function startInGroup(options: BoxOptions): Promise<BoxedProcess> {
  const [stdout, stderr] = (await openPipes(options.pipeFolder, 2)) as [OpenPipe, OpenPipe];
  try {
    const child = spawnProcess(["/bin/sh", "-c", SHIM, "sh", ...options.argv], {
      cwd: options.cwd,
      env: boxEnvironment(options),
      stdio: ["ignore", stdout.writeFd, stderr.writeFd, "pipe"],
    });
    const exited = whenExited(child);
    await whenSpawned(child);
    return new GroupBox(child, exited, options.marker, [stdout.readEnd, stderr.readEnd]);
  } catch (cause) {
    stdout.readEnd.destroy();
    stderr.readEnd.destroy();
    throw new CoreError("launcher.start_failed", "the process could not be started", { cause });
  } finally {
    closeSync(stdout.writeFd);
    closeSync(stderr.writeFd);
  }
}

class GroupBox implements BoxedProcess {
  readonly pid: number;
  readonly pidStartTime: string;
  readonly bootId: string = bootId();
  readonly isolation: Isolation = "process_group";
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly ended: Promise<ProcessEnd>;
  readonly #leader: ChildProcess;
  readonly #marker: string;
  readonly #known = new Map<number, ProcessInfo>();
  #grace: Promise<void> | undefined;
  #deadline = Number.POSITIVE_INFINITY;
  #killAsked = false;
  #killedAfterTimeout = false;

  constructor(leader: ChildProcess, exited: Promise<Exit>, marker: string, output: [Readable, Readable]) {
    this.#leader = leader;
    this.#marker = `OPENSENTIENCE_RUN_ID=${marker}`;
    this.pid = leader.pid ?? 0;
    this.pidStartTime = readProcess(this.pid)?.startTime ?? "";
    [this.stdout, this.stderr] = output;
    for (const stream of [leader, leader.stdio[GO_FD]]) stream?.on("error", () => {});
    this.ended = this.#watchEnd(exited);
  }

  release(): void {
    const go = this.#leader.stdio[GO_FD] as Writable;
    if (go.writable) go.end("\n");
  }

  async stop(graceMs: number): Promise<void> {
    this.#deadline = Math.min(this.#deadline, performance.now() + graceMs);
    this.#grace ??= this.#stopWithGrace();
    await this.#grace;
    await this.ended;
  }

  async kill(): Promise<void> {
    this.#killAsked = true;
    this.#signalMembers("SIGKILL");
    await this.ended;
  }

  usage(): { cpuMs: number; memoryBytes: number; processes: number } {
    const members = this.#members().map((info) => info.pid);
    return { ...processUsage(members), processes: members.length };
  }

  async #watchEnd(exited: Promise<Exit>): Promise<ProcessEnd> {
    const exit = await exited;
    this.#leader.stdio[GO_FD]?.destroy();
    // A stop that is under way owns the grace of the members that outlive the leader.
    await this.#grace;
    let quiet = 0;
    // Empty means empty twice: a fork during a scan is seen by the next one only.
    await pollUntil(() => (quiet = this.#signalMembers("SIGKILL") === 0 ? quiet + 1 : 0) >= 2, {
      everyMs: POLL_MS,
      timeoutMs: KILL_MS,
    });
    const leaked = this.#members().map((info) => info.pid);
    return { ...exit, killedAfterTimeout: this.#killedAfterTimeout, leaked };
  }

  async #stopWithGrace(): Promise<void> {
    this.#signalMembers("SIGTERM");
    // A fork during the first round is caught by the second.
    this.#signalMembers("SIGTERM", new Set(this.#known.keys()));
    const isOver = (): boolean => this.#killAsked || performance.now() >= this.#deadline;
    await pollUntil(() => isOver() || !this.#hasMembers(), { everyMs: POLL_MS, timeoutMs: Number.POSITIVE_INFINITY });
    this.#killedAfterTimeout = !this.#killAsked && this.#hasMembers();
    this.#signalMembers("SIGKILL");
  }

  #hasMembers(): boolean {
    return hasProcessTable() ? this.#members().length > 0 : this.#signalGroup(0);
  }

  /** Signals every living member except the given pids; answers how many there were. */
  #signalMembers(signal: NodeJS.Signals, except: ReadonlySet<number> = new Set()): number {
    if (!hasProcessTable()) return this.#signalGroup(signal) ? 1 : 0;
    const members = this.#members().filter((info) => !except.has(info.pid));
    for (const info of members) {
      signalProcess(info, signal);
      // A stopped process would otherwise sleep through its grace.
      if (info.state === "T") signalProcess(info, "SIGCONT");
    }
    return members.length;
  }

  #signalGroup(signal: NodeJS.Signals | 0): boolean {
    try {
      return process.kill(-this.pid, signal);
    } catch {
      return false;
    }
  }

  /** Living members by all four marks, from one scan; each is remembered. */
  #members(): ProcessInfo[] {
    const now = new Map<number, ProcessInfo>();
    for (const info of scanProcesses()) {
      now.set(info.pid, info);
      if (this.#isMarked(info)) this.#known.set(info.pid, info);
    }
    for (const [pid, info] of this.#known) if (now.get(pid)?.startTime !== info.startTime) this.#known.delete(pid);
    const processes = [...now.values()];
    for (const root of [...this.#known.keys()]) {
      for (const info of listDescendants(root, processes)) this.#known.set(info.pid, info);
    }
    return [...this.#known.keys()].flatMap((pid) => now.get(pid) ?? []).filter((info) => !"ZX".includes(info.state));
  }

  /**
   * Belongs to the leader's group or session, or was started with the run's id. Looked at during the scan, since a
   * moment later the process may be gone.
   * SECURITY: a process older than the leader is never a member; and when the leader's pid went to a stranger, so may
   * have the numbers of its group and session, which then do not count; pinned by "leaves strangers alone".
   */
  #isMarked(info: ProcessInfo): boolean {
    if (Number(info.startTime) < Number(this.pidStartTime)) return false;
    if (info.processGroup === this.pid || info.session === this.pid) {
      const leader = readProcess(this.pid);
      if (leader === undefined || leader.startTime === this.pidStartTime) return true;
    }
    return info.state !== "Z" && hasEnvironmentEntry(info.pid, this.#marker);
  }
}
