import { agentState } from "../agent-view.ts";
import { type CommandContext, required } from "../context.ts";
import { endedBefore } from "./agents-stop.ts";

export async function run(context: CommandContext): Promise<void> {
  const client = await context.connect();
  const askedAt = Date.now();
  const agent = await client.call("revoke_agent", { params: { agent_id: required(context, 0) } });
  const wasStopped = agent.run !== null && agent.run.stopped_at !== null && !endedBefore(agent.run, askedAt);
  context.output.result(
    agent,
    (style) => `${wasStopped ? "revoked, and stopped" : "revoked"}\n${agentState(style, agent)}`,
  );
  context.output.nextStep(agent.next_step);
}
