/**
 * What may a process touch, and how is it ended: the door to everything that Core starts on behalf of an agent.
 *
 * A policy (policy.ts) names what a box shows of this machine; what it does not name is not there. Approved
 * `filesystem:*` permissions become places (granted-places.ts), the policy becomes bubblewrap's fixed argument vector
 * (box-vector.ts) with a filter of system calls (seccomp.ts).
 *
 * Life cycle of a box: `checkProgram` says early what cannot work; `startBoxed` brings the box up to a small shim
 * that waits; the caller records pid and start time durably; `release()` lets the agent's first instruction happen;
 * `ended` resolves when the whole tree is gone. Between start and release nothing of the agent has run, so an agent
 * is never alive without a record of it. A Core that starts ends what an earlier one left with `endLeftover` and `endUnrecorded`.
 *
 * `probeSandbox` finds out what this machine can hold by running boxes, because version numbers and kernel settings do
 * not tell: permissions and the tree (bubblewrap), the tree alone (bubblewrap with everything open), or a process
 * group and a sweep of /proc. Each is labelled so everywhere it is shown. A policy is never dropped: where it cannot be
 * held the start fails, and a start without one has to ask for it (`UNCONFINED`).
 *
 * Promises: the agent gets descriptors 0 (empty), 1, 2 and no others, exactly the given environment (bubblewrap adds
 * PWD), and a session of its own. Output goes through real pipes with back-pressure.
 * Refuses: to run a shell line, or to guess a program. Callers: launcher, build, install.
 */
import type { BoxedProcess, BoxOptions, SandboxProbe } from "./boxed-process.ts";
import { boxFlags, startInNamespace } from "./bubblewrap.ts";
import { startInGroup } from "./process-group.ts";

export { UNCONFINED } from "./boxed-process.ts";
export type { BoxedProcess, BoxOptions, Isolation, ProcessEnd, SandboxProbe, Unconfined } from "./boxed-process.ts";
export { runBoxedTool, type BoxedToolOptions } from "./boxed-tool.ts";
export {
  countsProcesses,
  NO_GROUPS,
  openControlGroups,
  rlimitHoldsProcesses,
  type GroupHeld,
} from "./control-group.ts";
export type { GroupLimits } from "./control-group-layout.ts";
export { describeHeld, type Held } from "./held.ts";
export { buildPolicy, gitPolicy, runPolicy, shownAs, type CoreFolders } from "./make-policy.ts";
export type { BoxLimits, BoxNetwork, BoxPolicy, Place } from "./policy.ts";
export { probeSandbox } from "./probe.ts";
export { egressPatterns, PROXY_URL, proxyVariables } from "./proxy-variables.ts";
export { endLeftover, endUnrecorded, type RecordedProcess } from "./process-group.ts";
export { checkInside, checkProgram } from "./program.ts";
export { WAY_OUT_PORT } from "./way-out.ts";

/**
 * Starts a box up to its shim. Fails with `launcher.start_failed` (also when the folder vanished after `checkProgram`), `sandbox.path_is_link`
 * or `core.tool_missing` (mkfifo); then no process, descriptor or file of it is left.
 */
export async function startBoxed(options: BoxOptions): Promise<BoxedProcess> {
  const { backend, bwrapPath } = options.probe;
  if (backend === "bubblewrap" && bwrapPath !== undefined) return startInNamespace(bwrapPath, options);
  return startInGroup(options);
}

/**
 * What goes in front of a trusted tool's argv so that it and all it starts end with Core; empty where there are no
 * namespaces. For git where it has no sandbox (`runBoxedTool`); agents and builds go through `startBoxed`.
 */
export function boxPrefix(probe: SandboxProbe, cwd: string): string[] {
  return probe.backend === "bubblewrap" && probe.bwrapPath !== undefined
    ? [probe.bwrapPath, ...boxFlags(cwd), "--"]
    : [];
}
