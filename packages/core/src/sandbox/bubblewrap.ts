/**
 * One agent in a box of its own, made by bubblewrap (bwrap): with a policy the box is a sandbox (box-vector.ts), without
 * one only the process tree is held.
 *
 * Three processes stand between Core and the agent: the outer bwrap (Core's child), its init (pid 1 of the namespace)
 * and the leader (the shim that becomes the agent). The kernel ends a namespace with its init: once init is gone,
 * whatever forked, called setsid or cleared its environment is gone too. That is what "stopped" rests on.
 *
 * Death of Core: bwrap and its init ask the kernel for SIGKILL when their parent dies, which reaches them even while
 * stopped. Before the go byte the shim ends by itself. Before bwrap has asked, it must not end of Core's death in any
 * other way either: what becomes its init waits for a word of it, and would wait for ever. So its report goes into a
 * pipe that it can read itself (a pipe that nobody reads would end it). Between its asking and its word, an instant
 * later, nothing helps; the next start of Core ends that init by the run's id, or by the mark of its home for a build and
 * a call of git.
 *
 * Stop: bwrap exits with the leader, and init then dies of its parent's death, which would take the other members'
 * grace away. So the outer bwrap is stopped (SIGSTOP) first; every process below init gets SIGTERM; init ends by
 * itself when it has no more children; when the grace is over it gets SIGKILL. Then the outer bwrap continues and
 * its exit status carries the leader's. SIGTERM never goes to bwrap itself, which would end the box without grace.
 */
import { once } from "node:events";
import { closeSync } from "node:fs";
import type { Server } from "node:net";
import type { Readable, Writable } from "node:stream";
import { CoreError } from "@opensentience/protocol";
import { spawnProcess, whenExited, whenSpawned, type ChildProcess, type Exit } from "../host/child-process.ts";
import { killPoint } from "../host/kill-point.ts";
import { openPipes, type OpenPipe } from "../host/pipe.ts";
import {
  listDescendants,
  pollUntil,
  readProcess,
  type ProcessIdentity,
  type ProcessInfo,
} from "../host/process-tree.ts";
import { BOX_FDS, boxVector, PROC_READ_ONLY, type BoxFeatures } from "./box-vector.ts";
import { boxEnvironment, GO_FD, shimVector, type BoxedProcess, type BoxOptions } from "./boxed-process.ts";
import { closeExtraStreams, NamespaceBox } from "./namespace-box.ts";
import { countsProcesses, joinGroup, NO_GROUPS, rlimitHoldsProcesses, type RunGroup } from "./control-group.ts";
import { movedPlace, openPlaces } from "./open-places.ts";
import type { BoxPolicy } from "./policy.ts";
import { seccompProgram } from "./seccomp.ts";
import { etcFiles, systemView, type SystemView } from "./system-view.ts";
import { listenerArguments, receiveListener } from "./way-out.ts";

const STATUS_FD = 4;
/** How long bwrap may take to set a box up before Core says that it failed. */
const PATIENCE_MS = 10_000;

/**
 * The vector without a policy: everything open, but a PID namespace, a /proc of its own, a session of its own and no capability.
 * SECURITY: --new-session keeps the agent's `kill 0` from reaching the outer bwrap, which would end the box without
 * grace; pinned by "a member that signals its own group does not reach the wrapper".
 * SECURITY: with Core as root the agent would keep root's capabilities, take /proc away again and enter the namespaces
 * of others; pinned by "an agent of root has no capability and cannot unmount its /proc".
 * SECURITY: root's uid alone may set kernel.core_pattern and have the kernel run a program with all capabilities; pinned
 * by "an open box of root cannot change a kernel setting".
 * The environment is given to the spawn and never as --setenv, because everybody can read an argument vector.
 */
export function boxFlags(cwd: string, view: SystemView = systemView()): string[] {
  return [
    "--dev-bind",
    "/",
    "/",
    "--unshare-pid",
    "--proc",
    "/proc",
    ...view.kernelReadOnly.flatMap((path) => ["--ro-bind", path, path]),
    ...view.procMasked.flatMap((path) => ["--ro-bind", "/dev/null", path]),
    ...PROC_READ_ONLY,
    "--die-with-parent",
    "--new-session",
    "--cap-drop",
    "ALL",
    "--chdir",
    cwd,
  ];
}

/** What bubblewrap is given beside its vector: the files it makes up, the filter, and the granted places. */
export type BoxInput = { flags: string[]; data: readonly Buffer[]; placeFds: readonly number[] };

/** The caller closes `placeFds` after the spawn. Throws `sandbox.path_is_link`. */
export function confine(policy: BoxPolicy, cwd: string, features: BoxFeatures): BoxInput {
  const etc = etcFiles();
  const flags = boxVector(policy, cwd, systemView(), features);
  // In the order of BOX_FDS.
  const data = [etc.hosts, seccompProgram(process.arch) ?? Buffer.alloc(0), etc.passwd, etc.group, etc.nsswitch];
  return {
    flags,
    data: data.map((one) => Buffer.from(one)),
    placeFds: features.bindFd ? openPlaces(policy.granted) : [],
  };
}

/** Descriptors from 6 on, as a spawn takes them; the data is written by `feedBox`. */
export function boxStdio(input: BoxInput): ("pipe" | number)[] {
  return [...input.data.map(() => "pipe" as const), ...input.placeFds];
}

export function feedBox(child: ChildProcess, input: BoxInput): void {
  for (const [index, bytes] of input.data.entries()) {
    const stream = child.stdio[BOX_FDS.hosts + index] as Writable | null | undefined;
    // bubblewrap may end before it has read them; its exit says all there is to say.
    stream?.on("error", () => {});
    stream?.end(bytes);
  }
}

/** Starts the box up to the shim. Fails with `launcher.start_failed`; then nothing of it is left. */
export async function startInNamespace(bwrapPath: string, options: BoxOptions): Promise<BoxedProcess> {
  const wayOut = wayOutOf(options);
  const input = inputOf(options);
  let pipes: OpenPipe[] = [];
  let writeFds: number[] = [];
  let child: ChildProcess | undefined;
  let listener: Promise<Server> | undefined;
  try {
    pipes = await openPipes(options.pipeFolder, 3, 1);
    writeFds = pipes.map((pipe) => pipe.writeFd);
    const [stdout, stderr, report] = pipes as [OpenPipe, OpenPipe, OpenPipe];
    const limits = { ...("confined" in options.policy ? {} : options.policy.limits), ...processLimit(options) };
    const listeners = wayOut === undefined ? [] : listenerArguments();
    const status = ["--json-status-fd", String(STATUS_FD)];
    const argv = [bwrapPath, ...input.flags, ...status, "--", ...shimVector(limits, listeners), ...options.argv];
    const fifth = wayOut === undefined ? "ignore" : "ipc";
    child = spawnProcess(argv, {
      cwd: "/",
      env: boxEnvironment(options),
      stdio: ["ignore", stdout.writeFd, stderr.writeFd, "pipe", report.writeFd, fifth, ...boxStdio(input)],
    });
    // Now, so that bwrap's end is the end of its report.
    closeSync(writeFds.pop() ?? -1);
    const exited = whenExited(child);
    if (wayOut !== undefined) listener = receiveListener(child, PATIENCE_MS);
    // Written to or read from after the box is gone, these fail with EPIPE; the exit says all there is to say.
    for (const stream of child.stdio.slice(GO_FD)) stream?.on("error", () => {});
    await whenSpawned(child);
    child.on("error", () => {});
    feedBox(child, input);
    killPoint("box.spawned");
    const { init, leader } = await findInside(report.readEnd, exited);
    report.readEnd.destroy();
    if (listener !== undefined) await wayOut?.(await listener);
    // Its shim still waits for the go, so all that comes is born in the group.
    const group = groupOf(options, [init.pid, leader.pid]);
    killPoint("box.ready");
    const isolation = "confined" in options.policy ? "pid_namespace" : "sandbox";
    return new NamespaceBox(child, exited, init, leader, [stdout.readEnd, stderr.readEnd], { isolation, group });
  } catch (cause) {
    child?.kill("SIGKILL");
    closeExtraStreams(child);
    void listener?.then((one) => one.close()).catch(() => {});
    const stderr = pipes[1];
    if (stderr === undefined) throw cause;
    const said = await lastWords(stderr.readEnd);
    for (const pipe of pipes) pipe.readEnd.destroy();
    const moved = "confined" in options.policy ? undefined : movedPlace(said, options.policy, input.flags);
    if (moved !== undefined) throw moved;
    throw new CoreError("launcher.start_failed", "bubblewrap could not make the box", {
      ...(said ? { details: { reason: said } } : {}),
      nextStep: "opensentience core status",
      cause,
    });
  } finally {
    for (const fd of writeFds) closeSync(fd);
    for (const fd of input.placeFds) closeSync(fd);
  }
}

function groupOf(options: BoxOptions, pids: readonly number[]): RunGroup {
  const group = joinGroup(options.probe.groups ?? NO_GROUPS, options.marker, options.treeLimits ?? {}, pids);
  if (processLimit(options).processes !== undefined) group.held.pids = true;
  return group;
}

/** Without a group for it the number of processes is the shim's to limit, where that means this box alone. */
function processLimit({ policy, probe, treeLimits }: BoxOptions): { processes?: number } {
  if (treeLimits?.pids === undefined || countsProcesses(probe) || "confined" in policy || !rlimitHoldsProcesses())
    return {};
  return { processes: treeLimits.pids };
}

/** A way out of a network that is open would hold nothing: a fault of the caller. */
function wayOutOf({ policy, wayOut }: BoxOptions): BoxOptions["wayOut"] {
  const isEmpty = "confined" in policy ? !policy.network : policy.network === "none";
  if (wayOut === undefined || isEmpty) return wayOut;
  throw new CoreError("core.internal", "a box with an open network has no way out");
}

function inputOf({ policy, cwd, probe }: BoxOptions): BoxInput {
  if ("confined" in policy) {
    const flags = [...boxFlags(cwd), ...(policy.network ? [] : ["--unshare-net"])];
    return { flags, data: [], placeFds: [] };
  }
  // SECURITY: a policy that cannot be held must never become a box without one; pinned by "a policy is never dropped".
  if (probe.features === undefined)
    throw new CoreError("sandbox.required", "this machine cannot hold a sandbox", { nextStep: "opensentience doctor" });
  return confine(policy, cwd, probe.features);
}

/** Waits for bwrap's word on its init and for the leader to appear below it. */
async function findInside(
  report: Readable,
  exited: Promise<Exit>,
): Promise<{ init: ProcessIdentity; leader: ProcessInfo }> {
  let gone = false;
  void exited.then(() => (gone = true));
  const initPid = await readInitPid(report);
  const leader = await pollUntil(() => gone || readyLeader(initPid), { everyMs: 1, timeoutMs: PATIENCE_MS });
  const init = readProcess(initPid);
  if (typeof leader !== "object" || !init)
    throw new Error("bubblewrap ended before the agent's first process was there");
  return { init, leader };
}

/**
 * The leader, once init sleeps in its wait loop: it has by then asked for the signal on its parent's death.
 * The kernel hands out pids in order, so the next few numbers are tried before all of /proc.
 */
function readyLeader(initPid: number): ProcessInfo | undefined {
  if (readProcess(initPid)?.state !== "S") return undefined;
  for (let pid = initPid + 1; pid < initPid + 8; pid += 1) {
    const info = readProcess(pid);
    if (info?.ppid === initPid) return info;
  }
  return listDescendants(initPid).find((info) => info.ppid === initPid);
}

/** The first line that bwrap writes: `{ "child-pid": N, … }`. N is as Core sees it. Later lines nobody needs. */
function readInitPid(report: Readable): Promise<number> {
  return new Promise<number>((resolve, reject) => {
    const giveUp = (): void => reject(new Error("bubblewrap did not report its init"));
    const timer = setTimeout(giveUp, PATIENCE_MS);
    const settle = (pid: number): void => {
      clearTimeout(timer);
      resolve(pid);
    };
    let text = "";
    report.once("close", giveUp).on("data", (chunk: Buffer) => {
      if (text.length < 4096) text += chunk.toString("latin1");
      const pid = /"child-pid":\s*(\d+)/.exec(text)?.[1];
      if (pid !== undefined) settle(Number(pid));
    });
    report.once("close", () => clearTimeout(timer));
  });
}

/** What bwrap printed before it gave up: at most 500 bytes, waited for only briefly. */
async function lastWords(stderr: Readable): Promise<string> {
  let said = "";
  stderr.on("data", (chunk: Buffer) => (said ||= chunk.subarray(0, 500).toString("utf8").trim()));
  await once(stderr, "data", { signal: AbortSignal.timeout(200) }).catch(() => {});
  return said;
}
