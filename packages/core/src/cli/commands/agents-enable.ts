import { type AgentDetailJson, CoreError, noLongerApproved } from "@opensentience/protocol";
import { agentState } from "../agent-view.ts";
import { type CommandContext, required } from "../context.ts";
import { interruptedAs } from "../interrupted.ts";
import type { Prompt } from "../prompt.ts";

type EnableBody = {
  all?: boolean;
  approve?: string[];
  expires?: string;
  unsandboxed?: boolean;
  expected_manifest_hash?: string;
  expected_commit?: string;
};

/** Approves by flag, or asks permission by permission on a terminal. Returns 1 when nothing was approved. */
export async function run(context: CommandContext): Promise<number> {
  const agentId = required(context, 0);
  const { options, output } = context;
  const expires = options.text("expires");
  if (options.flag("unsandboxed") && expires === undefined) {
    throw new CoreError("enablement.expiry_required", "an approval to run without a sandbox needs an end", {
      nextStep: "opensentience help agents enable",
    });
  }
  const choice = await interruptedAs("nothing was approved", () => choose(context, agentId));
  if (choice === undefined) {
    output.note("nothing was approved");
    return 1;
  }
  const { before } = choice;
  const client = await context.connect();
  const body = {
    ...choice.body,
    ...(expires === undefined ? {} : { expires }),
    ...(options.flag("unsandboxed") ? { unsandboxed: true } : {}),
  };
  const agent = await client.call("enable_agent", { params: { agent_id: agentId }, body });
  output.result(agent, (style) => `enabled\n${agentState(style, agent)}`);
  for (const line of noLongerApproved(before, agent)) output.note(line);
  output.nextStep(agent.next_step);
  return 0;
}

/** `before` is the agent as it was when the choice was made: the only time that it is fetched. */
type Choice = { body: EnableBody; before: AgentDetailJson };

async function choose(context: CommandContext, agentId: string): Promise<Choice | undefined> {
  const { options } = context;
  const values = options.texts("approve");
  const fetched = async (): Promise<AgentDetailJson> =>
    await (await context.connect()).call("get_agent", { params: { agent_id: agentId } });
  if (options.flag("all")) {
    if (values.length > 0)
      throw new CoreError("usage.invalid", "--all and --approve exclude each other", {
        nextStep: "opensentience help agents enable",
      });
    return { body: { all: true }, before: await fetched() };
  }
  if (values.length > 0) {
    const before = await fetched();
    return { body: { approve: approvedByFlag(before, values) }, before };
  }
  const prompt = await context.prompt();
  if (prompt === undefined) {
    throw new CoreError(
      "enablement.choice_required",
      `approving needs a choice: opensentience agents enable ${agentId} --all, or --approve P,… with some of what it requests`,
      {
        details: { flags: ["--all", "--approve"] },
        nextStep: `opensentience agents info ${agentId}`,
      },
    );
  }
  const before = await fetched();
  const body = await chosenByHand(context, prompt, before);
  return body === undefined ? undefined : { body, before };
}

/** Undefined when the person decided against it. */
async function chosenByHand(
  context: CommandContext,
  prompt: Prompt,
  agent: AgentDetailJson,
): Promise<EnableBody | undefined> {
  // There is nothing to review: Core refuses it, and records that it did.
  if (agent.install_path === null) return { approve: [] };
  const { review } = await import("../permission-review.ts");
  const approve = await review(prompt, context.output.askStyle, agent);
  if (approve === undefined) return undefined;
  // SECURITY: the agent may be swapped while its permissions are being read; Core refuses any state but the one that
  // was shown. Pinned by "approves exactly the state that was shown".
  // SECURITY: what only narrows must not last longer either. Pinned by "one key keeps the end of the approval".
  const ends = agent.drift?.narrowing === true ? agent.approval?.expires_at : null;
  return {
    approve,
    ...(typeof ends === "string" ? { expires: ends } : {}),
    ...(agent.manifest_hash === null ? {} : { expected_manifest_hash: agent.manifest_hash }),
    ...(agent.source_commit === null ? {} : { expected_commit: agent.source_commit }),
  };
}

/** Values of --approve: a requested permission as it stands (it may hold a comma), else a list with commas. */
export function approvedByFlag(
  agent: Pick<AgentDetailJson, "requested_permissions">,
  values: readonly string[],
): string[] {
  const requested = new Set(agent.requested_permissions.map(({ permission }) => permission));
  const approved = values.flatMap((value) =>
    requested.has(value) ? [value] : value.split(",").map((part) => part.trim()),
  );
  return [...new Set(approved.filter((permission) => permission !== ""))];
}
