import type { CommandContext } from "../context.ts";
import { toolsTable } from "../tool-view.ts";

export async function run(context: CommandContext): Promise<void> {
  const client = await context.connect();
  const list = await client.call("list_tools", { query: { agent: context.options.text("agent") } });
  context.output.result(list, (style) => (list.items.length === 0 ? "no tools" : toolsTable(style, list.items)));
  if (list.items.length === 0) context.output.nextStep("opensentience agents ps");
}
