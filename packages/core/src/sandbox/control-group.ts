/**
 * Limits of a whole run by the kernel's control groups: memory, number of processes, processor time. Where Core may make
 * groups each run with such a limit gets one of its own, entered while its shim still waits, so that nothing of
 * the agent ever ran outside; it is removed with the run.
 *
 * Version 2 needs a subtree that was delegated to Core (a service with `Delegate=yes`, or root in a container) in which
 * no other process stands: the kernel gives limits to groups below only when none is in the group itself, so Core moves
 * itself one group down. In version 1 each controller has a tree of its own, which only root may write.
 * What could not be set is told, with the reason, and called advisory; a run never fails for it.
 */
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { release as osRelease } from "node:os";
import { basename, dirname, join } from "node:path";
import { pollUntil, readProcess } from "../host/process-tree.ts";
import {
  countIn,
  GROUP_CONTROLLERS,
  HIT_FILES,
  layoutOf,
  limitWrites,
  MEMORY_FILES,
  type GroupController,
  type GroupLayout,
  type GroupLimits,
} from "./control-group-layout.ts";

type Parent = { version: 1 | 2; folder: string };
/** Where groups of runs are made, per controller, or why they are not. */
export type GroupHome = Record<GroupController, Parent | { reason: string }>;

/** True: the kernel holds it. A text: why not. Only limits that were asked for. */
export type GroupHeld = Partial<Record<GroupController, true | string>>;

export type RunGroup = {
  held: GroupHeld;
  /** Which limits the run met so far. */
  hits: () => GroupController[];
  /**
   * What the run has in memory, in bytes, without files that were only read: each page once, however many of its
   * processes share it. Undefined where no group holds its memory.
   */
  memoryBytes: () => number | undefined;
  /** Once nothing of the run is alive. Never throws. */
  remove: () => Promise<void>;
};

/** Core's own group in version 2, below the one it was started in. */
const CORE_GROUP = "opensentience-core";
/** Behind it stand the pid of the Core that made it and the run. */
const RUN_PREFIX = "opensentience-run-";
const NONE = "this machine has no control groups that Core may use";

/** Where nobody looked. */
export const NO_GROUPS: GroupHome = { memory: { reason: NONE }, pids: { reason: NONE }, cpu: { reason: NONE } };

/** Finds out once per Core; moves Core one group down where version 2 needs that. Never throws. */
export function openControlGroups(): GroupHome {
  try {
    return openGroupsIn(
      layoutOf(readFileSync("/proc/self/cgroup", "utf8"), readFileSync("/proc/self/mountinfo", "utf8")),
    );
  } catch {
    return NO_GROUPS;
  }
}

export function openGroupsIn({ unified, legacy }: GroupLayout): GroupHome {
  const own = unified !== undefined && basename(unified) === CORE_GROUP ? dirname(unified) : unified;
  const opened = own === undefined ? NONE : openUnified(own);
  const find = (controller: GroupController): GroupHome[GroupController] => {
    if (typeof opened !== "string" && opened.has(controller)) return { version: 2, folder: own ?? "" };
    const old = legacy[controller];
    if (old !== undefined) return openLegacy(old);
    return { reason: typeof opened === "string" ? opened : `the ${controller} controller is not delegated to Core` };
  };
  const home: GroupHome = { memory: find("memory"), pids: find("pids"), cpu: find("cpu") };
  for (const parent of Object.values(home)) if ("folder" in parent) removeEmpty(parent.folder);
  return home;
}

/** The controllers that groups below `own` have now, or why none. */
function openUnified(own: string): Set<string> | string {
  const offered = words(join(own, "cgroup.controllers")).filter((name) =>
    GROUP_CONTROLLERS.some((one) => one === name),
  );
  if (offered.length === 0) return "no controller of control groups is delegated to Core";
  const core = join(own, CORE_GROUP);
  try {
    // Without this file it is the root of the tree, which may hold processes and groups.
    const isRoot = !readdirSync(own).includes("cgroup.type");
    if (!isRoot) {
      mkdirSync(core, { recursive: true });
      writeFileSync(join(core, "cgroup.procs"), String(process.pid));
    }
    for (const name of offered) writeFileSync(join(own, "cgroup.subtree_control"), `+${name}`);
  } catch (error) {
    leave(own, core);
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EBUSY")
      return "other processes stand in Core's control group (start Core as a service with Delegate=yes)";
    return `Core may not make control groups (${code ?? "unknown error"})`;
  }
  return new Set(words(join(own, "cgroup.subtree_control")));
}

/** Back where Core was. */
function leave(own: string, core: string): void {
  try {
    writeFileSync(join(own, "cgroup.procs"), String(process.pid));
    rmdirSync(core);
  } catch {
    // It was never left, or Core stands one group further down than it was started: nothing follows from it.
  }
}

function openLegacy(folder: string): Parent | { reason: string } {
  const trial = join(folder, `${RUN_PREFIX}trial-${process.pid}`);
  try {
    mkdirSync(trial);
    rmdirSync(trial);
    return { version: 1, folder };
  } catch (error) {
    return { reason: `Core may not make control groups (${(error as NodeJS.ErrnoException).code ?? "unknown error"})` };
  }
}

/** What a Core that was killed left. A group with a living process cannot be removed, which is as it should be. */
function removeEmpty(folder: string): void {
  for (const name of readdirSync(folder).filter((one) => one.startsWith(RUN_PREFIX))) {
    if (readProcess(Number.parseInt(name.slice(RUN_PREFIX.length), 10)) !== undefined) continue;
    try {
      rmdirSync(join(folder, name));
    } catch {
      // Not empty, or gone.
    }
  }
}

/**
 * True where RLIMIT_NPROC counts the processes of one user namespace, and so of one box: since Linux 5.14, and never for
 * root, which the kernel does not bind.
 */
export function rlimitHoldsProcesses(
  release: string = osRelease(),
  uid: number | undefined = process.geteuid?.(),
): boolean {
  const [major = 0, minor = 0] = release.split(".").map((part) => Number.parseInt(part, 10));
  return process.platform === "linux" && uid !== 0 && (major > 5 || (major === 5 && minor >= 14));
}

/** Where a group holds the number of processes the kernel counts every fork that it refused; elsewhere nobody does. */
export function countsProcesses({ groups = NO_GROUPS }: { groups?: GroupHome }): boolean {
  return "folder" in groups.pids;
}

/** Makes the group of a run, sets its limits and puts the processes into it. Never throws; `held` says what holds. */
export function joinGroup(home: GroupHome, runId: string, limits: GroupLimits, pids: readonly number[]): RunGroup {
  const made = new Map<GroupController, { version: 1 | 2; folder: string }>();
  const held: GroupHeld = {};
  for (const controller of GROUP_CONTROLLERS) {
    if (limitWrites(2, controller, limits).length === 0) continue;
    const parent = home[controller];
    held[controller] = "reason" in parent ? parent.reason : enter(parent, controller);
  }
  return { held, hits, memoryBytes, remove };

  function enter(parent: Parent, controller: GroupController): true | string {
    const folder = join(parent.folder, `${RUN_PREFIX}${process.pid}-${runId}`);
    try {
      mkdirSync(folder, { recursive: true });
      made.set(controller, { version: parent.version, folder });
      const [telling, ...others] = limitWrites(parent.version, controller, limits);
      if (telling === undefined) return "there is no such limit";
      writeFileSync(join(folder, telling.file), telling.text);
      for (const { file, text } of others) tryWrite(join(folder, file), text);
      for (const pid of pids) writeFileSync(join(folder, "cgroup.procs"), String(pid));
      // SECURITY: what is called enforced is what the kernel says, not what was asked of it; pinned by "a limit that was not taken is called advisory".
      const now = readFileSync(join(folder, telling.file), "utf8").trim();
      return now.startsWith("max") || now === "-1" ? "the kernel did not take the limit" : true;
    } catch (error) {
      return `it could not be set (${(error as NodeJS.ErrnoException).code ?? "unknown error"})`;
    }
  }

  function hits(): GroupController[] {
    return [...made].flatMap(([controller, { version, folder }]) => {
      const counter = HIT_FILES[version][controller];
      if (counter === undefined) return [];
      return countIn(words(join(folder, counter.file), "\n").join("\n"), counter.word) > 0 ? [controller] : [];
    });
  }

  function memoryBytes(): number | undefined {
    const group = held.memory === true ? made.get("memory") : undefined;
    if (group === undefined) return undefined;
    const { used, stat, idle } = MEMORY_FILES[group.version];
    const [bytes] = words(join(group.folder, used));
    if (bytes === undefined) return undefined;
    return Math.max(0, Number(bytes) - countIn(words(join(group.folder, stat), "\n").join("\n"), idle));
  }

  async function remove(): Promise<void> {
    const folders = new Set([...made.values()].map(({ folder }) => folder));
    for (const folder of folders) await pollUntil(() => isRemoved(folder), { everyMs: 5, timeoutMs: 1_000 });
  }
}

function isRemoved(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}

function tryWrite(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch {
    // A machine without swap has no such file.
  }
}

function words(path: string, separator: string | RegExp = /\s+/): string[] {
  try {
    return readFileSync(path, "utf8").split(separator).filter(Boolean);
  } catch {
    return [];
  }
}
