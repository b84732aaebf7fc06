/**
 * A trusted tool on untrusted data (git on somebody's repository), run to its end in a sandbox: whatever takes it over
 * finds no more than the policy shows. Unlike an agent it has a stdin, is waited for, and leaves no record of its own.
 */
import { closeSync } from "node:fs";
import type { Server } from "node:net";
import type { Writable } from "node:stream";
import { CoreError } from "@opensentience/protocol";
import { runTool, type ChildProcess, type ToolOptions, type ToolResult } from "../host/child-process.ts";
import { GO_FD, shimVector, type SandboxProbe } from "./boxed-process.ts";
import { boxStdio, confine, feedBox } from "./bubblewrap.ts";
import type { BoxPolicy } from "./policy.ts";
import { listenerArguments, receiveListener } from "./way-out.ts";

export type BoxedToolOptions = Omit<ToolOptions, "descriptors" | "cwd"> & {
  probe: SandboxProbe;
  policy: BoxPolicy;
  /** As seen inside. */
  cwd: string;
  /** As for `startBoxed`; the tool waits until it resolved. */
  wayOut?: (listener: Server) => Promise<void>;
};

/** How long the socket of a way out may take. */
const PATIENCE_MS = 10_000;

/** As `runTool`. Throws `sandbox.required` too, and `launcher.start_failed` when there could be no way out. */
export async function runBoxedTool(argv: readonly string[], options: BoxedToolOptions): Promise<ToolResult> {
  const { probe, policy, cwd, wayOut, ...rest } = options;
  // SECURITY: a policy that cannot be held must never become a tool without one; pinned by "a tool is never run without its policy".
  if (probe.features === undefined || probe.bwrapPath === undefined)
    throw new CoreError("sandbox.required", "this machine cannot hold a sandbox", { nextStep: "opensentience doctor" });
  if (wayOut !== undefined && policy.network !== "none")
    throw new CoreError("core.internal", "a box with an open network has no way out");
  const input = confine(policy, cwd, probe.features);
  const shim = wayOut === undefined ? [] : shimVector({}, listenerArguments());
  const third = wayOut === undefined ? (["ignore", "ignore", "ignore"] as const) : (["pipe", "ignore", "ipc"] as const);
  let failed: unknown;
  const feed = (child: ChildProcess): void => {
    feedBox(child, input);
    if (wayOut !== undefined) void openWayOut(child, wayOut).catch((error: unknown) => (failed = error));
  };
  try {
    const result = await runTool([probe.bwrapPath, ...input.flags, "--", ...shim, ...argv], {
      ...rest,
      cwd: "/",
      descriptors: { stdio: [...third, ...boxStdio(input)], feed },
    });
    if (failed === undefined || result.aborted || result.timedOut) return result;
    throw new CoreError("launcher.start_failed", "the way out of the sandbox could not be made", {
      nextStep: "opensentience core status",
      cause: failed,
    });
  } finally {
    for (const fd of input.placeFds) closeSync(fd);
  }
}

/** The tool starts with the go byte; without it its shim ends by itself. */
async function openWayOut(child: ChildProcess, wayOut: NonNullable<BoxedToolOptions["wayOut"]>): Promise<void> {
  const go = child.stdio[GO_FD] as Writable;
  go.on("error", () => {});
  try {
    await wayOut(await receiveListener(child, PATIENCE_MS));
    go.end("\n");
  } catch (error) {
    go.destroy();
    throw error;
  }
}
