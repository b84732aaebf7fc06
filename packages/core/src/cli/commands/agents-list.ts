import { agentsTable } from "../agent-view.ts";
import { allPages } from "../all-pages.ts";
import type { CommandContext } from "../context.ts";

export async function run(context: CommandContext): Promise<void> {
  await showAgents(context, undefined, "opensentience agents scan");
}

/** All known agents, or those that a search finds. */
export async function showAgents(context: CommandContext, q: string | undefined, nextStep: string): Promise<void> {
  const client = await context.connect();
  const list = await allPages((cursor) => client.call("list_agents", { query: { q, cursor, limit: 500 } }));
  context.output.result(list, (style) => (list.items.length === 0 ? "no agents" : agentsTable(style, list.items)));
  if (list.items.length === 0) context.output.nextStep(nextStep);
}
