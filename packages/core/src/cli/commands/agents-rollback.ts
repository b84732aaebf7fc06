import { agentState } from "../agent-view.ts";
import { type CommandContext, required } from "../context.ts";

export async function run(context: CommandContext): Promise<void> {
  const client = await context.connect();
  const agent = await client.call("rollback_agent", { params: { agent_id: required(context, 0) } });
  context.output.result(agent, (style) => `rolled back\n${agentState(style, agent)}`);
  context.output.nextStep(agent.next_step);
}
