/**
 * Who belongs to a run that is only a process group: found by four marks, each read from /proc: descent from the
 * leader, the leader's process group, its session, and the run's id in the environment a process was started with.
 * Whoever was found once is remembered by pid and start time, so that it is still known after it was orphaned.
 */
import {
  hasEnvironmentEntry,
  hasEnvironmentPrefix,
  hasProcessTable,
  listDescendants,
  readProcess,
  scanProcesses,
  signalProcess,
  type ProcessIdentity,
  type ProcessInfo,
} from "../host/process-tree.ts";

export class GroupMembers {
  readonly #leader: ProcessIdentity;
  readonly #hasMark: (pid: number) => boolean;
  readonly #ownsGroup: boolean;
  readonly #known = new Map<number, ProcessInfo>();

  /** `marker`: of one run, or how those of all work of a home begin. `ownsGroup`: the leader is or was Core's own child, so its group is the run's also after the leader is gone. */
  constructor(leader: ProcessIdentity, marker: string | { begins: string }, ownsGroup: boolean) {
    this.#leader = leader;
    const entry = `OPENSENTIENCE_RUN_ID=${typeof marker === "string" ? marker : marker.begins}`;
    this.#hasMark =
      typeof marker === "string"
        ? (pid): boolean => hasEnvironmentEntry(pid, entry)
        : (pid): boolean => hasEnvironmentPrefix(pid, entry);
    this.#ownsGroup = ownsGroup;
  }

  areAlive(): boolean {
    return hasProcessTable() ? this.living().length > 0 : this.#signalGroup(0);
  }

  /** Signals every living member except the given pids; answers whom. */
  signal(signal: NodeJS.Signals, except: ReadonlySet<number> = new Set()): Set<number> {
    if (!hasProcessTable()) return new Set(this.#signalGroup(signal) ? [this.#leader.pid] : []);
    const members = this.living().filter((info) => !except.has(info.pid));
    for (const info of members) {
      signalProcess(info, signal);
      // A stopped process would otherwise sleep through its grace.
      if (info.state === "T") signalProcess(info, "SIGCONT");
    }
    return new Set(members.map((info) => info.pid));
  }

  /** Living members from one scan; each is remembered. Never Core itself, whatever its environment holds. */
  living(): ProcessInfo[] {
    const now = new Map<number, ProcessInfo>();
    for (const info of scanProcesses()) {
      if (info.pid === process.pid) continue;
      now.set(info.pid, info);
      if (this.#isMarked(info)) this.#known.set(info.pid, info);
    }
    for (const [pid, info] of this.#known) if (now.get(pid)?.startTime !== info.startTime) this.#known.delete(pid);
    const processes = [...now.values()];
    for (const root of this.#known.keys()) {
      for (const info of listDescendants(root, processes)) this.#known.set(info.pid, info);
    }
    return [...this.#known.keys()].flatMap((pid) => now.get(pid) ?? []).filter((info) => !"ZX".includes(info.state));
  }

  /**
   * Belongs to the leader's group or session, or was started with the run's id. Looked at during the scan, since a
   * moment later the process may be gone.
   * SECURITY: a process older than the leader is never a member; and when the leader's pid went to a stranger, so may
   * have the numbers of its group and session, which then do not count; pinned by "leaves strangers alone" and
   * "a leftover's pid that went to a stranger is not touched".
   */
  #isMarked(info: ProcessInfo): boolean {
    if (Number(info.startTime) < Number(this.#leader.startTime)) return false;
    if (info.processGroup === this.#leader.pid || info.session === this.#leader.pid) {
      const now = readProcess(this.#leader.pid);
      if (now === undefined ? this.#ownsGroup : now.startTime === this.#leader.startTime) return true;
    }
    return info.state !== "Z" && this.#hasMark(info.pid);
  }

  #signalGroup(signal: NodeJS.Signals | 0): boolean {
    // kill(-1) would reach everything this user runs, kill(0) Core itself.
    if (!this.#ownsGroup || this.#leader.pid <= 1) return false;
    try {
      return process.kill(-this.#leader.pid, signal);
    } catch {
      return false;
    }
  }
}
