import { type AgentJson, type ApprovalJson, CoreError } from "@opensentience/protocol";
import { allPages } from "../all-pages.ts";
import type { CommandContext } from "../context.ts";
import type { ControlClient } from "../control-client.ts";

const COMPARED: readonly AgentJson["status"][] = ["enabled", "running", "stopped", "error"];
const MOST_COMPARED = 100;
/** Requests to Core under way at the same time. */
const AT_ONCE = 4;
/** An approval that ends within this time is marked, in ms. */
const SOON_MS = 24 * 3_600_000;

export async function run(context: CommandContext): Promise<void> {
  await showAgents(context, undefined, "opensentience agents scan");
}

/** All known agents, or those that a search finds. */
export async function showAgents(context: CommandContext, q: string | undefined, nextStep: string): Promise<void> {
  const client = await context.connect();
  const list = await allPages((cursor) => client.call("list_agents", { query: { q, cursor, limit: 500 } }));
  if (context.output.json || list.items.length === 0) {
    context.output.result(list, () => "no agents");
    context.output.nextStep(list.items.length === 0 ? nextStep : undefined);
    return;
  }
  const { agentsTable } = await import("../agent-view.ts");
  const { restartLines } = await import("../run-view.ts");
  const marks = await marksOf(client, list.items);
  context.output.result(list, (style) =>
    [agentsTable(style, list.items, marks), ...restartLines(list.items)].join("\n"),
  );
  const first = [...marks.values()].find(({ isDrifted }) => isDrifted);
  if (first !== undefined) context.output.nextStep(first.next);
}

type Mark = { isDrifted: boolean; endsAt: string | null; next: string };

/** Those that are no longer what was approved, each with its next step as `agents info` has it, or soon are not approved. Core compares the files for it; of very many agents that would take too long. */
async function marksOf(client: ControlClient, agents: readonly AgentJson[]): Promise<ReadonlyMap<string, Mark>> {
  const approved = agents.filter(({ status }) => COMPARED.includes(status)).slice(0, MOST_COMPARED);
  const marks = new Map<string, Mark>();
  for (let at = 0; at < approved.length; at += AT_ONCE) {
    const some = approved.slice(at, at + AT_ONCE);
    const answers = await Promise.all(
      some.map(({ agent_id }) => client.call("diff_agent", { params: { agent_id } }).catch(gone)),
    );
    // In the order of the list, whichever answer came first: the next step is the first one's.
    for (const [index, { agent_id }] of some.entries()) {
      const answer = answers[index];
      if (answer === undefined) continue;
      const next = answer.repair_step ?? `opensentience agents diff ${agent_id}`;
      marks.set(agent_id, { isDrifted: answer.drift !== null, endsAt: soonEnd(answer.approval), next });
    }
  }
  return marks;
}

function soonEnd(approval: ApprovalJson | null): string | null {
  const end = approval?.status === "active" ? approval.expires_at : null;
  return end !== null && Date.parse(end) - Date.now() < SOON_MS ? end : null;
}

/** Removed since it was listed, or not to be read just now: the list says what it knows. */
function gone(error: unknown): undefined {
  if (!(error instanceof CoreError)) throw error;
}
