/** What a build is refused for besides its steps: its time, and what it left. */
import { CoreError } from "@opensentience/protocol";
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
