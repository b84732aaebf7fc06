/**
 * git in a sandbox of its own for each call: Core's repository (writable only where the call writes), the system's
 * programs, and nothing else of this machine; of the network the host and port that the URL names, through Core's proxy.
 *
 * SECURITY: packs, refs and answers are made by strangers, and git and its libraries are large programs in C. Whoever
 * takes one of them over finds no key, no file of the operator, no other agent and no network; pinned by
 * "a git that was taken over finds nothing but the repository".
 */
import { randomBytes } from "node:crypto";
import type { Server } from "node:net";
import { CoreError } from "@opensentience/protocol";
import type { Act } from "../audit-log/audit-log.ts";
import type { ToolResult } from "../host/child-process.ts";
import type { SandboxMode } from "../host/config.ts";
import {
  boxPrefix,
  describeHeld,
  gitPolicy,
  runBoxedTool,
  type CoreFolders,
  type Isolation,
  type SandboxProbe,
} from "../sandbox/sandbox.ts";
import { findGit, type GitProgram } from "./git-command.ts";
import { sshPlaces } from "./git-ssh.ts";

/** Core's proxy. */
export type GitEgress = {
  open: (
    use: { runId: string; agentId: string; patterns: readonly string[]; act: Act; reservedToo: boolean },
    listener: Server,
  ) => Promise<void>;
  /** Says what became of it. */
  close: (
    runId: string,
  ) => { lastError: { code: string; message: string; host?: string; port?: number } | undefined } | undefined;
};

export type HeldGitDeps = {
  probe: SandboxProbe;
  sandboxMode: SandboxMode;
  toolPath: string;
  /** How the markers of all work of this home begin. */
  workMark: string;
  core: CoreFolders;
  sshAuthSocket: string | undefined;
  egress: GitEgress;
  /** Whose refused connections are recorded, and after which act. */
  agentId: string;
  act: Act;
};

/** Where git runs, in the words of a run's record. */
export function gitIsolation(probe: SandboxProbe, mode: SandboxMode): Isolation {
  return describeHeld(probe, mode !== "off").isolation;
}

/**
 * git as it is held here: in a sandbox, or, where there is none, as a process tree that ends with Core. Nothing of a
 * repository runs either way, so an install does not need a sandbox as a build does. Throws `install.git_missing`.
 */
export async function heldGit(deps: HeldGitDeps): Promise<GitProgram> {
  const git = { ...(await findGit(deps.toolPath)), marker: `${deps.workMark}git` };
  if (gitIsolation(deps.probe, deps.sandboxMode) !== "sandbox")
    return { ...git, box: (cwd) => boxPrefix(deps.probe, cwd) };
  return { ...git, sandbox: sandboxOf(deps, git.gitPath) };
}

/** Throws `install.clone_failed` where the proxy says better than git why a remote was not reached. */
function sandboxOf(deps: HeldGitDeps, gitPath: string): NonNullable<GitProgram["sandbox"]> {
  return async (argv, reach, { descriptors: _descriptors, ...options }) => {
    const { remote } = reach;
    const policy = gitPolicy({
      repository: reach.repoFolder,
      writes: reach.writes,
      source: reach.source,
      own: reach.transport === "ssh" ? sshPlaces(deps.core.operatorHome, deps.sshAuthSocket) : [],
      hasWayOut: remote !== undefined,
      toolPath: deps.toolPath,
      program: gitPath,
      core: deps.core,
    });
    const box = { ...options, probe: deps.probe, policy, cwd: reach.repoFolder };
    if (remote === undefined) return runBoxedTool(argv, box);
    const runId = `git-${randomBytes(8).toString("hex")}`;
    const { agentId, act, egress } = deps;
    const patterns = [`${remote.host}:${remote.port}`];
    let said: ReturnType<GitEgress["close"]>;
    const run = async (): Promise<ToolResult> => {
      try {
        const wayOut = (listener: Server): Promise<void> =>
          egress.open({ runId, agentId, patterns, act, reservedToo: true }, listener);
        return await runBoxedTool(argv, { ...box, wayOut });
      } finally {
        said = egress.close(runId);
      }
    };
    const result = await run();
    if (result.exitCode !== 0 && !result.aborted && !result.timedOut && said?.lastError !== undefined)
      throw notReached(said.lastError);
    return result;
  };
}

function notReached({
  code,
  message,
  host,
  port,
}: {
  code: string;
  message: string;
  host?: string;
  port?: number;
}): CoreError {
  const isElsewhere = code === "egress.not_approved" && host !== undefined;
  const why = isElsewhere ? `it was sent on to ${host}:${port}, and is let to the host of the URL only` : message;
  return new CoreError("install.clone_failed", `git could not fetch the repository: ${why}`, {
    details: { code, host, port },
    nextStep: "check the address and the network, then try again",
  });
}
