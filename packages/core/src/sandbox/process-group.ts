/**
 * One agent in a process group and session of its own: what is left where bubblewrap cannot run. Who belongs to the
 * tree is found by looking (see group-members.ts), since nothing in the kernel holds it together.
 *
 * What this does not hold, and the interface says so: a program that forks, calls setsid and clears its environment
 * between two looks is lost, and so is one that forks anew faster than Core can scan; what is seen and cannot be ended
 * is reported in `leaked`. Nothing tells the agent that Core died. The shim keeps an unreleased agent from ever
 * starting, and that is all: an agent that was released lives on until the next start of Core ends it (`endLeftover`).
 *
 * Without /proc (macOS) only the group itself can be signalled and asked whether it is empty.
 */
import { closeSync } from "node:fs";
import { performance } from "node:perf_hooks";
import type { Readable, Writable } from "node:stream";
import { CoreError } from "@opensentience/protocol";
import { spawnProcess, whenExited, whenSpawned, type ChildProcess, type Exit } from "../host/child-process.ts";
import { killPoint } from "../host/kill-point.ts";
import { openPipes, type OpenPipe } from "../host/pipe.ts";
import { bootId, pollUntil, processUsage, readProcess } from "../host/process-tree.ts";
import {
  boxEnvironment,
  GO_FD,
  shimVector,
  type BoxedProcess,
  type BoxOptions,
  type Isolation,
  type ProcessEnd,
} from "./boxed-process.ts";
import { joinGroup, NO_GROUPS, type GroupHeld } from "./control-group.ts";
import type { GroupLimits } from "./control-group-layout.ts";
import { GroupMembers } from "./group-members.ts";

const POLL_MS = 25;
/** How long SIGKILL is repeated before what is left is called leaked. */
const KILL_MS = 5_000;
/** No process has this number. */
const NOBODY = -1;

/** Starts the group up to the shim. Fails with `launcher.start_failed`; then nothing of it is left. */
export async function startInGroup(options: BoxOptions): Promise<BoxedProcess> {
  // SECURITY: a policy that cannot be held must never become a run without one; pinned by "a policy is never dropped".
  if (!("confined" in options.policy))
    throw new CoreError("sandbox.required", "this machine cannot hold a sandbox", { nextStep: "opensentience doctor" });
  const [stdout, stderr] = (await openPipes(options.pipeFolder, 2)) as [OpenPipe, OpenPipe];
  try {
    const child = spawnProcess([...shimVector(), ...options.argv], {
      cwd: options.cwd,
      env: boxEnvironment(options),
      stdio: ["ignore", stdout.writeFd, stderr.writeFd, "pipe"],
    });
    const exited = whenExited(child);
    await whenSpawned(child);
    killPoint("group.spawned");
    return new GroupBox(child, exited, options.marker, [stdout.readEnd, stderr.readEnd], options.treeLimits ?? {});
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
  readonly limitsHeld: GroupHeld;
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly ended: Promise<ProcessEnd>;
  readonly #leader: ChildProcess;
  readonly #members: GroupMembers;
  #grace: Promise<void> | undefined;
  #deadline = Number.POSITIVE_INFINITY;
  #killAsked = false;
  #killedAfterTimeout = false;
  #outlivedLeader: number | undefined;

  constructor(
    leader: ChildProcess,
    exited: Promise<Exit>,
    marker: string,
    output: [Readable, Readable],
    limits: GroupLimits,
  ) {
    this.limitsHeld = joinGroup(NO_GROUPS, "", limits, []).held;
    this.#leader = leader;
    this.pid = leader.pid ?? 0;
    this.pidStartTime = readProcess(this.pid)?.startTime ?? "";
    this.#members = new GroupMembers({ pid: this.pid, startTime: this.pidStartTime }, marker, true);
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
    this.#members.signal("SIGKILL");
    await this.ended;
  }

  usage(): { cpuMs: number; memoryBytes: number; processes: number } {
    const members = this.#members.living().map((info) => info.pid);
    return { ...processUsage(members), processes: members.length };
  }

  async #watchEnd(exited: Promise<Exit>): Promise<ProcessEnd> {
    const exit = await exited;
    this.#leader.stdio[GO_FD]?.destroy();
    // A stop that is under way owns the grace of the members that outlive the leader.
    await this.#grace;
    const leaked = await killAll(this.#members);
    return { ...exit, killedAfterTimeout: this.#killedAfterTimeout, outlivedLeader: this.#outlivedLeader, leaked };
  }

  async #stopWithGrace(): Promise<void> {
    const terminated = this.#members.signal("SIGTERM");
    // A fork during the first round is caught by the second.
    this.#members.signal("SIGTERM", terminated);
    killPoint("group.signalled");
    const isOver = (): boolean => this.#killAsked || performance.now() >= this.#deadline;
    await pollUntil(() => isOver() || !this.#members.areAlive(), {
      everyMs: POLL_MS,
      timeoutMs: Number.POSITIVE_INFINITY,
    });
    this.#killedAfterTimeout = !this.#killAsked && this.#members.areAlive();
    const living = this.#killedAfterTimeout ? this.#members.living() : [];
    if (living.length > 0 && !living.some((info) => info.pid === this.pid)) this.#outlivedLeader = living.length;
    this.#members.signal("SIGKILL");
    killPoint("group.killed");
  }
}

/** What Core wrote down about a run before it released it. */
export type RecordedProcess = { pid: number; pidStartTime: string; bootId: string; marker: string };

/**
 * Ends what is left of a run that an earlier Core recorded and could not end: the recorded process if it is still
 * that very process, its group, its descendants, and everything that was started with the run's id. Answers the pids
 * that are still alive; empty at once after a reboot or where there is no process table.
 */
export async function endLeftover(recorded: RecordedProcess): Promise<{ found: number; leaked: number[] }> {
  if (recorded.bootId === "" || recorded.bootId !== bootId()) return { found: 0, leaked: [] };
  const members = new GroupMembers({ pid: recorded.pid, startTime: recorded.pidStartTime }, recorded.marker, false);
  const found = members.living().length;
  return { found, leaked: found === 0 ? [] : await killAll(members) };
}

/**
 * Ends whatever was started with the id of a run whose processes nobody came to record, or with a marker that begins so.
 * Answers as `endLeftover`.
 */
export async function endUnrecorded(marker: string | { begins: string }): Promise<{ found: number; leaked: number[] }> {
  const members = new GroupMembers({ pid: NOBODY, startTime: "0" }, marker, false);
  const found = members.living().length;
  return { found, leaked: found === 0 ? [] : await killAll(members) };
}

/** SIGKILL until nothing is found, or for KILL_MS; answers who is still alive. */
async function killAll(members: GroupMembers): Promise<number[]> {
  let quiet = 0;
  // Empty means empty twice: a fork during a scan is seen by the next one only.
  const isEmpty = (): boolean => (quiet = members.signal("SIGKILL").size === 0 ? quiet + 1 : 0) >= 2;
  await pollUntil(isEmpty, { everyMs: POLL_MS, timeoutMs: KILL_MS });
  return members.living().map((info) => info.pid);
}
