import { sayIfUnknown } from "../agent-id.ts";
import type { CommandContext } from "../context.ts";
import { toolsTable } from "../tool-view.ts";

export async function run(context: CommandContext): Promise<void> {
  const client = await context.connect();
  const agent = context.options.text("agent");
  const list = await client.call("list_tools", { query: { agent } });
  context.output.result(list, (style) => (list.items.length === 0 ? "no tools" : toolsTable(style, list.items)));
  if (list.items.length > 0) return;
  const isUnknown = agent !== undefined && (await sayIfUnknown(context, client, agent));
  context.output.nextStep(isUnknown ? "opensentience agents list" : "opensentience agents ps");
}
