/** What a handler can do while it works on a call: stream, log, call other agents. */
import { STREAM_CHANNELS, type Extras } from "@opensentience/protocol";
import type { CallAbort } from "./call-abort.ts";
import type { CoreConnection } from "./connection.ts";
import type { AskOptions, OutgoingCalls } from "./outgoing-calls.ts";
import { jsonBytes, ToolError } from "./what-leaves.ts";

export type Channel = (typeof STREAM_CHANNELS)[number];

export type CallContext = {
  /** Aborted when the call is canceled or the run stops; pass it on to whatever can be aborted. */
  signal: AbortSignal;
  /**
   * Sends a piece of output; resolves when there is room for more. Rejects with ToolError `limit.stream` when much more is
   * sent than Core reads because nobody waits, and with `tool.invalid_output` or `tool.output_too_large` for a piece that
   * cannot be sent. After the call's end it does nothing.
   */
  stream: (data: string | { json: unknown }, channel?: Channel) => Promise<void>;
  /** As `stream` to the channel `log`, without waiting; what cannot be sent is left out. */
  log: (text: string) => void;
  /** Calls another agent's tool; needs the approved permission `tool:invoke:<agent_id>/<tool>`. Rejects with a ToolError, and with a TypeError for an option that it does not have. */
  call: (toolId: string, input: Record<string, unknown>, options?: AskOptions) => Promise<unknown>;
  request: {
    callId: string;
    requestId: string | undefined;
    correlationId: string | undefined;
    caller: { type: string; id: string } | undefined;
    /** Of a caller that may ask twice for the same act; Core has sent this one only once. */
    idempotencyKey: string | undefined;
  };
};

/** UTF-16 units of one piece of text; a longer one becomes several. */
const MAX_TEXT = 262_144;
/** Bytes of one piece of JSON. */
const MAX_JSON_BYTES = 1_048_576;
/** What a call may send ahead of Core's reading, in bytes. */
const MAX_AHEAD_BYTES = 8_388_608;

/** The numbered pieces of one call. */
export class CallStream {
  readonly #connection: CoreConnection;
  readonly #callId: string;
  readonly #echo: Extras;
  readonly #isOver: () => boolean;
  #seq = 0;

  constructor(connection: CoreConnection, callId: string, echo: Extras, isOver: () => boolean) {
    this.#connection = connection;
    this.#callId = callId;
    this.#echo = echo;
    this.#isOver = isOver;
  }

  send(data: string | { json: unknown }, channel: Channel): Promise<void> {
    const sent = this.#sent(data, channel);
    // Who does not wait does not hear of it either; it must not end the process.
    sent.catch(() => {});
    return sent;
  }

  async #sent(data: string | { json: unknown }, channel: Channel): Promise<void> {
    // Behind its end a call says nothing more: Core would drop it.
    if (this.#isOver()) return;
    if (!STREAM_CHANNELS.includes(channel)) throw new TypeError(`there is no channel ${String(channel)}`);
    for (const piece of pieces(data)) {
      if (this.#connection.waitingBytes > MAX_AHEAD_BYTES) {
        throw new ToolError("limit.stream", "more was streamed than Core has read; wait for stream()");
      }
      this.#seq += 1;
      const payload = { call_id: this.#callId, seq: this.#seq, channel };
      this.#connection.send("agent.tool.stream", payload, { ...this.#echo, splice: ["data", piece] });
    }
    await this.#connection.drained();
  }
}

function pieces(data: unknown): Uint8Array[] {
  if (typeof data === "string") return textPieces(data).map((text) => Buffer.from(JSON.stringify({ text })));
  if (typeof data !== "object" || data === null || !("json" in data)) {
    throw new TypeError("stream takes a text or { json: … }");
  }
  const codes = ["tool.invalid_output", "tool.output_too_large"] as const;
  jsonBytes(data.json, "a streamed piece", MAX_JSON_BYTES, codes);
  return [jsonBytes({ json: data.json }, "a streamed piece", MAX_JSON_BYTES + 16, codes)];
}

/** Never cut between the halves of a character. */
function textPieces(text: string): string[] {
  if (text.length <= MAX_TEXT) return [text];
  const pieces: string[] = [];
  for (let at = 0; at < text.length;) {
    const end = at + MAX_TEXT;
    const isHalf = (text.charCodeAt(end - 1) & 0xfc00) === 0xd800;
    pieces.push(text.slice(at, isHalf ? end - 1 : end));
    at = isHalf ? end - 1 : end;
  }
  return pieces;
}

export function callContext(parts: {
  stream: CallStream;
  outgoing: OutgoingCalls;
  abort: CallAbort;
  echo: Extras;
  request: CallContext["request"];
}): CallContext {
  const { stream, outgoing, abort, echo, request } = parts;
  return {
    get signal() {
      return abort.signal;
    },
    stream: (data, channel = "stdout") => stream.send(data, channel),
    log: (text) => void stream.send(String(text), "log"),
    call: (toolId, input, options = {}) => outgoing.ask(toolId, input, options, echo, abort),
    request,
  };
}
