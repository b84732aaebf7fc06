/** Plays one transcript with one session: says what is to be said, and throws `Disappointed` at the first thing that is wrong. */
import type { AgentSession } from "./agent-session.ts";
import { judge } from "./judges.ts";
import { Disappointed, type Heard, type Peer } from "./peer.ts";
import { filled, mismatch, shown, type Step, type Values } from "./transcript.ts";

export type Patience = {
  /** How long an answer may take, in ms. */
  stepMs: number;
  /** How long is listened for what must not come, in ms. */
  quietMs: number;
};

type Message = Record<string, unknown>;

const HEADER_BYTES = 4;

export class Player {
  readonly #session: AgentSession;
  readonly #peer: Peer;
  readonly #values: Values;
  readonly #patience: Patience;
  /** Place behind what was expected last: what must not come is looked for from here. */
  #behind = 0;

  constructor(session: AgentSession, values: Values, patience: Patience) {
    this.#session = session;
    this.#peer = session.peer;
    this.#values = { ...session.values, ...values };
    this.#patience = patience;
  }

  async play(steps: readonly Step[]): Promise<void> {
    for (const step of steps) await this.#step(step);
  }

  async #step(step: Step): Promise<void> {
    if ("send" in step) return this.#send(step);
    if ("send_together" in step) {
      const frames = step.send_together.map((message) => this.#peer.frame(filled(message, this.#values)));
      return this.#peer.write(Buffer.concat(frames));
    }
    if ("raw" in step) return this.#peer.write(Buffer.from(step.raw, "hex"));
    if ("welcome" in step) return this.#session.welcome(filled(step.welcome, this.#values));
    if ("expect" in step) return this.#expect(step);
    if ("absent" in step) return this.#absent(filled(step.absent, this.#values), step.barrier ?? true);
    if ("stream" in step) return this.#stream(String(filled(step.stream, this.#values)), step.pieces);
    if ("heartbeats" in step) return this.#heartbeats(step.heartbeats, filled(step.like, this.#values));
    if ("lives" in step) {
      if (!(await this.#isAnswering(this.#patience.stepMs))) throw this.#missing("a pong");
      return;
    }
    if ("close" in step) return this.#peer.close();
    if ("exits" in step) return this.#exits(step.exits);
    return judge(step.judge, this.#session);
  }

  async #send(step: Extract<Step, { send: unknown }>): Promise<void> {
    const message = filled(step.send, this.#values) as Message;
    if (step.padded_to !== undefined) message["payload"] = { padding: "x".repeat(step.padded_to) };
    const frame = this.#peer.frame(message);
    if (step.as === undefined || step.as === "whole") return this.#peer.write(frame);
    const isInside = (at: number): boolean => at > HEADER_BYTES && ((frame[at] ?? 0) & 0xc0) === 0x80;
    const cuts = [...frame.keys()].slice(1).filter((at) => step.as === "bytes" || isInside(at));
    const pieces = [0, ...cuts].map((from, index) => frame.subarray(from, cuts[index] ?? frame.length));
    await this.#peer.writePieces(pieces, step.as === "bytes" ? 1 : 10);
  }

  async #expect(step: Extract<Step, { expect: unknown }>): Promise<void> {
    const expected = filled(step.expect, this.#values);
    const isMeant = (heard: Heard): boolean =>
      !heard.isUsed && mismatch(step.any === true ? expected : identity(expected), heard.message) === undefined;
    const found = await this.#peer.waitFor(() => this.#peer.heard.find(isMeant), this.#patience.stepMs);
    if (found === undefined) throw this.#missing(described(expected), expected["type"] === "agent.hello");
    found.isUsed = true;
    this.#behind = this.#peer.heard.indexOf(found) + 1;
    if (step.first === true && this.#behind > 1) {
      throw new Disappointed(`${described(this.#peer.heard[0]?.message ?? {})} came first`);
    }
    const problem =
      mismatch(expected, found.message) ??
      (step.and === undefined ? undefined : mismatch(filled(step.and, this.#values), found.message));
    if (problem !== undefined) throw new Disappointed(`${described(expected)}: ${problem}${ownError(found, problem)}`);
  }

  async #absent(pattern: Message, hasBarrier: boolean): Promise<void> {
    const unwanted = (): Heard | undefined =>
      this.#peer.heard
        .slice(this.#behind)
        .find(
          (heard) =>
            !heard.isUsed && heard.message?.["type"] !== "agent.pong" && mismatch(pattern, heard.message) === undefined,
        );
    if (hasBarrier) await this.#isAnswering(this.#patience.quietMs * 4);
    const found = await this.#peer.waitFor(unwanted, this.#patience.quietMs);
    if (found !== undefined) throw new Disappointed(`${described(found.message ?? {})} came, which is one too many`);
  }

  /** Everything the agent said before it read this is there then. */
  async #isAnswering(withinMs: number): Promise<boolean> {
    this.#peer.send({ type: "core.ping", payload: {} });
    const pong = (): Heard | undefined =>
      this.#peer.heard.find((heard) => !heard.isUsed && heard.message?.["type"] === "agent.pong");
    const found = await this.#peer.waitFor(pong, withinMs);
    if (found !== undefined) found.isUsed = true;
    return found !== undefined;
  }

  async #stream(callId: string, pieces: number): Promise<void> {
    const ofCall = (heard: Heard): boolean => payloadOf(heard)["call_id"] === callId;
    const result = await this.#peer.waitFor(
      () => this.#peer.heard.find((heard) => heard.message?.["type"] === "agent.tool.result" && ofCall(heard)),
      this.#patience.stepMs,
    );
    if (result === undefined) throw this.#missing("a result");
    const before = this.#peer.heard.slice(0, this.#peer.heard.indexOf(result));
    const chunks = before.filter((heard) => heard.message?.["type"] === "agent.tool.stream" && ofCall(heard));
    for (const [index, chunk] of chunks.entries()) {
      chunk.isUsed = true;
      const { seq } = payloadOf(chunk);
      if (seq !== index + 1) throw new Disappointed(`piece ${index + 1} has seq ${shown(seq)}`);
    }
    if (chunks.length !== pieces)
      throw new Disappointed(`${chunks.length} pieces came before the result, not ${pieces}`);
  }

  async #heartbeats(count: number, like: Message): Promise<void> {
    const intervalMs = this.#session.heartbeatIntervalMs;
    const from = this.#peer.heard.length;
    const beats = (): Heard[] =>
      this.#peer.heard.slice(from).filter((heard) => heard.message?.["type"] === "agent.heartbeat");
    for (let number = 1; number <= count; number += 1) {
      // As patient as Core: three intervals in a row without one.
      const beat = await this.#peer.waitFor(() => beats()[number - 1], intervalMs * 3 + this.#patience.quietMs);
      if (beat === undefined) throw this.#missing(`heartbeat ${number} within three intervals of ${intervalMs} ms`);
      const problem = mismatch(like, payloadOf(beat), "payload");
      if (problem !== undefined) throw new Disappointed(`a heartbeat: ${problem}`);
    }
  }

  async #exits(how: "any" | "nonzero"): Promise<void> {
    const { trial } = this.#session;
    const exit = await trial.exited(this.#patience.stepMs);
    if (trial.peers.length > 1) throw new Disappointed("it connected again");
    if (exit === undefined) throw new Disappointed("it did not exit");
    if (how === "nonzero" && exit.exitCode === 0) throw new Disappointed("it exited with status 0");
  }

  #missing(what: string, isHello = false): Disappointed {
    const ended = this.#peer.ended === undefined ? "" : `: ${this.#peer.ended}`;
    return new Disappointed(`${what} never came${isHello ? this.#session.beginning : ended}`);
  }
}

/** What tells which message is meant, whatever else it says. */
function identity(expected: Message): Message {
  const { type, in_reply_to, payload } = expected as { type?: unknown; in_reply_to?: unknown; payload?: Message };
  const callId = payload?.["call_id"];
  return {
    ...(type === undefined ? {} : { type }),
    ...(in_reply_to === undefined ? {} : { in_reply_to }),
    ...(callId === undefined ? {} : { payload: { call_id: callId } }),
  };
}

function described(message: Message): string {
  const callId: unknown = (message["payload"] as Message | undefined)?.["call_id"];
  return `${typeof message["type"] === "string" ? message["type"] : "something"}${typeof callId === "string" ? ` of call ${shown(callId)}` : ""}`;
}

/** What a result that should have succeeded says of its failure, for whoever has to mend it. */
function ownError(heard: Heard, problem: string): string {
  const error = payloadOf(heard)["error"];
  if (!problem.startsWith("payload.status ") || typeof error !== "object" || error === null) return "";
  const { code, message } = error as Message;
  return `; its error is ${shown(code)}: ${String(message).slice(0, 300)}`;
}

function payloadOf(heard: Heard): Message {
  const payload = heard.message?.["payload"];
  return typeof payload === "object" && payload !== null ? (payload as Message) : {};
}
