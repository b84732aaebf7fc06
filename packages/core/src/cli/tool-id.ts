/**
 * Names of tools. A whole one is `<agent_id>/<tool_name>`; the agent may be named by the end of its id, as everywhere, or
 * left out where only one running agent offers a tool of that name. Which tool is meant is said on stderr. What was
 * typed whole is sent as it is; only when Core knows no such tool is it looked up (Core had done nothing).
 */
import { CoreError, type ToolJson } from "@opensentience/protocol";
import { nearest, nearestId } from "../host/config.ts";
import { allAgentIds, unknownAgent } from "./agent-id.ts";
import type { CommandContext } from "./context.ts";
import type { ControlClient } from "./control-client.ts";

export type ToolParams = { agent_id: string; tool_name: string };

const LOOKED_UP = ["tool.not_found", "tool.agent_unavailable"];

/** Throws `tool.not_found` with the nearest name, `usage.invalid` for one that several tools have, and what `act` throws. */
export async function withTool<T>(
  context: CommandContext,
  client: ControlClient,
  typed: string,
  act: (params: ToolParams) => Promise<T>,
): Promise<T> {
  const whole = paramsOf(typed);
  if (whole?.agent_id.includes(".") !== true) return act(await lookedUp(context, client, typed));
  try {
    return await act(whole);
  } catch (error) {
    if (!(error instanceof CoreError) || !LOOKED_UP.includes(error.code)) throw error;
    const params = await lookedUp(context, client, typed, error);
    if (params.agent_id === whole.agent_id && params.tool_name === whole.tool_name) throw error;
    return act(params);
  }
}

async function lookedUp(
  context: CommandContext,
  client: ControlClient,
  typed: string,
  refusal?: CoreError,
): Promise<ToolParams> {
  const { items } = await client.call("list_tools", {});
  // Nothing runs by that name: because it is not running, or because there is no such agent.
  const known = refusal?.code === "tool.agent_unavailable" ? await allAgentIds(client) : undefined;
  const meant = toolMeant(typed, items, refusal, known);
  if (meant.tool_id !== typed) context.output.note(`${typed} is ${meant.tool_id}`);
  return { agent_id: meant.agent_id, tool_name: meant.tool_id.slice(meant.agent_id.length + 1) };
}

type Offered = Pick<ToolJson, "tool_id" | "agent_id">;

/** The one tool that the name stands for; else `refusal`, if it is about an agent of `knownAgents` that offers nothing now. */
export function toolMeant(
  typed: string,
  offered: readonly Offered[],
  refusal?: CoreError,
  knownAgents?: readonly string[],
): Offered {
  const [meant, ...others] = offered.filter(
    ({ tool_id }) => tool_id === typed || tool_id.endsWith(`.${typed}`) || tool_id.endsWith(`/${typed}`),
  );
  const exact = offered.find(({ tool_id }) => tool_id === typed);
  if (exact !== undefined) return exact;
  if (meant === undefined) throw unknown(typed, offered, refusal, knownAgents);
  if (others.length === 0) return meant;
  const named = [meant, ...others].slice(0, 5).map(({ tool_id }) => tool_id);
  throw new CoreError("usage.invalid", `"${typed}" names several tools: ${named.join(", ")}`, {
    details: { tool_ids: named },
    nextStep: "opensentience tools list",
  });
}

function unknown(
  typed: string,
  offered: readonly Offered[],
  refusal: CoreError | undefined,
  knownAgents: readonly string[] | undefined,
): CoreError {
  const shown = typed.slice(0, 200);
  const near = nearestTool(shown, offered);
  const agentId = shown.split("/")[0] ?? "";
  const isKnown = knownAgents?.includes(agentId) !== false;
  if (
    !isKnown &&
    nearestId(
      shown,
      offered.map(({ tool_id }) => tool_id),
    ) === undefined
  )
    return unknownAgent(agentId, knownAgents ?? []);
  // A known agent that is not running says more than a guess.
  const isUnavailable = refusal?.code === "tool.agent_unavailable" && isKnown;
  if (refusal !== undefined && (near === undefined || isUnavailable)) return refusal;
  const guess = near === undefined ? "" : `; did you mean "${near}"?`;
  return new CoreError("tool.not_found", `no running agent offers a tool "${shown}"${guess}`, {
    details: { tool_id: shown, nearest: near ?? null },
    nextStep: near === undefined ? "opensentience tools list" : `opensentience tools info ${near}`,
  });
}

/** By the whole name, then by the tool's own name alone. */
function nearestTool(typed: string, offered: readonly Offered[]): string | undefined {
  const ids = offered.map(({ tool_id }) => tool_id);
  const nameOf = (id: string): string => id.slice(id.indexOf("/") + 1);
  const near = nearest(nameOf(typed), [...new Set(ids.map(nameOf))]);
  return nearestId(typed, ids) ?? ids.find((id) => nameOf(id) === near);
}

function paramsOf(typed: string): ToolParams | undefined {
  const [agentId = "", toolName = "", ...rest] = typed.split("/");
  return agentId === "" || toolName === "" || rest.length > 0 ? undefined : { agent_id: agentId, tool_name: toolName };
}
