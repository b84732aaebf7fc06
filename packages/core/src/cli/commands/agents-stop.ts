import { type CommandContext, required } from "../context.ts";
import { runState } from "../run-view.ts";

/** Core answers when nothing of the agent is alive; the wait is shown. */
export async function run(context: CommandContext): Promise<void> {
  const agentId = required(context, 0);
  const { output } = context;
  const client = await context.connect();
  const progress = output.progress();
  progress.show("stopping", `${agentId} and everything it started`);
  const stopped = await client.call("stop_agent", { params: { agent_id: agentId } }).finally(progress.end);
  output.result(stopped, (style) => runState(style, stopped));
  output.nextStep(stopped.next_step);
}
