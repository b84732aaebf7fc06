import { CoreError, type AgentDetailJson } from "@opensentience/protocol";
import { agentState } from "../agent-view.ts";
import { type CommandContext, required } from "../context.ts";
import { oneLine } from "../format.ts";
import { interruptedAs } from "../interrupted.ts";

const REMOVED = { agent: "removed", data: "removed the data that was kept" };

/** Asks (or needs --yes): the agent's data goes with it. Returns 1 when the answer was no. */
export async function run(context: CommandContext): Promise<number> {
  const agentId = required(context, 0);
  const { options, output } = context;
  const keepData = options.flag("keep-data");
  const client = await context.connect();
  const isMeant =
    options.flag("yes") || (await interruptedAs("nothing was removed", () => isConfirmed(context, agentId, keepData)));
  if (!isMeant) {
    output.note("nothing was removed");
    return 1;
  }
  const agent = await client.call("remove_agent", { params: { agent_id: agentId }, body: { keep_data: keepData } });
  output.result(agent, (style) =>
    agent.removed === "entry" ? forgottenText(agent) : `${REMOVED[agent.removed]}\n${agentState(style, agent)}`,
  );
  output.nextStep(agent.next_step);
  return 0;
}

/** After this nobody can ask Core where they are. */
function forgottenText({ agent_id: id, logs_path: logs }: AgentDetailJson): string {
  return logs === null ? `forgotten: ${id}` : `forgotten: ${id}\n  its logs stay in ${oneLine(logs)}`;
}

async function isConfirmed(context: CommandContext, agentId: string, keepData: boolean): Promise<boolean> {
  // Nobody is asked about an agent that is not there.
  const agent = await (await context.connect()).call("get_agent", { params: { agent_id: agentId } });
  const prompt = await context.prompt();
  if (prompt === undefined) {
    throw new CoreError("usage.confirmation_required", `removing ${agentId} cannot be undone; confirm it with --yes`, {
      details: { flag: "--yes" },
      nextStep: `opensentience agents remove ${agentId} --yes`,
    });
  }
  if (agent.install_path === null) return prompt.confirm(`Remove what is left of ${agentId}?`);
  return prompt.confirm(`Remove ${agentId}${keepData ? ", keeping its data" : " and its data"}?`);
}
