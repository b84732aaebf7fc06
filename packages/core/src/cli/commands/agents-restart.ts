import { boundaryLabel } from "../boundary-label.ts";
import { type CommandContext, required } from "../context.ts";
import { showingEarlyExit } from "../early-exit.ts";
import { interruptedAs } from "../interrupted.ts";
import { runState } from "../run-view.ts";

export async function run(context: CommandContext): Promise<void> {
  const agentId = required(context, 0);
  const { output } = context;
  const client = await context.connect();
  const label = boundaryLabel(output.askStyle, `restart ${agentId}`);
  const started = await showingEarlyExit(output, label, () =>
    interruptedAs(`the restart of ${agentId} goes on in the background`, () =>
      client.call("restart_agent", { params: { agent_id: agentId } }),
    ),
  );
  output.result(started, (style) => runState(style, started));
  output.nextStep(started.next_step);
}
