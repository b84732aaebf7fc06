/** Tools and calls as the control API shows them. */
import {
  CoreError,
  parseWireObject,
  type ToolCallJson,
  type ToolDetailJson,
  type ToolJson,
  type ToolStreamJson,
} from "@opensentience/protocol";
import { WaitingCaller, type CallAnswer, type CallRequest, type Runtime, type Tool } from "../runtime/runtime.ts";
import type { Input } from "./handlers.ts";

/**
 * What may wait for a reader: chunks, and bytes of them. One that lets more wait loses the call, never silently a chunk.
 * SECURITY: a chunk may be 4 MiB, and more than ten times that as values, so it waits as its bytes. Pinned by "a stream that
 * nobody reads ends before it fills Core's memory".
 */
const MAX_WAITING_CHUNKS = 1_000;
/** Characters of an input that a suggested command holds. */
const MAX_SAMPLE = 300;
const MAX_WAITING_BYTES = 8_388_608;

export function toolId(params: Record<string, unknown>): string {
  return `${String(params["agent_id"])}/${String(params["tool_name"])}`;
}

export function listTools(runtime: Runtime, agentId: string | undefined): { items: ToolJson[]; next: null } {
  const items = runtime
    .sessions()
    .filter(({ run }) => agentId === undefined || run.agentId === agentId)
    .flatMap((session) => session.tools.list().map((tool) => summary(tool, session.health)))
    .toSorted((a, b) => (a.tool_id < b.tool_id ? -1 : 1));
  return { items, next: null };
}

/** Throws `tool.not_found`. */
export async function toolDetail(runtime: Runtime, id: string): Promise<ToolDetailJson> {
  const session = runtime.session(id.split("/")[0] ?? "");
  const tool = session?.tools.get(id);
  if (session === undefined || tool === undefined) {
    throw new CoreError("tool.not_found", "no running agent offers that tool", {
      nextStep: "opensentience tools list",
    });
  }
  const { definition } = tool;
  return {
    ...summary(tool, session.health),
    run_id: session.run.runId,
    input_schema: definition.input_schema,
    output_schema: definition.output_schema ?? null,
    capabilities: definition.capabilities ?? [],
    next_step: `opensentience tools call ${id}${await sampleOption(tool)}`,
  };
}

/** What the command takes to be a valid call; nothing where `{}` is one. */
async function sampleOption({ definition, checkInput }: Tool): Promise<string> {
  if (checkInput({}).length === 0) return "";
  const { sampleInput } = await import("../schema/schema.ts");
  const input = sampleInput(definition.input_schema);
  // SECURITY: the agent chose the names, and a person copies this into a shell; no quote can end the word early.
  // Pinned by "a tool's suggested call is one word of the shell, and works".
  const word = `'${JSON.stringify(input).replaceAll("'", String.raw`\u0027`)}'`;
  const isTyped = word.length <= MAX_SAMPLE && checkInput(input).length === 0;
  return ` --input ${isTyped ? word : "@input.json"}`;
}

function summary({ toolId: id, agentId, definition }: Tool, health: ToolJson["health"]): ToolJson {
  return {
    tool_id: id,
    agent_id: agentId,
    name: definition.name,
    description: definition.description,
    health,
    permissions: definition.permissions ?? [],
    tags: definition.tags ?? [],
  };
}

export async function callTool(runtime: Runtime, input: Input): Promise<ToolCallJson> {
  return answerJson(await runtime.call(request(input, input.signal, () => {})));
}

/** Refused before the first record; then every chunk, then the result. */
export async function streamToolCall(runtime: Runtime, input: Input): Promise<AsyncIterable<ToolStreamJson>> {
  const waiting: Waiting[] = [];
  let waitingBytes = 0;
  const overflow = new AbortController();
  let wake = (): void => {};
  const onStream: CallRequest["onStream"] = (chunk) => {
    if (overflow.signal.aborted) return;
    // Of its own: what came stands in a larger piece of memory, with all that came beside it.
    const bytes = new Uint8Array(chunk.payloadBytes("data") ?? NO_DATA);
    waitingBytes += bytes.length;
    if (waiting.length >= MAX_WAITING_CHUNKS || waitingBytes > MAX_WAITING_BYTES) return overflow.abort();
    waiting.push({ seq: chunk.payload.seq, channel: chunk.payload.channel, bytes });
    wake();
  };
  let isRefused = false;
  const signal = AbortSignal.any([input.signal, overflow.signal]);
  const answered = runtime.call(request(input, signal, onStream)).then((answer) => {
    waiting.push({ result: overflow.signal.aborted ? notRead(answer) : answerJson(answer) });
    wake();
  });
  answered.catch(() => (isRefused = true));
  const changed = (): Promise<void> => new Promise<void>((resolve) => (wake = resolve));
  // A refusal comes before anything else of a call: it is the answer of the request itself.
  if (waiting.length === 0) await Promise.race([answered, changed()]);
  return (async function* (): AsyncGenerator<ToolStreamJson> {
    for (;;) {
      const next = waiting.shift();
      if (next === undefined) {
        if (isRefused) await answered;
        await Promise.race([answered, changed()]);
        continue;
      }
      if ("result" in next) {
        yield next;
        return;
      }
      waitingBytes -= next.bytes.length;
      yield streamed(next);
    }
  })();
}

type Waiting = { seq: number; channel: StreamChunk["channel"]; bytes: Uint8Array } | { result: ToolCallJson };
type StreamChunk = Extract<ToolStreamJson, { stream: unknown }>["stream"];

const NO_DATA = new TextEncoder().encode("{}");

/** Members that the protocol does not know stay behind. */
function streamed({ seq, channel, bytes }: Exclude<Waiting, { result: unknown }>): ToolStreamJson {
  const { text, json } = JSON.parse(new TextDecoder().decode(bytes)) as { text?: unknown; json?: unknown };
  return { stream: { seq, channel, ...(typeof text === "string" ? { text } : { json }) } };
}

/** Canceled by Core, not by its caller: says why. */
function notRead(answer: CallAnswer): ToolCallJson {
  const error = { code: "limit.stream", message: "what the tool streamed was not read fast enough", details: {} };
  return { ...answerJson(answer), status: "failed", output: null, error };
}

/** An input of fewer bytes is neither too deep nor too much. */
const SMALL_INPUT = 100;

/**
 * An agent's reader takes no deeper nesting and no more values: its session would end. Throws `tool.invalid_input`. Pinned by
 * "an input that an agent could not read is refused".
 */
function checkReadable(input: Uint8Array): void {
  if (input.length < SMALL_INPUT) return;
  try {
    parseWireObject(Buffer.concat([Buffer.from('{"payload":{"input":'), input, Buffer.from("}}")]));
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    throw new CoreError("tool.invalid_input", error.message.replace("a frame", "the input"));
  }
}

function request(input: Input, signal: AbortSignal, onStream: CallRequest["onStream"]): CallRequest {
  const body = input.body as { input: Record<string, unknown>; timeout_ms?: number; idempotency_key?: string };
  const inputBytes = new TextEncoder().encode(JSON.stringify(body.input));
  checkReadable(inputBytes);
  return {
    toolId: toolId(input.params),
    input: body.input,
    inputBytes,
    act: input.act,
    timeoutMs: body.timeout_ms,
    idempotencyKey: body.idempotency_key,
    caller: WaitingCaller.until(signal),
    onStream,
  };
}

function answerJson(answer: CallAnswer): ToolCallJson {
  const { error, output } = answer;
  return {
    call_id: answer.callId,
    tool_id: answer.toolId,
    run_id: answer.runId,
    status: answer.status,
    output: output === undefined ? null : (JSON.parse(new TextDecoder().decode(output)) as unknown),
    error: error === undefined ? null : { code: error.code, message: error.message, details: error.details ?? {} },
    duration_ms: Math.round(answer.durationMs),
  };
}
