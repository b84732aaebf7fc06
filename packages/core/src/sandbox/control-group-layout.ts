/** Where a process stands among the kernel's control groups, and what a limit is there: pure, with golden tests. */
import { posix } from "node:path";

export const GROUP_CONTROLLERS = ["memory", "pids", "cpu"] as const;
export type GroupController = (typeof GROUP_CONTROLLERS)[number];

/** Of all processes of a run together. */
export type GroupLimits = {
  memoryBytes?: number;
  /** Processes and threads. */
  pids?: number;
  /** Thousandths of a core. */
  cpuMillis?: number;
};

/** The folder of this process's own group: in the one tree of version 2, and in the trees of version 1. */
export type GroupLayout = { unified?: string; legacy: Partial<Record<GroupController, string>> };

/** A file of a group and what is written to it. */
export type GroupWrite = { file: string; text: string };

/** Of `cpu.max`, in microseconds. */
const CPU_PERIOD = 100_000;

/** Reads `/proc/self/cgroup` and `/proc/self/mountinfo`. */
export function layoutOf(groups: string, mounts: string): GroupLayout {
  const own = groups.split("\n").flatMap((line) => {
    const [, controllers = "", path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    return path === undefined ? [] : [{ controllers: controllers.split(","), path }];
  });
  const layout: GroupLayout = { legacy: {} };
  for (const mount of mounts.split("\n").flatMap(parseMount)) {
    for (const { controllers, path } of own) {
      const folder = posix.resolve(posix.join(mount.point, below(path, mount.root)));
      if (mount.type === "cgroup2" && controllers[0] === "") layout.unified ??= folder;
      if (mount.type !== "cgroup") continue;
      for (const name of GROUP_CONTROLLERS)
        if (controllers.includes(name) && mount.options.includes(name)) layout.legacy[name] ??= folder;
    }
  }
  return layout;
}

type Mount = { root: string; point: string; type: string; options: string[] };

function parseMount(line: string): Mount[] {
  const [front = "", behind] = line.split(" - ");
  const [, , , root = "", point = ""] = front.split(" ");
  const [type = "", , options = ""] = (behind ?? "").split(" ");
  return behind === undefined ? [] : [{ root, point, type, options: options.split(",") }];
}

/** A mount may show a part of the tree only, as in a container. */
function below(path: string, root: string): string {
  if (root === "/" || path === root) return path === root && root !== "/" ? "/" : path;
  return path.startsWith(`${root}/`) ? path.slice(root.length) : path;
}

/** What sets one limit, the telling file first; empty where there is no such limit. */
export function limitWrites(version: 1 | 2, controller: GroupController, limits: GroupLimits): GroupWrite[] {
  const { memoryBytes, pids, cpuMillis } = limits;
  if (controller === "pids") return pids === undefined ? [] : [{ file: "pids.max", text: String(pids) }];
  if (controller === "memory") {
    if (memoryBytes === undefined) return [];
    if (version === 1) {
      return [
        { file: "memory.limit_in_bytes", text: String(memoryBytes) },
        // With swap: no more than that either. The kernel refuses it before the other is set.
        { file: "memory.memsw.limit_in_bytes", text: String(memoryBytes) },
      ];
    }
    return [
      { file: "memory.max", text: String(memoryBytes) },
      { file: "memory.swap.max", text: "0" },
      // A tree that lost one of its processes would go on in a state that nobody wrote it for.
      { file: "memory.oom.group", text: "1" },
    ];
  }
  if (cpuMillis === undefined) return [];
  const quota = Math.max(1_000, Math.round((cpuMillis * CPU_PERIOD) / 1_000));
  if (version === 2) return [{ file: "cpu.max", text: `${quota} ${CPU_PERIOD}` }];
  return [
    { file: "cpu.cfs_quota_us", text: String(quota) },
    { file: "cpu.cfs_period_us", text: String(CPU_PERIOD) },
  ];
}

/** The file that counts how often a limit was met, and the word before the number. */
export const HIT_FILES: Record<1 | 2, Partial<Record<GroupController, { file: string; word: string }>>> = {
  1: { memory: { file: "memory.oom_control", word: "oom_kill" }, pids: { file: "pids.events", word: "max" } },
  2: { memory: { file: "memory.events", word: "oom_kill" }, pids: { file: "pids.events", word: "max" } },
};

/** The files that say what a group has in memory, and the word before what the kernel would take back first. */
export const MEMORY_FILES: Record<1 | 2, { used: string; stat: string; idle: string }> = {
  1: { used: "memory.usage_in_bytes", stat: "memory.stat", idle: "total_inactive_file" },
  2: { used: "memory.current", stat: "memory.stat", idle: "inactive_file" },
};

/** The number behind a word that begins a line; 0 where it is not there. */
export function countIn(text: string, word: string): number {
  return Number(new RegExp(`^${word} (\\d+)$`, "m").exec(text)?.[1] ?? 0);
}
