import { agentPage } from "../agent-view.ts";
import { type CommandContext, required } from "../context.ts";

const SHOWN = 5;

export async function run(context: CommandContext): Promise<void> {
  const agentId = required(context, 0);
  const client = await context.connect();
  const agent = await client.call("get_agent", { params: { agent_id: agentId } });
  if (context.output.json) return context.output.result(agent, () => "");
  const [runs, events, tools] = await Promise.all([
    client.call("list_runs", { query: { agent: agent.agent_id, all: true, limit: SHOWN } }),
    client.call("list_audit", { query: { agent: agent.agent_id, limit: SHOWN } }),
    client.call("list_tools", { query: { agent: agent.agent_id } }),
  ]);
  const known = { runs: runs.items, events: events.items, tools: tools.items };
  context.output.result(agent, (style) => agentPage(style, agent, known));
  context.output.nextStep(agent.next_step);
}
