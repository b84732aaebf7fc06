import { type CommandContext, required } from "../context.ts";
import { withTool } from "../tool-id.ts";
import { toolPage } from "../tool-view.ts";

export async function run(context: CommandContext): Promise<void> {
  const client = await context.connect();
  const tool = await withTool(context, client, required(context, 0), (params) => client.call("get_tool", { params }));
  context.output.result(tool, (style) => toolPage(style, tool));
  context.output.nextStep(tool.next_step);
}
