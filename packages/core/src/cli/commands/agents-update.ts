import type { UpdatedAgentJson } from "@opensentience/protocol";
import { agentState } from "../agent-view.ts";
import { type CommandContext, required } from "../context.ts";
import { oneLine, shortHash } from "../format.ts";
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
  output.result(agent, (style) => `${whatHappened(agent, ref)}\n${agentState(style, agent)}`);
  output.nextStep(agent.next_step);
}

function whatHappened(agent: UpdatedAgentJson, ref: string | undefined): string {
  const commit = shortHash(agent.source_commit);
  if (agent.moved_from !== null) {
    const { commit: from, version } = agent.moved_from;
    return `updated ${shortHash(from)} -> ${commit} (${oneLine(version)} -> ${oneLine(agent.version)})`;
  }
  return agent.pinned && ref === undefined
    ? `pinned to commit ${commit}; name another with --ref`
    : `already at ${commit}`;
}
