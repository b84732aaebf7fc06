import { eventPage } from "../audit-view.ts";
import { type CommandContext, required } from "../context.ts";

export async function run(context: CommandContext): Promise<void> {
  const client = await context.connect();
  const event = await client.call("get_audit", { params: { event_id: required(context, 0) } });
  context.output.result(event, (style) => eventPage(style, event));
}
