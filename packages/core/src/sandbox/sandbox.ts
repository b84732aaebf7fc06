/**
 * What may a process touch, and how is it ended: the door to everything that Core starts on behalf of an agent.
 *
 * Life cycle of a box: `checkProgram` says early what cannot work; `startBoxed` brings the box up to a small shim
 * that waits; the caller records pid and start time durably; `release()` lets the agent's first instruction happen;
 * `ended` resolves when the whole tree is gone. Between start and release nothing of the agent has run, so an agent
 * is never alive without a record of it. A Core that starts ends what an earlier one left with `endLeftover`.
 *
 * Two ways of holding the tree. With bubblewrap: a PID namespace per run, which ends every member for certain and
 * dies with Core. Without: a process group and a sweep of /proc, which are labelled so everywhere they are shown.
 * `probeSandbox` finds out by running a box, because version numbers and kernel settings do not tell.
 *
 * Promises: the agent gets descriptors 0 (empty), 1, 2 and no others, exactly the given environment (bubblewrap adds
 * PWD), and a session of its own. Output goes through real pipes with back-pressure.
 * Does not promise yet: to hold permissions. Files and network are open; `describeHeld` says so in words.
 * Refuses: to run a shell line, or to guess a program. Callers: launcher, build, install.
 */
import { findProgram, runTool } from "../host/child-process.ts";
import type { BoxedProcess, BoxOptions, Isolation, SandboxProbe } from "./boxed-process.ts";
import { boxFlags, startInNamespace } from "./bubblewrap.ts";
import { startInGroup } from "./process-group.ts";

export type { BoxedProcess, BoxOptions, Isolation, ProcessEnd, SandboxProbe } from "./boxed-process.ts";
export { endLeftover, type RecordedProcess } from "./process-group.ts";
export { checkInside, checkProgram } from "./program.ts";

const PROBE_MS = 10_000;

/**
 * Tries to run one box and says what this machine can do; never throws. The caller keeps the answer for the life of
 * Core. `pathVariable` is where bwrap is looked for: Core's own, never an agent's.
 */
export async function probeSandbox(pathVariable: string): Promise<SandboxProbe> {
  const bwrapPath = await findProgram("bwrap", pathVariable);
  if (bwrapPath === undefined) {
    return without(
      `bubblewrap (bwrap) is not on tools.path (${pathVariable})`,
      "install the package bubblewrap, then restart Core",
    );
  }
  const env = { PATH: pathVariable, LC_ALL: "C" };
  const limits = { env, cwd: "/", timeoutMs: PROBE_MS, maxBytes: 4096 };
  try {
    const asked = await runTool([bwrapPath, "--version"], limits);
    const version = /\d+(\.\d+)+/.exec(asked.stdout.toString("latin1"))?.[0] ?? "unknown";
    const tried = await runTool([bwrapPath, ...boxFlags("/"), "--", "/bin/sh", "-c", "echo $$"], limits);
    // Pid 1 is bubblewrap's init, so a shell that sees itself as 2 stands in a namespace of its own.
    if (tried.exitCode === 0 && tried.stdout.toString("latin1") === "2\n")
      return { backend: "bubblewrap", bwrapPath, version };
    const said = tried.stderr.toString("utf8").trim().slice(0, 500);
    const reason = tried.timedOut
      ? "bubblewrap did not finish a trial run in time"
      : `bubblewrap failed a trial run: ${said || "no message"}`;
    return without(reason, "allow unprivileged user namespaces for bwrap, then restart Core", { bwrapPath, version });
  } catch {
    return without("bubblewrap could not be executed", "reinstall the package bubblewrap, then restart Core", {
      bwrapPath,
    });
  }
}

/**
 * Starts a box up to its shim. Fails with `launcher.start_failed` (also when the folder vanished after `checkProgram`)
 * or `core.tool_missing` (mkfifo); then no process, descriptor or file of it is left.
 */
export async function startBoxed(options: BoxOptions): Promise<BoxedProcess> {
  const { backend, bwrapPath } = options.probe;
  if (backend === "bubblewrap" && bwrapPath !== undefined) return startInNamespace(bwrapPath, options);
  return startInGroup(options);
}

/**
 * What goes in front of a trusted tool's argv so that it and all it starts end with Core; empty where there are no
 * namespaces. For tools that Core itself chose (git); agents and builds go through `startBoxed`.
 */
export function boxPrefix(probe: SandboxProbe, cwd: string): string[] {
  return probe.backend === "bubblewrap" && probe.bwrapPath !== undefined
    ? [probe.bwrapPath, ...boxFlags(cwd), "--"]
    : [];
}

export type Held = {
  filesystem: "advisory";
  egress: "advisory";
  tools: "unsupported";
  isolation: Isolation;
  /** One plain sentence for the interface. */
  sentence: string;
};

/** How permissions are held by boxes of this kind: nothing is called enforced that is not. */
export function describeHeld(probe: SandboxProbe): Held {
  const held = { filesystem: "advisory", egress: "advisory", tools: "unsupported" } as const;
  if (probe.backend === "bubblewrap") {
    const sentence =
      "Each run has a PID namespace of its own, so Core can end all of it and it dies with Core; " +
      "file and network permissions are recorded, but nothing stops the agent from going beyond them.";
    return { ...held, isolation: "pid_namespace", sentence };
  }
  const sentence =
    `Runs are only process groups (${probe.reason ?? "bubblewrap is not available"}): a program that detaches itself ` +
    "may outlive its run or Core; file and network permissions are recorded, but nothing stops the agent from going beyond them.";
  return { ...held, isolation: "process_group", sentence };
}

function without(reason: string, nextStep: string, found: { bwrapPath?: string; version?: string } = {}): SandboxProbe {
  return { backend: "process_group", ...found, reason, nextStep };
}
