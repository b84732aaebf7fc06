/** Which command helps with an agent as the catalog knows it: to be named in errors and next steps. */
import { dirname } from "node:path";
import { CoreError } from "@opensentience/protocol";
import type { AgentRecord } from "./catalog.ts";

/** Refuses what needs an installed agent; says how to install it. */
export function notInstalled(agent: AgentRecord): CoreError {
  return new CoreError("install.not_installed", `${agent.agentId} is not installed`, {
    nextStep: reinstallCommand(agent),
  });
}

/** Throws `install.running`: the files of a running agent are not changed under its feet. */
export function refuseRunning(agent: AgentRecord): void {
  if (agent.status !== "running") return;
  throw new CoreError("install.running", `${agent.agentId} is running`, {
    nextStep: `opensentience agents stop ${agent.agentId}`,
  });
}

/** The command that fetches the agent again; a local source has to be allowed each time. */
export function reinstallCommand(agent: AgentRecord): string {
  if (agent.installPath !== null && agent.commit === null)
    return `opensentience agents install --dev ${agent.installPath}`;
  // Only a folder that was run in place, and was removed, has no repository (`setRemoved`).
  if (agent.gitUrl === null && agent.manifestPath !== null)
    return `opensentience agents install --dev ${dirname(agent.manifestPath)}`;
  const isLocal = agent.gitUrl?.startsWith("file:") === true || agent.gitUrl?.startsWith("/") === true;
  return `opensentience agents install ${agent.agentId}${isLocal ? " --allow-local" : ""}`;
}

/** Installed by the id of a commit: that choice is left only by another ref. */
export function isPinned(agent: AgentRecord): boolean {
  return agent.ref !== null && agent.ref === agent.commit;
}

/**
 * The command that puts changed files back. A build begins with exactly the installed commit, so what was approved stays
 * approved; installing again would move to the newest commit of its ref.
 */
export function repairCommand(agent: AgentRecord): string {
  if (agent.status === "running") return `opensentience agents stop ${agent.agentId}`;
  return agent.commit === null ? reinstallCommand(agent) : `opensentience agents build ${agent.agentId}`;
}

/** Of an agent whose manifest is broken or gone: no build can be planned without it, and an install brings the commit's own. */
export function manifestRepairCommand(agent: AgentRecord): string {
  return agent.status === "running" ? repairCommand(agent) : reinstallCommand(agent);
}
