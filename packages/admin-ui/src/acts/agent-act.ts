/** What every act on one agent needs: its name, the agent it is about, and what is read again afterwards. */
import type { AgentJson } from "@opensentience/protocol";
import { useQueryClient } from "@tanstack/react-query";
import { agentQuery } from "../api/queries.ts";
import type { ResponseOf } from "../api/routes.ts";

export type AgentAct = "install" | "build" | "run" | "restart" | "update" | "rollback" | "revoke" | "remove";
export type ActAgent = Pick<
  AgentJson,
  "agent_id" | "name" | "status" | "source_git_url" | "source_ref" | "source_commit" | "install_path" | "next_step"
>;
export type ActProps = { agent: ActAgent; onClose: () => void };

/** The agent after an act takes the place of the one that was read; lists are read again. */
export function useAfterAct(): (agent: ResponseOf<"get_agent">) => void {
  const client = useQueryClient();
  return (agent) => {
    client.setQueryData(agentQuery(agent.agent_id).queryKey, agent);
    for (const key of [["agents"], ["status"], ["drift", agent.agent_id], ["runs"]])
      void client.invalidateQueries({ queryKey: key });
  };
}

/** Run from its author's own folder (`install --dev`), which no commit stands for. */
export function isInPlace({ install_path, source_commit }: Pick<ActAgent, "install_path" | "source_commit">): boolean {
  return install_path !== null && source_commit === null;
}

/** A repository on this machine has to be allowed each time. */
export function isLocal(url: string | null): boolean {
  return url !== null && (url.startsWith("/") || url.startsWith("file:"));
}
