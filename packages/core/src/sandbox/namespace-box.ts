/**
 * A running box in a PID namespace. See bubblewrap.ts for the three processes and for what a stop does in which order.
 */
import { constants } from "node:os";
import { performance } from "node:perf_hooks";
import type { Readable, Writable } from "node:stream";
import type { ChildProcess, Exit } from "../host/child-process.ts";
import { killPoint } from "../host/kill-point.ts";
import {
  bootId,
  isAlive,
  listDescendants,
  pollUntil,
  processUsage,
  readProcess,
  signalProcess,
  type ProcessIdentity,
  type ProcessInfo,
} from "../host/process-tree.ts";
import type { GroupHeld, RunGroup } from "./control-group.ts";
import { GO_FD, type BoxedProcess, type Isolation, type ProcessEnd } from "./boxed-process.ts";

/** How long the kernel may take to end a namespace before what is left is called leaked. */
const PATIENCE_MS = 5_000;
const POLL_MS = 15;
/** A fork during a round of SIGTERM is caught by the next round; a tree that never stops forking meets the grace. */
const TERM_ROUNDS = 5;

export class NamespaceBox implements BoxedProcess {
  readonly pid: number;
  readonly pidStartTime: string;
  readonly bootId: string = bootId();
  readonly isolation: Isolation;
  readonly limitsHeld: GroupHeld;
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly ended: Promise<ProcessEnd>;
  readonly #outer: ChildProcess;
  readonly #init: ProcessIdentity;
  readonly #group: RunGroup;
  #stopping = false;
  #deadline = Number.POSITIVE_INFINITY;
  #killedAfterTimeout = false;
  #outlivedLeader: number | undefined;
  /** Resolved when init outlives its SIGKILL: bwrap waits for it, perhaps for ever, and nobody must wait with it. */
  readonly #stuck = Promise.withResolvers<Exit>();

  constructor(
    outer: ChildProcess,
    exited: Promise<Exit>,
    init: ProcessIdentity,
    leader: ProcessInfo,
    output: [Readable, Readable],
    held: { isolation: Isolation; group: RunGroup },
  ) {
    this.isolation = held.isolation;
    this.#group = held.group;
    this.limitsHeld = held.group.held;
    this.#outer = outer;
    this.#init = init;
    this.pid = leader.pid;
    this.pidStartTime = leader.startTime;
    [this.stdout, this.stderr] = output;
    this.ended = this.#watchEnd(exited);
  }

  release(): void {
    const go = this.#outer.stdio[GO_FD] as Writable;
    if (go.writable) go.end("\n");
  }

  async stop(graceMs: number): Promise<void> {
    this.#deadline = Math.min(this.#deadline, performance.now() + graceMs);
    if (!this.#stopping) {
      this.#stopping = true;
      await this.#stopWithGrace();
    }
    await this.ended;
  }

  async kill(): Promise<void> {
    // A stop that is under way sees init gone and wakes the outer bwrap.
    await this.#killInit();
    await this.ended;
  }

  usage(processes?: ProcessInfo[]): { cpuMs: number; memoryBytes: number; processes: number } {
    if (!isAlive(this.#init)) return { cpuMs: 0, memoryBytes: 0, processes: 0 };
    const living = listDescendants(this.#init.pid, processes).filter((info) => info.state !== "Z");
    const members = living.map((info) => info.pid);
    const used = processUsage(members);
    // Init has waited for every orphan that ended, so its own line holds their time.
    return {
      cpuMs: used.cpuMs + processUsage([this.#init.pid]).cpuMs,
      memoryBytes: this.#group.memoryBytes() ?? used.memoryBytes,
      processes: members.length,
    };
  }

  async #stopWithGrace(): Promise<void> {
    try {
      this.#outer.kill("SIGSTOP");
      // A signal is delivered a moment after kill() returns; the leader must not be able to end before it is.
      await pollUntil(() => this.#outerIsStoppedOrGone(), { everyMs: 1, timeoutMs: 500 });
      killPoint("stop.held");
      this.#terminateMembers();
      killPoint("stop.signalled");
      const isOver = (): boolean => performance.now() >= this.#deadline;
      await pollUntil(() => isOver() || !isAlive(this.#init), {
        everyMs: POLL_MS,
        timeoutMs: Number.POSITIVE_INFINITY,
      });
      if (isAlive(this.#init)) {
        this.#killedAfterTimeout = true;
        this.#outlivedLeader = this.#membersWithoutLeader();
        await this.#killInit();
        killPoint("stop.killed");
      }
    } finally {
      this.#outer.kill("SIGCONT");
    }
  }

  /** The kernel ends every member with init, unless something holds a member: a debugger, a disk that does not answer. */
  async #killInit(): Promise<void> {
    signalProcess(this.#init, "SIGKILL");
    await pollUntil(() => !isAlive(this.#init), { everyMs: 2, timeoutMs: PATIENCE_MS });
    if (!isAlive(this.#init)) return;
    this.#outer.kill("SIGKILL");
    this.#stuck.resolve({ exitCode: null, signal: null });
  }

  #membersWithoutLeader(): number | undefined {
    if (isAlive({ pid: this.pid, startTime: this.pidStartTime })) return undefined;
    return listDescendants(this.#init.pid).filter((info) => info.state !== "Z").length;
  }

  #outerIsStoppedOrGone(): boolean {
    if (this.#outer.exitCode !== null || this.#outer.signalCode !== null) return true;
    const state = readProcess(this.#outer.pid ?? 0)?.state;
    return state === undefined || "TZX".includes(state);
  }

  #terminateMembers(): void {
    const signaled = new Set<string>();
    for (let round = 0; round < TERM_ROUNDS; round += 1) {
      const fresh = listDescendants(this.#init.pid).filter((info) => !signaled.has(`${info.pid} ${info.startTime}`));
      if (fresh.length === 0) return;
      for (const info of fresh) {
        signaled.add(`${info.pid} ${info.startTime}`);
        signalProcess(info, "SIGTERM");
        // A stopped process would otherwise sleep through its grace.
        if (info.state === "T") signalProcess(info, "SIGCONT");
      }
    }
  }

  async #watchEnd(exited: Promise<Exit>): Promise<ProcessEnd> {
    const exit = await Promise.race([exited, this.#stuck.promise]);
    closeExtraStreams(this.#outer);
    // bwrap ended with the leader; the kernel is already ending init, and this makes it certain.
    await this.#killInit();
    const leaked = isAlive(this.#init)
      ? [this.#init.pid, ...listDescendants(this.#init.pid).map((info) => info.pid)]
      : [];
    const limitsHit = this.#group.hits();
    await this.#group.remove();
    return {
      ...(limitsHit.length === 0 ? {} : { limitsHit }),
      ...decodeExit(exit),
      killedAfterTimeout: this.#killedAfterTimeout,
      outlivedLeader: this.#outlivedLeader,
      leaked,
    };
  }
}

/** bwrap passes a signal on as 128+n. Its own death by a signal is the box's. */
function decodeExit(exit: { exitCode: number | null; signal: string | null }): {
  exitCode: number | null;
  signal: string | null;
} {
  const number = (exit.exitCode ?? 0) - 128;
  const name = Object.entries(constants.signals).find(([, value]) => value === number)?.[0];
  return name === undefined ? { exitCode: exit.exitCode, signal: exit.signal } : { exitCode: null, signal: name };
}

/** Ends Core's side of the go and status descriptors. */
export function closeExtraStreams(child: ChildProcess | undefined): void {
  for (const stream of child?.stdio.slice(GO_FD) ?? []) stream?.destroy();
}
