/** The calls that one running agent makes to others: each through the router, its answer sent back, taken back when asked. */
import {
  CoreError,
  echoedIds,
  MAX_IN_FLIGHT,
  toCoreError,
  type AgentMessage,
  type WireError,
} from "@opensentience/protocol";
import type { Stream } from "./call.ts";
import type { Session } from "./session.ts";
import type { ToolRouter } from "./tool-router.ts";
import { WaitingCaller } from "./waiting-caller.ts";

/** Refusals of one session that are recorded one by one. */
const MAX_REFUSED = 100;

type CallMessage = Extract<AgentMessage, { type: "agent.tool.call" }>;

export class RunCalls {
  readonly #router: ToolRouter;
  readonly #session: Session;
  readonly #onFault: (error: unknown, what: string) => void;
  /** By the caller's own call id. */
  readonly #underWay = new Map<string, WaitingCaller>();

  readonly #onDenied: (error: CoreError, toolId: string) => void;
  /** What is on record already. */
  readonly #refused = new Set<string>();

  constructor(
    router: ToolRouter,
    session: Session,
    onFault: (error: unknown, what: string) => void,
    onDenied: (error: CoreError, toolId: string) => void,
  ) {
    this.#onDenied = onDenied;
    this.#router = router;
    this.#session = session;
    this.#onFault = onFault;
  }

  begin(message: CallMessage): void {
    this.#answered(message).catch((error: unknown) => this.#onFault(error, `a call of ${this.#session.run.agentId}`));
  }

  /** Once per tool and reason: an agent that asks again and again must not fill the audit log. */
  #denied(error: CoreError, toolId: string): void {
    const what = `${error.code} ${toolId}`;
    if (this.#refused.has(what) || this.#refused.size >= MAX_REFUSED) return;
    this.#refused.add(what);
    this.#onDenied(error, toolId);
  }

  cancel(callId: string): void {
    this.#underWay.get(callId)?.leave();
  }

  cancelAll(): void {
    for (const caller of this.#underWay.values()) caller.leave();
  }

  async #answered(message: CallMessage): Promise<void> {
    const { call_id: callId } = message.payload;
    const echoed = { ...echoedIds(message), in_reply_to: message.id };
    try {
      const answer = await this.#routed(message);
      if ((answer.output ?? answer.error?.details) !== undefined && this.#session.isFull) throw unread("was answered");
      this.#session.send(
        "core.tool.result",
        { call_id: callId, status: answer.status, ...(answer.error === undefined ? {} : { error: answer.error }) },
        { ...echoed, splice: answer.output === undefined ? undefined : ["output", answer.output] },
      );
    } catch (thrown) {
      const error = toCoreError(thrown);
      if (error.code === "core.internal") this.#onFault(thrown, "a call that failed inside Core");
      if (error.kind === "denied") this.#denied(error, message.payload.tool_id);
      this.#session.send("core.tool.result", { call_id: callId, status: "failed", error: onWire(error) }, echoed);
    }
  }

  async #routed(message: CallMessage): ReturnType<ToolRouter["call"]> {
    const {
      call_id: callId,
      tool_id: toolId,
      input,
      timeout_ms: timeoutMs,
      idempotency_key: idempotencyKey,
      context,
    } = message.payload;
    if (this.#underWay.has(callId))
      throw new CoreError("protocol.unexpected_message", "a call of that id is under way");
    if (this.#underWay.size >= MAX_IN_FLIGHT) {
      throw new CoreError("limit.inflight", `${MAX_IN_FLIGHT} of its calls are unanswered`);
    }
    const caller = new WaitingCaller();
    this.#underWay.set(callId, caller);
    let refused: CoreError | undefined;
    try {
      const answer = await this.#router.call({
        toolId,
        input,
        inputBytes: message.payloadBytes("input") ?? new TextEncoder().encode(JSON.stringify(input)),
        act: {
          actor: { type: "agent", id: this.#session.run.agentId },
          correlationId: this.#session.threads.known(message.correlation_id),
        },
        callerAgentId: this.#session.run.agentId,
        timeoutMs,
        idempotencyKey,
        context,
        caller,
        onStream: (chunk) => {
          if (refused !== undefined) return;
          try {
            this.#forward(message, chunk);
          } catch (error) {
            refused = toCoreError(error);
            caller.leave();
          }
        },
      });
      if (refused !== undefined) throw refused;
      return answer;
    } finally {
      this.#underWay.delete(callId);
    }
  }

  /** Throws `limit.stream`, `protocol.frame_too_large`: the call has no use any more. */
  #forward(message: CallMessage, chunk: Stream): void {
    if (this.#session.isFull) throw unread("was streamed");
    const { seq, channel } = chunk.payload;
    this.#session.send(
      "core.tool.stream",
      { call_id: message.payload.call_id, seq, channel },
      { ...echoedIds(message), splice: ["data", chunk.payloadBytes("data") ?? NO_DATA] },
    );
  }
}

function unread(what: string): CoreError {
  return new CoreError("limit.stream", `what it ${what} was not read fast enough`);
}

const NO_DATA = new TextEncoder().encode("{}");

function onWire(error: CoreError): WireError {
  return { code: error.code, message: error.message, details: error.details };
}
