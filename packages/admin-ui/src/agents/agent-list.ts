/** Which agents a list shows, and in which order. Pure. */
import type { AgentJson, PsItemJson } from "@opensentience/protocol";
import { STATUS_ORDER } from "../ui/badge.tsx";

export const SORTS = [
  ["status", "Status"],
  ["name", "Name"],
  ["cpu", "CPU"],
  ["memory", "Memory"],
] as const;
export type Sort = (typeof SORTS)[number][0];

export type ListedAgent = { agent: AgentJson; run: PsItemJson | undefined };
export type Wanted = { words: string; status: string; sort: Sort };

export function listAgents(agents: readonly AgentJson[], runs: readonly PsItemJson[], wanted: Wanted): ListedAgent[] {
  const byAgent = new Map(runs.map((run) => [run.agent_id, run]));
  const words = wanted.words.toLowerCase().split(/\s+/).filter(Boolean);
  return agents
    .filter((agent) => wanted.status === "" || agent.status === wanted.status)
    .filter((agent) => words.every((word) => searched(agent).includes(word)))
    .map((agent) => ({ agent, run: byAgent.get(agent.agent_id) }))
    .toSorted((a, b) => compare(a, b, wanted.sort) || collator.compare(a.agent.name, b.agent.name));
}

export function countByStatus(agents: readonly AgentJson[]): [AgentJson["status"], number][] {
  const counts = new Map<AgentJson["status"], number>();
  for (const { status } of agents) counts.set(status, (counts.get(status) ?? 0) + 1);
  return STATUS_ORDER.flatMap((status) => {
    const count = counts.get(status);
    return count === undefined ? [] : [[status, count] as [AgentJson["status"], number]];
  });
}

const collator = new Intl.Collator(undefined, { numeric: true });

function searched({ agent_id: id, name, description, keywords }: AgentJson): string {
  return `${id} ${name} ${description} ${keywords.join(" ")}`.toLowerCase();
}

/** What runs or is in trouble stands first. */
const URGENCY: AgentJson["status"][] = [
  "error",
  "running",
  "enabled",
  "stopped",
  "installed",
  "local_dev",
  "local_uninstalled",
];

function compare(a: ListedAgent, b: ListedAgent, sort: Sort): number {
  switch (sort) {
    case "name":
      return 0;
    case "status":
      return URGENCY.indexOf(a.agent.status) - URGENCY.indexOf(b.agent.status);
    case "cpu":
      return (b.run?.cpu_percent ?? -1) - (a.run?.cpu_percent ?? -1);
    case "memory":
      return (b.run?.memory_bytes ?? -1) - (a.run?.memory_bytes ?? -1);
  }
}
