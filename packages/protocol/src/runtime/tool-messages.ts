/** Messages about tools and calls (docs/protocol.md, "Tools" and "Calls"). */
import { z } from "zod";
import { isObject, isText, isTime, MAX_ID, wireError, wireId, wireObject, wireTime } from "./envelope.ts";

/** The name of a tool inside its agent; with the agent's id and a slash before it, everywhere else. */
export const TOOL_NAME = /^[a-z][a-z0-9_]{0,63}$/;
/** Tools of one agent. */
export const MAX_TOOLS = 1000;
/** As JSON, in bytes. */
export const MAX_SCHEMA_BYTES = 65_536;
export const MAX_INPUT_BYTES = 1_048_576;
export const MAX_OUTPUT_BYTES = 3_145_728;
/** Requests of one connection, in either direction, that are not answered yet. */
export const MAX_IN_FLIGHT = 256;

const text = (max: number): z.ZodString => z.string().max(max);

/** A tool as its agent describes it. Judged one by one: a bad one is rejected, the others are registered. */
export const toolDefinition = z.object({
  tool_id: z.string().min(1).max(300),
  name: text(200),
  description: text(4000),
  input_schema: wireObject,
  output_schema: wireObject.optional(),
  capabilities: z.array(text(100)).max(100).optional(),
  side_effects: z.union([text(200), z.array(text(200)).max(100), z.boolean()]).optional(),
  requires_directive: z.boolean().optional(),
  tags: z.array(text(100)).max(100).optional(),
  permissions: z.array(text(300)).max(100).optional(),
});
export type ToolDefinition = z.infer<typeof toolDefinition>;

/** Agent → Core. With `replace` what was registered before and is not named is gone. */
export const agentToolsRegister = z.object({
  tools: z.array(z.unknown()).max(MAX_TOOLS),
  replace: z.boolean().optional(),
});
export const coreToolsRegistered = z.object({
  registered: z.array(z.string()),
  rejected: z.array(z.object({ tool_id: z.string(), error: wireError })).optional(),
});
/** Agent → Core, and as the answer which of them were there. */
export const toolIds = z.object({ tool_ids: z.array(z.string().max(300)).max(MAX_TOOLS) });

/** Core → agent; and, as `agent.tool.call`, an agent that calls another agent's tool through Core. */
export const toolCall = z.object({
  call_id: wireId,
  tool_id: z.string().min(1).max(300),
  input: wireObject,
  timeout_ms: z.int().positive().optional(),
  idempotency_key: text(200).min(1).optional(),
  caller: z.object({ type: z.enum(["human", "agent", "system"]), id: text(300) }).optional(),
  context: wireObject.optional(),
});

/** A call as nearly all are, exactly as the schema would give it; undefined for every other, of which the schema decides. */
export function usualToolCall(payload: Record<string, unknown>): z.infer<typeof toolCall> | undefined {
  const { call_id, tool_id, input, timeout_ms, caller } = payload;
  if (!isText(call_id, MAX_ID) || !isText(tool_id, 300) || !isObject(input)) return undefined;
  if (payload["idempotency_key"] !== undefined || payload["context"] !== undefined) return undefined;
  const usual: z.infer<typeof toolCall> = { call_id, tool_id, input };
  if (timeout_ms !== undefined) {
    if (typeof timeout_ms !== "number" || !Number.isSafeInteger(timeout_ms) || timeout_ms <= 0) return undefined;
    usual.timeout_ms = timeout_ms;
  }
  if (caller !== undefined) {
    if (!isObject(caller)) return undefined;
    const { type, id } = caller;
    if ((type !== "human" && type !== "agent" && type !== "system") || !isText(id, 300)) return undefined;
    usual.caller = { type, id };
  }
  return usual;
}

export const STREAM_CHANNELS = ["stdout", "stderr", "log", "partial_result", "status"] as const;

/** Agent → Core, any number per call, before its result; `seq` from 1, without a gap. */
export const toolStream = z.object({
  call_id: wireId,
  seq: z.int().positive(),
  channel: z.enum(STREAM_CHANNELS),
  data: z.union([z.object({ text: z.string() }), z.object({ json: z.unknown() })]),
  done: z.boolean().optional(),
});

/** Agent → Core, exactly one per call; and, as `core.tool.result`, what an agent's own call came to. */
export const toolResult = z.object({
  call_id: wireId,
  status: z.enum(["succeeded", "failed", "canceled"]),
  output: z.unknown().optional(),
  error: wireError.optional(),
  started_at: wireTime.optional(),
  finished_at: wireTime.optional(),
  metrics: wireObject.optional(),
});

/** A result that succeeded, exactly as the schema would give it; undefined for every other, of which the schema decides. */
export function usualToolResult(payload: Record<string, unknown>): z.infer<typeof toolResult> | undefined {
  const { call_id, status, started_at, finished_at } = payload;
  if (!isText(call_id, MAX_ID) || status !== "succeeded") return undefined;
  if (payload["error"] !== undefined || payload["metrics"] !== undefined) return undefined;
  const usual: z.infer<typeof toolResult> = { call_id, status };
  if ("output" in payload) usual.output = payload["output"];
  if (started_at !== undefined) {
    if (!isTime(started_at)) return undefined;
    usual.started_at = started_at;
  }
  if (finished_at !== undefined) {
    if (!isTime(finished_at)) return undefined;
    usual.finished_at = finished_at;
  }
  return usual;
}

/** Core → agent (`agent.tool.cancel`: an agent takes back its own call). The call still ends with one result. */
export const toolCancel = z.object({
  call_id: wireId,
  reason: text(1000).optional(),
  deadline_ms: z.int().nonnegative().optional(),
});
export const agentToolCancelAck = z.object({
  call_id: wireId,
  accepted: z.boolean(),
  note: text(1000).optional(),
});
