/**
 * The calls that Core hands to this agent: each gets exactly one result, whatever its handler does.
 *
 * What a handler returns is the output; what it throws a safe error. An aborted call is canceled when its handler ends, or
 * after a while when it does not: nothing can end a function that does not want to, but nobody waits for it.
 */
import {
  echoedIds,
  MAX_IN_FLIGHT,
  MAX_OUTPUT_BYTES,
  timestamp,
  type CoreMessage,
  type WireError,
} from "@opensentience/protocol";
import { CallAbort } from "./call-abort.ts";
import { callContext, CallStream } from "./call-context.ts";
import type { CoreConnection } from "./connection.ts";
import type { OutgoingCalls } from "./outgoing-calls.ts";
import type { Tool } from "./tool.ts";
import { complain, jsonBytes, safeError, ToolError } from "./what-leaves.ts";

type CallMessage = Extract<CoreMessage, { type: "core.tool.call" }>;
type Result = { status: "succeeded" | "failed" | "canceled"; output?: Uint8Array; error?: WireError };
type UnderWay = { cancel: (reason: string, graceMs: number) => void };

/** How long a handler may take to end after its abort, in ms: within the 5 s that Core gives. */
const CANCEL_MS = 2_000;

export class IncomingCalls {
  readonly #connection: CoreConnection;
  readonly #outgoing: OutgoingCalls;
  readonly #tools: ReadonlyMap<string, Tool>;
  readonly #underWay = new Map<string, UnderWay>();
  #onIdle: (() => void) | undefined;

  /** `tools` by their full id. */
  constructor(connection: CoreConnection, outgoing: OutgoingCalls, tools: ReadonlyMap<string, Tool>) {
    this.#connection = connection;
    this.#outgoing = outgoing;
    this.#tools = tools;
  }

  get count(): number {
    return this.#underWay.size;
  }

  /** False for a call that is not under way. */
  cancel(callId: string, reason: string, deadlineMs: number = CANCEL_MS): boolean {
    const call = this.#underWay.get(callId);
    call?.cancel(reason, Math.min(CANCEL_MS, deadlineMs / 2));
    return call !== undefined;
  }

  /** Aborts everything; resolves when each call has its result. */
  async cancelAll(reason: string): Promise<void> {
    for (const call of [...this.#underWay.values()]) call.cancel(reason, CANCEL_MS);
    if (this.#underWay.size > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
  }

  begin(message: CallMessage): void {
    const { call_id, tool_id } = message.payload;
    if (this.#underWay.has(call_id)) return complain("Core used a call's id twice; the second call is ignored");
    const echo = echoedIds(message);
    const abort = new CallAbort();
    const started_at = timestamp();
    let timer: NodeJS.Timeout | undefined;
    let isOver = false;
    const finish = ({ output, ...result }: Result): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      const payload = { call_id, ...result, started_at, finished_at: timestamp() };
      const splice = output === undefined ? undefined : (["output", output] as const);
      this.#connection.send("agent.tool.result", payload, { ...echo, in_reply_to: message.id, splice });
      this.#underWay.delete(call_id);
      if (this.#underWay.size === 0) this.#onIdle?.();
    };
    if (this.#underWay.size >= MAX_IN_FLIGHT) {
      return finish({ status: "failed", error: { code: "limit.inflight", message: "too many calls are under way" } });
    }
    const cancel = (reason: string, graceMs: number): void => {
      const canceled = { status: "canceled", error: { code: "tool.canceled", message: reason } } as const;
      timer ??= setTimeout(() => finish(canceled), graceMs);
      abort.abort(new ToolError("tool.canceled", reason));
    };
    this.#underWay.set(call_id, { cancel });
    const stream = new CallStream(this.#connection, call_id, echo, () => isOver);
    const request = {
      callId: call_id,
      requestId: echo.request_id,
      correlationId: echo.correlation_id,
      caller: message.payload.caller,
      idempotencyKey: message.payload.idempotency_key,
    };
    const context = callContext({ stream, outgoing: this.#outgoing, abort, echo, request });
    resultOf(this.#tools.get(tool_id), message.payload.input, context, abort, finish);
  }
}

/** Gives the one result to `finish`: at once where the handler does not wait for anything. Never throws. */
function resultOf(
  tool: Tool | undefined,
  input: Record<string, unknown>,
  context: ReturnType<typeof callContext>,
  abort: CallAbort,
  finish: (result: Result) => void,
): void {
  const failed = (thrown: unknown): void =>
    finish(
      abort.reason === undefined
        ? { status: "failed", error: safeError(thrown) }
        : { status: "canceled", error: safeError(abort.reason) },
    );
  const succeeded = (value: unknown): void => {
    let output: Uint8Array;
    try {
      output = jsonBytes(value, "the output", MAX_OUTPUT_BYTES, ["tool.invalid_output", "tool.output_too_large"]);
    } catch (thrown) {
      return failed(thrown);
    }
    finish({ status: "succeeded", output });
  };
  try {
    if (tool === undefined) throw new ToolError("tool.not_found", "this agent has no such tool");
    const value: unknown = tool.handler(input as never, context);
    if (isThenable(value)) Promise.resolve(value).then(succeeded, failed);
    else succeeded(value);
  } catch (thrown) {
    failed(thrown);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof Reflect.get(value, "then") === "function";
}
