import { type CommandContext, required } from "../context.ts";
import { toolParams } from "../tool-id.ts";
import { toolPage } from "../tool-view.ts";

export async function run(context: CommandContext): Promise<void> {
  const params = toolParams(required(context, 0));
  const client = await context.connect();
  const tool = await client.call("get_tool", { params });
  context.output.result(tool, (style) => toolPage(style, tool));
  context.output.nextStep(tool.next_step);
}
