/** What this machine can hold, found by running boxes. */
import { findProgram, runTool } from "../host/child-process.ts";
import type { SandboxProbe } from "./boxed-process.ts";
import type { BoxFeatures } from "./box-vector.ts";
import { boxFlags, boxStdio, confine, feedBox } from "./bubblewrap.ts";
import type { BoxPolicy } from "./policy.ts";
import { seccompProgram } from "./seccomp.ts";

const PROBE_MS = 10_000;
/** The smallest policy there is. */
const NOTHING: BoxPolicy = { granted: [], hidden: [], own: [], tools: [], network: "none", limits: {} };
/** Pid 1 is bubblewrap's init, so a shell that sees itself as 2 stands in a namespace of its own. */
const TRIAL = ["--", "/bin/sh", "-c", "echo $$"];
const TRIAL_ANSWER = "2\n";

/**
 * Tries to run boxes and says what this machine can do; never throws. The caller keeps the answer for the life of
 * Core. `pathVariable` is where bwrap is looked for: Core's own, never an agent's.
 */
export async function probeSandbox(pathVariable: string): Promise<SandboxProbe> {
  const bwrapPath = await findProgram("bwrap", pathVariable);
  if (bwrapPath === undefined) {
    return {
      backend: "process_group",
      reason: `bubblewrap (bwrap) is not on tools.path (${pathVariable})`,
      nextStep: "install the package bubblewrap, then restart Core",
    };
  }
  const limits = { env: { PATH: pathVariable, LC_ALL: "C" }, cwd: "/", timeoutMs: PROBE_MS, maxBytes: 16_384 };
  try {
    const asked = await runTool([bwrapPath, "--version"], limits);
    const version = /\d+(\.\d+)+/.exec(asked.stdout.toString("latin1"))?.[0] ?? "unknown";
    const help = (await runTool([bwrapPath, "--help"], limits)).stdout.toString("latin1");
    const run = async (
      flags: string[],
      descriptors?: Parameters<typeof runTool>[1]["descriptors"],
    ): Promise<string> => {
      const tried = await runTool([bwrapPath, ...flags, ...TRIAL], {
        ...limits,
        ...(descriptors === undefined ? {} : { descriptors }),
      });
      if (tried.exitCode === 0 && tried.stdout.toString("latin1") === TRIAL_ANSWER) return "";
      if (tried.timedOut) return "bubblewrap did not finish a trial run in time";
      return `bubblewrap failed a trial run: ${tried.stderr.toString("utf8").trim().slice(0, 500) || "no message"}`;
    };
    const sandbox = await trySandbox(run, help);
    if (typeof sandbox !== "string") return { backend: "bubblewrap", bwrapPath, version, features: sandbox };
    const nextStep = "allow unprivileged user namespaces for bwrap, then restart Core";
    const tree = await run(boxFlags("/"));
    return { backend: tree === "" ? "bubblewrap" : "process_group", bwrapPath, version, reason: sandbox, nextStep };
  } catch {
    return {
      backend: "process_group",
      bwrapPath,
      reason: "bubblewrap could not be executed",
      nextStep: "reinstall the package bubblewrap, then restart Core",
    };
  }
}

type Run = (flags: string[], descriptors?: Parameters<typeof runTool>[1]["descriptors"]) => Promise<string>;

/** What the sandbox can use here, or why there is none. */
async function trySandbox(run: Run, help: string): Promise<BoxFeatures | string> {
  if (seccompProgram(process.arch) === undefined) return `there is no filter of system calls for ${process.arch}`;
  const bindFd = help.includes("--ro-bind-fd");
  let said = "";
  // A bubblewrap that is setuid cannot switch nested user namespaces off; the filter of system calls still does.
  for (const disableUserns of help.includes("--disable-userns") ? [true, false] : [false]) {
    const features = { disableUserns, bindFd };
    const input = confine(NOTHING, "/", features);
    const stdio = ["ignore" as const, "ignore" as const, "ignore" as const, ...boxStdio(input)];
    const answer = await run(input.flags, { stdio, feed: (child) => feedBox(child, input) });
    if (answer === "") return features;
    said ||= answer;
  }
  return said;
}
