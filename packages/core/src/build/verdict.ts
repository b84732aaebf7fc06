/** What a build is refused for besides its steps: its time, and what it left. */
import { CoreError } from "@opensentience/protocol";
import { unrecorded } from "../audit-log/audit-log.ts";
import { manifestRepairCommand, type AgentRecord } from "../catalog/catalog.ts";
import { changeableLinks, type TreeEntry } from "../tree/tree.ts";
import type { PutBack } from "./put-back.ts";

/** How long this build may still take, and whether somebody gave it up. */
export type Span = { startedMs: number; deadlineMs: number; signal: AbortSignal | undefined };

/** A build that was given up or ran out of time stays so, however far it came meanwhile. */
export function refuseOver(agent: AgentRecord, { signal, deadlineMs }: Span): void {
  if (signal?.aborted === true)
    throw new CoreError("build.canceled", "the build was canceled", {
      nextStep: `opensentience agents build ${agent.agentId}`,
    });
  if (performance.now() < deadlineMs) return;
  throw new CoreError("build.timeout", "the build was ended: it took longer than build.timeout_ms", {
    nextStep: "opensentience core status",
  });
}

/** What was shown may have been the plan of changed files: those are the commit's again, and it is another one for that. */
export function planChanged(agentId: string, { names, count }: PutBack): CoreError {
  const why = count === 0 ? "" : "changed files were put back, and ";
  return new CoreError("build.plan_changed", `${why}the plan is no longer the one that was shown; look at it again`, {
    ...(count === 0 ? {} : { details: { put_back: names.slice(0, 20) } }),
    nextStep: `opensentience agents build ${agentId} --plan`,
  });
}

/** A manifest that somebody changed and that nobody can read has no plan; the commit's own is there with an install. */
export function unreadablePlan(agent: AgentRecord, error: unknown): unknown {
  if (!(error instanceof CoreError) || !error.code.startsWith("manifest.")) return error;
  return new CoreError(error.code, error.message, {
    details: error.details,
    nextStep: manifestRepairCommand(agent),
    cause: error,
  });
}

export function unreadableTree(agent: AgentRecord, cause: unknown): CoreError {
  const code = (cause as NodeJS.ErrnoException).code ?? "unknown error";
  return new CoreError("build.failed", `the build left files that cannot be read (${code})`, {
    details: { code },
    nextStep: `opensentience agents build ${agent.agentId} --plan`,
    cause,
  });
}

/** The record of its start failed, when changed files had been put back already. */
export function notBegun({ names }: PutBack, cause: unknown): CoreError {
  const message = "changed files were put back, and the build was not begun, since the audit log cannot be written";
  return unrecorded(message, { details: { put_back: names.slice(0, 20) }, cause });
}

/** What a build that was begun ended by, in words that are true of it. */
export function endedBy(agentId: string, thrown: unknown): unknown {
  if (thrown instanceof CoreError) {
    if (thrown.code !== "audit.unavailable") return thrown;
    const message =
      "the build was begun and its steps may have been carried out, but that cannot be recorded, so it does not count: the agent is not built";
    return unrecorded(message, { details: { agent_id: agentId }, cause: thrown });
  }
  const code = (thrown as NodeJS.ErrnoException | null)?.code;
  if (code === undefined) return thrown;
  return new CoreError("install.io_failed", `files of the build could not be read or written (${code})`, {
    details: { code },
    nextStep: "opensentience doctor",
    cause: thrown,
  });
}

/** SECURITY: what a link leads to could be changed after the approval; pinned by "a build that links to files that others can change fails". */
export async function refuseChangeableLinks(agent: AgentRecord, source: string, entries: TreeEntry[]): Promise<void> {
  const links = await changeableLinks(source, entries);
  const [first] = links;
  if (first === undefined) return;
  throw new CoreError(
    "build.link_outside",
    `the build left ${first.path}, a link to ${first.target}, which somebody but root can change`,
    { details: { links: links.slice(0, 20) }, nextStep: `opensentience agents build ${agent.agentId} --plan` },
  );
}
