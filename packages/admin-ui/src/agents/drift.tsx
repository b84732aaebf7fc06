import type { AgentJson, DriftJson } from "@opensentience/protocol";
import { useQuery } from "@tanstack/react-query";
import { call } from "../api/client.ts";
import { Badge } from "../ui/badge.tsx";

const REVIEWED = new Set<AgentJson["status"]>(["enabled", "running", "stopped", "error"]);
const FRESH_MS = 5 * 60_000;

/**
 * Whether an approved agent is still what was approved. Core hashes its files for the answer, so only rows in view ask,
 * two at a time, and an answer holds until an event speaks of the agent.
 */
export function useDrift(agent: Pick<AgentJson, "agent_id" | "status">): DriftJson | null {
  const { data } = useQuery({
    queryKey: ["drift", agent.agent_id],
    queryFn: ({ signal }) => inTurn(() => call("diff_agent", { params: { agent_id: agent.agent_id } }, signal)),
    enabled: REVIEWED.has(agent.status),
    staleTime: FRESH_MS,
    retry: false,
  });
  return data?.drift ?? null;
}

export function DriftBadge({ drift }: { drift: DriftJson | null }) {
  if (drift === null) return null;
  return (
    <Badge tone="bad" title={`Moved since you approved it: ${drift.layers.join(", ")}`}>
      Drifted
    </Badge>
  );
}

const AT_ONCE = 2;
const waiting: (() => void)[] = [];
let asking = 0;

async function inTurn<T>(ask: () => Promise<T>): Promise<T> {
  if (asking >= AT_ONCE) await new Promise<void>((go) => waiting.push(go));
  asking += 1;
  try {
    return await ask();
  } finally {
    asking -= 1;
    waiting.shift()?.();
  }
}
