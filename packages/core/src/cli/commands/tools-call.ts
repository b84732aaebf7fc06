import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { CoreError, type ToolCallJson } from "@opensentience/protocol";
import { type CommandContext, required } from "../context.ts";
import { issueLines } from "../error-details.ts";
import { Interrupted } from "../interrupted.ts";
import type { ControlClient } from "../control-client.ts";
import type { Output } from "../output.ts";
import type { RequestOf } from "../routes.ts";
import { type ToolParams, withTool } from "../tool-id.ts";
import {
  agentNeeded,
  agentThatFailed,
  callOutcome,
  callProblem,
  canceledCall,
  stepAfter,
  streamedText,
} from "../tool-view.ts";

const MAX_SECONDS = 86_400;
const HELP = "opensentience help tools call";

/**
 * The output on stdout, what is streamed on stderr; with --json and --stream one line each, the result last.
 * 1 for a call that failed, 130 for one that was canceled.
 */
export async function run(context: CommandContext): Promise<number> {
  const { options, output } = context;
  const toolId = required(context, 0);
  const seconds = options.count("timeout", 1, MAX_SECONDS);
  const key = options.text("idempotency-key");
  const body = {
    input: await inputOf(options.text("input")),
    ...(seconds === undefined ? {} : { timeout_ms: seconds * 1_000 }),
    ...(key === undefined ? {} : { idempotency_key: key }),
  };
  const client = await context.connect();
  const isStreamed = options.flag("stream");
  const call = (params: ToolParams): Promise<ToolCallJson> =>
    isStreamed ? streamed(client, { params, body }, output) : client.call("call_tool", { params, body });
  const startedMs = performance.now();
  const result = await withTool(context, client, toolId, call).catch((error: unknown) => {
    if (!(error instanceof Interrupted)) throw error;
    // Core cancels the call of a caller who has left; whoever reads JSON still gets the last line that each call has.
    const left = canceledCall(toolId, performance.now() - startedMs);
    if (isStreamed && output.json) output.jsonLine({ result: left });
    else if (output.json) output.result(left, () => "");
    throw new Interrupted(`the call of ${toolId} is canceled`);
  });
  if (!(isStreamed && output.json)) output.result(result, () => callOutcome(result));
  if (result.status === "succeeded") return 0;
  if (!output.json) {
    const lacked = await lackedBy(client, result);
    const next = lacked?.next ?? (await stepForNeeded(client, result));
    showProblem(output, result, { lines: lacked?.lines ?? [], next });
  }
  return result.status === "canceled" ? 130 : 1;
}

/** What is known of the agent besides: shown, and where to go on if not at what the call itself says. */
type More = { lines: readonly string[]; next: string | undefined };

/** A call that was canceled is no failure, and is not shown as one. */
function showProblem(output: Output, result: ToolCallJson, more: More): void {
  if (result.status === "canceled") return output.note(`canceled: ${callProblem(result)}`);
  output.problem(`${result.status}: ${callProblem(result)}`);
  const lines = result.error === null ? [] : issueLines(result.error);
  output.ask([...lines, ...more.lines].map((line) => `${line}\n`).join(""));
  output.nextStep(more.next ?? stepAfter(result));
}

/** What the agent asked for and its run does not have: the tool may have failed for that. Nobody but the agent knows. */
async function lackedBy(client: ControlClient, result: ToolCallJson): Promise<More | undefined> {
  const agentId = agentThatFailed(result);
  if (agentId === undefined) return undefined;
  const agent = await client.call("get_agent", { params: { agent_id: agentId } }).catch(() => undefined);
  if (agent === undefined) return undefined;
  const { notApprovedText, pendingText } = await import("../agent-view.ts");
  const refused = notApprovedText(agent);
  const lines = refused === null ? [] : [`  ${refused}`];
  if ((agent.pending_permissions?.added.length ?? 0) === 0) return { lines, next: undefined };
  return { lines: [`  ${pendingText(agent)?.text}`, ...lines], next: agent.next_step ?? undefined };
}

/** What Core says of the agent that was missing: run it, or first approve it. An agent chose the name, so only a known one counts. */
async function stepForNeeded(client: ControlClient, result: ToolCallJson): Promise<string | undefined> {
  const agentId = agentNeeded(result);
  if (agentId === undefined) return undefined;
  const agent = await client.call("get_agent", { params: { agent_id: agentId } }).catch(() => undefined);
  if (agent?.approval?.status === "active" && agent.drift === null) return `opensentience agents run ${agent.agent_id}`;
  return agent?.next_step ?? undefined;
}

async function streamed(
  client: ControlClient,
  request: RequestOf<"stream_tool_call">,
  output: Output,
): Promise<ToolCallJson> {
  for await (const line of client.lines("stream_tool_call", request)) {
    if (output.json) output.jsonLine(line);
    if ("result" in line) return line.result;
    if (!output.json && !output.quiet) output.ask(streamedText(line.stream));
  }
  throw new CoreError("core.unreachable", "Core ended the connection before the call had its result", {
    nextStep: "opensentience core status",
  });
}

async function inputOf(given: string | undefined): Promise<Record<string, unknown>> {
  if (given === undefined) return {};
  const source = given === "-" ? await text(process.stdin) : given.startsWith("@") ? fileText(given.slice(1)) : given;
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch {
    throw new CoreError("usage.invalid", "the input is not JSON", { nextStep: HELP });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new CoreError("usage.invalid", 'the input is not an object, such as {"text":"hello"}', { nextStep: HELP });
}

function fileText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new CoreError("usage.invalid", `the input file ${path} cannot be read`, { cause, nextStep: HELP });
  }
}
