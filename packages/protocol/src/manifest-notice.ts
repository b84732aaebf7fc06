/** That a manifest was changed where it is installed, in words. Pure. */
import type { AgentDiffJson } from "./control-diff.ts";

/** Null where the manifest is the one of the installed commit. */
export function manifestNotice(agent: Pick<AgentDiffJson, "manifest_changed" | "source_commit">): string | null {
  if (!agent.manifest_changed) return null;
  const commit = agent.source_commit?.slice(0, 12) ?? "that is installed";
  return `opensentience.agent.json was changed on this machine: it is not the one of commit ${commit}`;
}
