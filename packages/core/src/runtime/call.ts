/**
 * One call while it is under way: a stream in order, one result, two deadlines, one cancel. Whatever happens first
 * decides the outcome; everything that comes later is dropped and counted. It knows sockets and records only as functions.
 */
import { CoreError, type AgentMessage, type WireError } from "@opensentience/protocol";
import type { StrayAnswer } from "./ended-calls.ts";

export type Stream = Extract<AgentMessage, { type: "agent.tool.stream" }>;
export type Result = Extract<AgentMessage, { type: "agent.tool.result" }>;

export type Outcome = {
  status: "succeeded" | "failed" | "canceled";
  /** The output as JSON bytes, as the agent sent them; only when succeeded. */
  output?: Uint8Array;
  error?: WireError;
};

export type Deadlines = {
  /** Without a stream chunk or result for so long, the call times out, in ms. Progress extends it. */
  idleMs: number;
  /** Nothing extends this one, in ms. */
  totalMs: number;
  /** How long a canceled call may take to say so, in ms. */
  cancelMs: number;
};

export type CallPorts = {
  /** Tells the agent to stop; best effort. */
  sendCancel: (reason: string, deadlineMs: number) => void;
  onStream: (chunk: Stream) => void;
  /** Throws what makes a result no success: tool.invalid_output, tool.output_too_large. */
  checkOutput: (result: Result) => void;
  /** Something that the call does not take, or not any more. */
  onDropped: (kind: StrayAnswer, message: Stream | Result) => void;
  /** Once, before anybody hears of the outcome. */
  onEnd: () => void;
};

export class Call {
  readonly #deadlines: Deadlines;
  readonly #ports: CallPorts;
  readonly outcome: Promise<Outcome>;
  #resolve: (outcome: Outcome) => void = () => {};
  #isOver = false;
  #isAnswered = false;
  #isCanceled = false;
  #nextSeq = 1;
  readonly #startedMs = performance.now();
  #progressMs = this.#startedMs;
  /** Of the deadline that comes first; progress is looked at only when it fires. */
  #timer: NodeJS.Timeout;

  constructor(deadlines: Deadlines, ports: CallPorts) {
    this.#deadlines = deadlines;
    this.#ports = ports;
    this.outcome = new Promise((resolve) => (this.#resolve = resolve));
    this.#timer = this.#nextDeadline();
  }

  /** Whether its agent's result ended it. */
  get isAnswered(): boolean {
    return this.#isAnswered;
  }

  #nextDeadline(): NodeJS.Timeout {
    const { idleMs, totalMs } = this.#deadlines;
    const nowMs = performance.now();
    const [idleLeft, totalLeft] = [this.#progressMs + idleMs - nowMs, this.#startedMs + totalMs - nowMs];
    return setTimeout(() => this.#late(), Math.max(1, Math.ceil(Math.min(idleLeft, totalLeft))));
  }

  #late(): void {
    const { idleMs, totalMs } = this.#deadlines;
    const nowMs = performance.now();
    if (nowMs >= this.#startedMs + totalMs) this.#timeOut(`it took longer than ${totalMs} ms`);
    else if (nowMs >= this.#progressMs + idleMs) this.#timeOut(`nothing came for ${idleMs} ms`);
    else this.#timer = this.#nextDeadline();
  }

  stream(chunk: Stream): void {
    if (this.#isOver) return this.#dropped(chunk);
    if (chunk.payload.seq < this.#nextSeq) return this.#ports.onDropped("repeated_piece", chunk);
    if (chunk.payload.seq > this.#nextSeq) {
      this.#ports.sendCancel("its stream has a gap", 0);
      return this.fail("protocol.unexpected_message", `stream chunk ${this.#nextSeq} never came`);
    }
    this.#nextSeq += 1;
    this.#progressMs = performance.now();
    this.#ports.onStream(chunk);
  }

  result(result: Result): void {
    if (this.#isOver) return this.#dropped(result);
    this.#isAnswered = true;
    const { status, error } = result.payload;
    if (status === "canceled")
      return this.#end({ status, error: error ?? { code: "tool.canceled", message: "the call was canceled" } });
    if (status === "failed")
      return this.#end({
        status,
        error: error ?? { code: "tool.failed", message: "the tool failed without a reason" },
      });
    try {
      this.#ports.checkOutput(result);
    } catch (thrown) {
      if (!(thrown instanceof CoreError)) throw thrown;
      return this.#end({
        status: "failed",
        error: { code: thrown.code, message: thrown.message, details: thrown.details },
      });
    }
    const output = result.payloadBytes("output");
    this.#end({ status, ...(output === undefined ? {} : { output }) });
  }

  /** Asks the agent to stop; the call is over when it answers, or after the cancel deadline. Idempotent. */
  cancel(reason: string): void {
    if (this.#isOver || this.#isCanceled) return;
    this.#isCanceled = true;
    const { cancelMs } = this.#deadlines;
    clearTimeout(this.#timer);
    const message = `${reason}; the agent did not confirm it`;
    const ended = { status: "canceled", error: { code: "tool.canceled", message } } as const;
    this.#timer = setTimeout(() => this.#end(ended), cancelMs);
    this.#ports.sendCancel(reason, cancelMs);
  }

  /** The permission for it is gone: its caller hears so at once, its agent is told to stop. */
  revoke(error: CoreError): void {
    if (this.#isOver) return;
    this.#ports.sendCancel(error.message, 0);
    this.fail(error.code, error.message);
  }

  fail(code: WireError["code"], message: string): void {
    this.#end({ status: "failed", error: { code, message } });
  }

  #dropped(message: Stream | Result): void {
    this.#ports.onDropped(this.#isAnswered ? "second_result" : "late_result", message);
  }

  #timeOut(why: string): void {
    this.#ports.sendCancel(why, 0);
    this.fail("tool.timeout", why);
  }

  #end(outcome: Outcome): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#ports.onEnd();
    this.#resolve(outcome);
  }
}
