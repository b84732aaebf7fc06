import type { RunJson } from "@opensentience/protocol";
import { type CommandContext, required } from "../context.ts";
import { endOf, runState } from "../run-view.ts";
import { shortTime } from "../format.ts";
import { interruptedAs } from "../interrupted.ts";

/** Core answers when nothing of the agent is alive; the wait is shown. */
export async function run(context: CommandContext): Promise<void> {
  const agentId = required(context, 0);
  const { output } = context;
  const client = await context.connect();
  const progress = output.progress();
  progress.show("stopping", `${agentId} and everything it started`);
  const askedAt = Date.now();
  const stopped = await interruptedAs("the stop goes on in the background", () =>
    client.call("stop_agent", { params: { agent_id: agentId } }).finally(progress.end),
  );
  output.result(stopped, (style) => {
    if (!endedBefore(stopped, askedAt)) return runState(style, stopped);
    const calledOff = stopped.restart_called_off ? "its pending restart was called off; " : "";
    return `${agentId} was not running; ${calledOff}its last run ended ${shortTime(stopped.stopped_at)}, ${endOf(stopped)}`;
  });
  output.nextStep(stopped.next_step);
}

/** Core runs on this machine: its clock is ours. */
export function endedBefore(run: Pick<RunJson, "stopped_at">, askedAt: number): boolean {
  return run.stopped_at !== null && Date.parse(run.stopped_at) < askedAt;
}
