import { allPages } from "../all-pages.ts";
import type { CommandContext } from "../context.ts";

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
  context.output.result(list, (style) => [agentsTable(style, list.items), ...restartLines(list.items)].join("\n"));
}
