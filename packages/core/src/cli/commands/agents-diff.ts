import { driftText } from "../agent-view.ts";
import { type CommandContext, required } from "../context.ts";

export async function run(context: CommandContext): Promise<void> {
  const agentId = required(context, 0);
  const client = await context.connect();
  const answer = await client.call("diff_agent", { params: { agent_id: agentId } });
  context.output.result(answer, (style) =>
    answer.drift === null ? "nothing changed since the approval" : driftText(style, answer.drift),
  );
  if (answer.drift !== null) context.output.nextStep(answer.drift.next_step);
}
