/** Tools and calls as text for people. Pure; everything an agent chose is made safe. */
import {
  ERROR_CODES,
  safeJson,
  safeText,
  type ToolCallJson,
  type ToolDetailJson,
  type ToolJson,
  type ToolStreamJson,
} from "@opensentience/protocol";
import type { Cell, Style } from "./format.ts";
import { HEALTH_COLORS } from "./run-view.ts";

const CAUSED_BY_AGENT = [
  "tool.failed",
  "tool.timeout",
  "tool.invalid_output",
  "tool.agent_unavailable",
  "protocol.unexpected_message",
];

export function toolsTable(style: Style, tools: readonly ToolJson[]): string {
  const rows = tools.map((tool): Cell[] => [
    tool.tool_id,
    { text: tool.health, color: HEALTH_COLORS[tool.health] },
    tool.description,
  ]);
  return style.table(["TOOL", "HEALTH", "DESCRIPTION"], rows);
}

export function toolPage(style: Style, tool: ToolDetailJson): string {
  const fields = style.fields([
    ["tool", tool.tool_id],
    ["name", tool.name],
    ["what", tool.description],
    ["health", tool.health],
    ["needs", tool.permissions.length === 0 ? null : tool.permissions.join(", ")],
    ["run", tool.run_id],
  ]);
  const schemas = [`input schema\n${safeJson(tool.input_schema, 2)}`];
  if (tool.output_schema !== null) schemas.push(`output schema\n${safeJson(tool.output_schema, 2)}`);
  return [fields, ...schemas].join("\n\n");
}

/** A text as it is, line by line; anything else as JSON. */
export function callOutcome(call: ToolCallJson): string {
  if (call.status !== "succeeded") return "";
  return typeof call.output === "string" ? safeLines(call.output) : safeJson(call.output, 2);
}

type Unheard = Omit<ToolCallJson, "call_id" | "run_id"> & { call_id: null; run_id: null };

/** What a call comes to whose caller leaves before its result; Core gave it an id that nobody heard of. */
export function canceledCall(toolId: string, durationMs: number): Unheard {
  return {
    call_id: null,
    tool_id: toolId,
    run_id: null,
    status: "canceled",
    output: null,
    error: { code: "tool.canceled", message: "the caller interrupted it", details: {} },
    duration_ms: Math.round(durationMs),
  };
}

/** The other agent that the called one needed and that was not there, by what it says itself. */
export function agentNeeded({ tool_id: toolId, error }: ToolCallJson): string | undefined {
  const named = error?.code === "tool.agent_unavailable" ? error.details["agent_id"] : undefined;
  return typeof named === "string" && !toolId.startsWith(`${named}/`) ? named : undefined;
}

/** Where a failed call's cause is found: in the output of the run that was called, or in what Core's code means. */
export function stepAfter({ tool_id: toolId, run_id: runId, error }: ToolCallJson): string {
  const code = error?.code ?? "tool.failed";
  return isCoresOwn(code)
    ? `opensentience explain ${code}`
    : `opensentience agents logs ${toolId.slice(0, toolId.indexOf("/"))} --run ${runId}`;
}

/** The agent whose run failed the call by itself. */
export function agentThatFailed({ tool_id: toolId, status, error }: ToolCallJson): string | undefined {
  if (status !== "failed" || isCoresOwn(error?.code ?? "tool.failed")) return undefined;
  return toolId.slice(0, toolId.indexOf("/"));
}

function isCoresOwn(code: string): boolean {
  return Object.hasOwn(ERROR_CODES, code) && !CAUSED_BY_AGENT.includes(code);
}

/** Text and code of a call that is no success. */
export function callProblem({ error }: ToolCallJson): string {
  return `${error?.message ?? "no reason was given"} (${error?.code ?? "tool.failed"})`;
}

export function streamedText({ channel, text, json }: Extract<ToolStreamJson, { stream: unknown }>["stream"]): string {
  const shown = text === undefined ? safeJson(json ?? null) : safeLines(text);
  return channel === "stdout" || channel === "stderr" ? shown : `${channel}: ${shown}\n`;
}

function safeLines(text: string): string {
  return text.split("\n").map(safeText).join("\n");
}
