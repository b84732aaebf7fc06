import { diffText } from "../agent-view.ts";
import { type CommandContext, required } from "../context.ts";

export async function run(context: CommandContext): Promise<void> {
  const agentId = required(context, 0);
  const client = await context.connect();
  const answer = await client.call("diff_agent", { params: { agent_id: agentId } });
  context.output.result(answer, (style) => diffText(style, answer));
  context.output.nextStep(answer.next_step);
}
