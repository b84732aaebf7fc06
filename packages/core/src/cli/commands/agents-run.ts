import type { RestartPolicy } from "@opensentience/protocol";
import { boundaryLabel } from "../boundary-label.ts";
import { type CommandContext, required } from "../context.ts";
import { showingEarlyExit } from "../early-exit.ts";
import { interruptedAs } from "../interrupted.ts";
import { runState } from "../run-view.ts";

export async function run(context: CommandContext): Promise<void> {
  const agentId = required(context, 0);
  const { output } = context;
  // The table allows exactly the policies of the protocol.
  const restart = context.options.text("restart") as RestartPolicy | undefined;
  const args = [...context.passthrough];
  const body = { ...(args.length === 0 ? {} : { args }), ...(restart === undefined ? {} : { restart }) };
  const client = await context.connect();
  const label = boundaryLabel(output.askStyle, `run ${agentId}`);
  const started = await showingEarlyExit(output, label, () =>
    interruptedAs(`if ${agentId} was started, it runs on; to end it: opensentience agents stop ${agentId}`, () =>
      client.call("run_agent", { params: { agent_id: agentId }, body }),
    ),
  );
  output.result(started, (style) => runState(style, started));
  output.nextStep(started.next_step);
}
