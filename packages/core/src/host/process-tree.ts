/**
 * What the kernel says about processes: who they are, who their parents are, what they use, and one safe way to
 * signal them. A leaf under the sandbox, the launcher (reconciling at Core's start) and `agents ps`.
 *
 * Everything is read from /proc at the moment of the call; nothing is cached and nothing is watched. The list of a
 * process's children is found by scanning /proc/<pid>/stat for the parent's pid, because
 * /proc/<pid>/task/<tid>/children is a kernel option that many machines do not have. A scan is not a snapshot:
 * processes fork and end while it runs, so a caller that must catch everything scans until nothing new appears.
 *
 * A pid alone never names a process: numbers are reused within seconds on a busy machine and at once after a reboot.
 * A process is (pid, start time, boot id), and `signalProcess` compares the start time right before the signal.
 *
 * Promises: no function here throws because a process ended while it was looked at. Where there is no /proc (macOS)
 * `hasProcessTable()` is false, reads answer undefined or an empty list, and callers say so instead of guessing.
 * Refuses: to signal pid 0, pid 1 or a negative pid, and to signal a process whose start time does not match.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";

/** One line of the process table. `startTime` is in clock ticks since boot, as the kernel prints it. */
export type ProcessInfo = {
  pid: number;
  ppid: number;
  processGroup: number;
  session: number;
  startTime: string;
  /** The kernel's letter: R running, S sleeping, D uninterruptible, T stopped, Z zombie, X dead. */
  state: string;
  /** The kernel's short name: at most 15 bytes, chosen by the process itself, so never to be trusted. */
  name: string;
  /** User and system time of the process and of the children it has waited for, in milliseconds. */
  cpuMs: number;
};

/** Names one process for certain as long as the machine is not rebooted. */
export type ProcessIdentity = { pid: number; startTime: string };

/** USER_HZ: the unit of times in /proc. A constant of the kernel's interface on every platform Node runs on. */
const MS_PER_TICK = 1000 / 100;

/** False where the operating system has no /proc: then every read here answers "unknown". */
export function hasProcessTable(): boolean {
  return statSync("/proc/self/stat", { throwIfNoEntry: false }) !== undefined;
}

/** The process with that pid now, or undefined when there is none (or no /proc). */
export function readProcess(pid: number): ProcessInfo | undefined {
  const text = readProcFile(`/proc/${pid}/stat`);
  return text === undefined ? undefined : parseStat(text);
}

/**
 * One line of /proc/<pid>/stat. The name is in parentheses and may itself hold spaces, newlines and parentheses, so
 * the fields are counted from the last `)`.
 * SECURITY: a process that names itself `x) S 1 1` would choose its own parent; pinned by "reads a name that imitates the fields".
 */
export function parseStat(text: string): ProcessInfo | undefined {
  const open = text.indexOf("(");
  const close = text.lastIndexOf(")");
  if (open < 0 || close < open) return undefined;
  const fields = text.slice(close + 2).split(" ");
  const startTime = fields[19];
  if (startTime === undefined) return undefined;
  const ticks = [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0);
  return {
    pid: Number.parseInt(text, 10),
    name: text.slice(open + 1, close),
    state: fields[0] ?? "?",
    ppid: Number(fields[1]),
    processGroup: Number(fields[2]),
    session: Number(fields[3]),
    startTime,
    cpuMs: ticks * MS_PER_TICK,
  };
}

/**
 * Every process visible to Core, read one after the other in descending order of pids, because the newest are the ones
 * most likely to be gone a moment later; nothing where there is no /proc.
 */
export function* scanProcesses(): Generator<ProcessInfo> {
  let names: string[];
  try {
    names = readdirSync("/proc");
  } catch {
    return;
  }
  const pids = names.filter((name) => /^\d+$/.test(name)).map(Number);
  for (const pid of pids.sort((a, b) => b - a)) {
    const info = readProcess(pid);
    if (info) yield info;
  }
}

/** The whole of one scan. */
export function listProcesses(): ProcessInfo[] {
  return [...scanProcesses()];
}

/** Children, grandchildren and so on of a process, without itself, zombies included; from one scan unless given. */
export function listDescendants(rootPid: number, processes: ProcessInfo[] = listProcesses()): ProcessInfo[] {
  const byParent = Map.groupBy(processes, (info) => info.ppid);
  const found: ProcessInfo[] = [];
  const queue = [rootPid];
  for (let pid = queue.pop(); pid !== undefined; pid = queue.pop()) {
    for (const child of byParent.get(pid) ?? []) {
      found.push(child);
      queue.push(child.pid);
    }
  }
  return found;
}

/** Changes with every boot of the machine; "" where the system does not tell. */
export function bootId(): string {
  return readProcFile("/proc/sys/kernel/random/boot_id")?.trim() ?? "";
}

/**
 * True only when the process that was recorded still exists (a zombie counts as existing). False also when it cannot be told.
 * SECURITY: after a reboot or a wrap of the numbers a stranger wears the pid; pinned by "does not take a reused pid for the recorded process".
 */
export function isSameProcess(pid: number, startTime: string, recordedBootId: string): boolean {
  if (startTime === "" || recordedBootId === "" || recordedBootId !== bootId()) return false;
  return readProcess(pid)?.startTime === startTime;
}

/** True while the process can still run code: it exists with that start time and is neither zombie nor dead. */
export function isAlive(process: ProcessIdentity): boolean {
  const info = readProcess(process.pid);
  return info !== undefined && info.startTime === process.startTime && info.state !== "Z" && info.state !== "X";
}

/**
 * Sends a signal to exactly that process; false when it is gone or belongs to somebody else.
 * SECURITY: the start time is compared right before the signal, so a reused pid is never hit; pinned by "never signals a process with another start time".
 */
export function signalProcess(target: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (target.pid <= 1 || readProcess(target.pid)?.startTime !== target.startTime) return false;
  try {
    return process.kill(target.pid, signal);
  } catch {
    return false;
  }
}

/**
 * What the given processes use together. `cpuMs` holds also the children they have waited for. `memoryBytes` adds up
 * resident sets, so pages shared between two of them count twice. Processes that are gone count as nothing.
 */
export function processUsage(pids: number[]): { cpuMs: number; memoryBytes: number } {
  let cpuMs = 0;
  let memoryBytes = 0;
  for (const pid of pids) {
    cpuMs += readProcess(pid)?.cpuMs ?? 0;
    // VmRSS is in kB whatever the size of a page; statm would need the page size, which Node does not know.
    const resident = /^VmRSS:\s+(\d+) kB$/m.exec(readProcFile(`/proc/${pid}/status`) ?? "");
    memoryBytes += Number(resident?.[1] ?? 0) * 1024;
  }
  return { cpuMs, memoryBytes };
}

/** True when the process was started with exactly that `NAME=value`. A process can drop it from its children. */
export function hasEnvironmentEntry(pid: number, entry: string): boolean {
  return environmentOf(pid).includes(entry);
}

/** The same for an entry that begins so. */
export function hasEnvironmentPrefix(pid: number, prefix: string): boolean {
  return environmentOf(pid).some((entry) => entry.startsWith(prefix));
}

function environmentOf(pid: number): string[] {
  return (readProcFile(`/proc/${pid}/environ`) ?? "").split("\0");
}

/**
 * Looks until `check` answers something other than undefined or false, or `timeoutMs` has passed; then the last answer.
 * The kernel gives Node no event for processes that are not its children, so short-lived waits on them poll.
 */
export async function pollUntil<T>(
  check: () => T,
  { everyMs, timeoutMs }: { everyMs: number; timeoutMs: number },
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = check();
    if ((answer !== undefined && answer !== false) || performance.now() >= deadline) return answer;
    await delay(everyMs);
  }
}

function readProcFile(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined;
  }
}
