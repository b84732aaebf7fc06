/** The calls that this agent makes to tools of other agents, through Core. */
import { MAX_IN_FLIGHT, MAX_INPUT_BYTES, type CoreMessage, type Extras } from "@opensentience/protocol";
import type { CallAbort } from "./call-abort.ts";
import type { CoreConnection } from "./connection.ts";
import { refuseUnknown } from "./known-options.ts";
import { jsonBytes, ToolError } from "./what-leaves.ts";

export type AskOptions = {
  /** Give up after so long, in ms; Core holds it too. */
  timeoutMs?: number;
  signal?: AbortSignal;
  /** A second call with this key and the same input gives the first one's outcome, for ten minutes; 1 to 200 characters. */
  idempotencyKey?: string;
};

const OPTIONS = ["timeoutMs", "signal", "idempotencyKey"] as const satisfies readonly (keyof AskOptions)[];
const MAX_KEY = 200;

/** What Core gets beyond a call's own time before nobody waits for it any more, in ms. */
const LATE_MS = 2_000;

type Waiting = { resolve: (output: unknown) => void; reject: (error: Error) => void };

export class OutgoingCalls {
  readonly #connection: CoreConnection;
  /** By the id this agent gave them. */
  readonly #waiting = new Map<string, Waiting>();

  constructor(connection: CoreConnection) {
    this.#connection = connection;
  }

  /** Rejects with a ToolError; an aborted one at once, without waiting for the other agent. */
  ask(toolId: string, input: unknown, options: AskOptions, echo: Extras, abort: CallAbort): Promise<unknown> {
    const answer = this.#ask(toolId, input, options, echo, abort);
    // Who does not wait must not be ended by it.
    answer.catch(() => {});
    return answer;
  }

  async #ask(toolId: string, input: unknown, options: AskOptions, echo: Extras, abort: CallAbort): Promise<unknown> {
    refuseUnknown("call()", options, OPTIONS);
    const { timeoutMs, signal, idempotencyKey } = options;
    if (abort.reason !== undefined || signal?.aborted === true)
      throw new ToolError("tool.canceled", "canceled before it was sent");
    if (timeoutMs !== undefined && !(Number.isInteger(timeoutMs) && timeoutMs > 0 && timeoutMs < 2 ** 31 - LATE_MS)) {
      throw new ToolError("tool.invalid_input", "timeoutMs must be a whole number of milliseconds above 0");
    }
    if (idempotencyKey !== undefined && !isKey(idempotencyKey)) {
      throw new ToolError("tool.invalid_input", `idempotencyKey must be a text of 1 to ${MAX_KEY} characters`);
    }
    if (this.#waiting.size >= MAX_IN_FLIGHT) {
      throw new ToolError("limit.inflight", `${MAX_IN_FLIGHT} calls of this agent are under way`);
    }
    const bytes = jsonBytes(input, "the input", MAX_INPUT_BYTES, ["tool.invalid_input", "tool.input_too_large"]);
    const call_id = crypto.randomUUID();
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const giveUp = (error: ToolError): void => {
      this.#connection.send("agent.tool.cancel", { call_id });
      reject(error);
    };
    const onAbort = (): void => giveUp(new ToolError("tool.canceled", "the call was canceled"));
    const onLate = (): void => giveUp(new ToolError("tool.timeout", `no answer came within ${timeoutMs} ms`));
    const timer = timeoutMs === undefined ? undefined : setTimeout(onLate, timeoutMs + LATE_MS);
    const forget = abort.onAbort(onAbort);
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#waiting.set(call_id, { resolve, reject });
    const timeout = timeoutMs === undefined ? {} : { timeout_ms: timeoutMs };
    const key = idempotencyKey === undefined ? {} : { idempotency_key: idempotencyKey };
    const payload = { call_id, tool_id: String(toolId), ...timeout, ...key };
    this.#connection.send("agent.tool.call", payload, { ...echo, splice: ["input", bytes] });
    try {
      return await promise;
    } finally {
      this.#waiting.delete(call_id);
      clearTimeout(timer);
      forget();
      signal?.removeEventListener("abort", onAbort);
    }
  }

  answered({ payload }: Extract<CoreMessage, { type: "core.tool.result" }>): void {
    const waiting = this.#waiting.get(payload.call_id);
    const { status, error } = payload;
    if (status === "succeeded") waiting?.resolve(payload.output);
    else waiting?.reject(new ToolError(error?.code ?? "tool.failed", error?.message ?? status, error?.details));
  }

  /** Core is gone: nothing will be answered any more. */
  endAll(why: string): void {
    for (const { reject } of this.#waiting.values()) reject(new ToolError("tool.agent_unavailable", why));
  }
}

function isKey(key: unknown): key is string {
  return typeof key === "string" && key.length > 0 && key.length <= MAX_KEY;
}
