import { agentState } from "../agent-view.ts";
import { type CommandContext, required } from "../context.ts";
import { interruptedAs } from "../interrupted.ts";
import { withProgress } from "../with-progress.ts";

export async function run(context: CommandContext): Promise<void> {
  const { options, output } = context;
  const ref = options.text("ref");
  const input = {
    params: { agent_id: required(context, 0) },
    body: { ...(ref === undefined ? {} : { ref }), ...(options.flag("allow-local") ? { allow_local: true } : {}) },
  };
  const client = await context.connect();
  const agent = await interruptedAs("update canceled; nothing was changed", () =>
    withProgress(output, (onProgress) => client.call("update_agent", input, onProgress)),
  );
  output.result(agent, (style) => `up to date\n${agentState(style, agent)}`);
  output.nextStep(agent.next_step);
}
