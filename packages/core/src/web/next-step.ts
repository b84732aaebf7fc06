/**
 * The one obvious next action of an agent: install → build → enable → run; of a run that an approval has overtaken, its
 * restart. A start that Core knows it would refuse, or end at once, is not advised: what makes it possible is.
 */
import type { ApprovalJson } from "@opensentience/protocol";
import { type AgentRecord, reinstallCommand } from "../catalog/catalog.ts";
import type { Inspected } from "../enablement/enablement.ts";
import { ARGUMENTS_NOT_KEPT, refusedVariable } from "../launcher/launcher.ts";
import type { Domain, Services } from "./domain.ts";

export type Moved = Pick<Inspected, "drift" | "repairStep">;
/** Of an agent in a list, whose files are not read. */
export const UNSEEN: Moved = { drift: null, repairStep: null };

/** `isOvertaken`: an approval that was given since waits for the next start of its run. */
export function nextStep(
  domain: Pick<Domain, "environmentValue">,
  services: Pick<Services, "enablement" | "launcher">,
  agent: AgentRecord,
  { drift, repairStep }: Moved,
  isOvertaken: boolean,
): string {
  const command = (verb: string): string => `opensentience agents ${verb} ${agent.agentId}`;
  if (agent.installPath === null) return reinstallCommand(agent);
  // Files that were changed in place are no case for a review: nothing can be approved until they are put back.
  if (repairStep !== null) return repairStep;
  const isRunning = agent.status === "running";
  if (!isRunning && (agent.buildStatus !== "built" || agent.buildCommit !== agent.commit)) return command("build");
  // A start of what has drifted would be refused.
  if (drift !== null) return command("diff");
  if (isRunning && !isOvertaken) return command("logs");
  const approval = services.enablement.newest(agent.agentId);
  if (isRunning) return startStep(domain, services, agent, approval, command("restart"));
  if (approval?.status !== "active") return command("enable");
  return startStep(domain, services, agent, approval, command("run"));
}

/** That start, or what has to come before it. */
function startStep(
  { environmentValue }: Pick<Domain, "environmentValue">,
  { launcher }: Pick<Services, "launcher">,
  { agentId, lastError, status }: AgentRecord,
  approval: ApprovalJson | null,
  start: string,
): string {
  const approvedPermissions = approval?.approved_permissions ?? [];
  const refused = refusedVariable({ agentId, approvedPermissions, valueOf: environmentValue });
  if (refused?.code === "launcher.env_missing")
    return `export ${String(refused.details["name"])}, then restart Core from that shell: opensentience core restart`;
  if (refused?.nextStep !== undefined) return refused.nextStep;
  if (status === "running") return start;
  const full = launcher.folderToEmpty(agentId);
  if (full !== undefined) return `empty ${full}, then: ${start}`;
  return lastError?.includes(ARGUMENTS_NOT_KEPT) === true ? `${start} -- …` : start;
}
