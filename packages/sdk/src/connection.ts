/**
 * The agent's side of its one connection to Core: frames in and out, and the handshake. It knows no tools.
 *
 * A lost connection is the end of the session: there is no second one, and Core ends the run. Core is trusted no further than
 * it must be: what is no frame or no message ends the connection or is left out, and what Core does not read is bounded.
 */
import { connect, type Socket } from "node:net";
import {
  CORE_MESSAGES,
  decodeMessage,
  encodeFrame,
  encodeMessage,
  FrameDecoder,
  MessageError,
  PROTOCOL_VERSIONS,
  timestamp,
  type AgentMessageType,
  type CoreMessage,
  type Extras,
} from "@opensentience/protocol";
import type { AgentEnvironment } from "./agent-environment.ts";

/** Core answers a hello at once; behind that nobody is there, in ms. */
const WELCOME_MS = 10_000;
/** What may wait for a Core that does not read, in bytes; a Core that lets more wait is gone. */
const MAX_WAITING_BYTES = 33_554_432;
/** How long Core may take to read the last of what was sent, in ms. */
const END_MS = 1_000;
/** A shorter one could stand in any text by chance. */
const MIN_TOKEN = 16;
/** What may wait for more of its kind: a call that has ended, or one that begins. */
const HELD: ReadonlySet<AgentMessageType> = new Set<AgentMessageType>(["agent.tool.result", "agent.tool.call"]);
/** So much leaves at once, in bytes. */
const MAX_QUEUED_BYTES = 65_536;
const SDK = { name: "@opensentience/sdk", version: "0.1.0" };

export type ConnectionEvents = {
  /** After the welcome, or that itself. */
  onMessage: (message: CoreMessage) => void;
  /** Once. `why` says what Core said last, or that it is gone. */
  onClosed: (why: string) => void;
};

export class CoreConnection {
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder();
  readonly #events: ConnectionEvents;
  readonly #token: string;
  #sent = 0;
  /** Frames that leave together, when what came from Core is handled, or else with the end of this callback. */
  #queued: Uint8Array[] = [];
  #queuedBytes = 0;
  #isReading = false;
  #isWelcome = false;
  #lastWords: string | undefined;

  constructor(environment: AgentEnvironment, events: ConnectionEvents) {
    this.#events = events;
    const { sessionToken } = environment;
    // As it would stand inside of JSON.
    this.#token = sessionToken.length < MIN_TOKEN ? "" : JSON.stringify(sessionToken).slice(1, -1);
    this.#socket = connect(environment.socketPath);
    this.#socket.on("data", (chunk: Uint8Array) => this.#read(chunk));
    this.#socket.on("error", (error) => (this.#lastWords ??= error.message));
    this.#socket.on("close", () => events.onClosed(this.#lastWords ?? "Core closed the connection"));
    // Who waits for room must hear of it one by one; there is no limit to how many calls may.
    this.#socket.setMaxListeners(0);
  }

  /** Bytes that wait because Core does not read. */
  get waitingBytes(): number {
    return this.#socket.writableLength + this.#queuedBytes;
  }

  send<K extends AgentMessageType>(
    type: K,
    payload: Parameters<typeof encodeMessage<K>>[1],
    extras: Extras = {},
  ): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) return;
    this.#sent += 1;
    const frame = encodeMessage(type, payload, { ...extras, id: `agent-${this.#sent}`, ts: timestamp() });
    this.#queue(type === "agent.hello" ? frame : this.#withoutToken(frame));
    // What belongs together leaves together; a piece of output is shown while its handler is still busy.
    if (!HELD.has(type) || this.#queuedBytes > MAX_QUEUED_BYTES) this.#flush();
    if (this.waitingBytes > MAX_WAITING_BYTES) this.close("Core does not read its socket");
  }

  #queue(frame: Uint8Array): void {
    this.#queuedBytes += frame.length;
    if (this.#queued.push(frame) === 1 && !this.#isReading) process.nextTick(() => this.#flush());
  }

  /** One write to the system. */
  #flush(): void {
    const frames = this.#queued;
    if (frames.length === 0) return;
    this.#queued = [];
    this.#queuedBytes = 0;
    if (this.#socket.destroyed || this.#socket.writableEnded) return;
    this.#socket.write(frames.length === 1 ? (frames[0] ?? "") : Buffer.concat(frames));
  }

  /** Resolves when Core has read what was sent before, or is gone. */
  drained(): Promise<void> {
    if (!this.#socket.writableNeedDrain || this.#socket.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#socket.off("drain", done).off("close", done);
        resolve();
      };
      this.#socket.on("drain", done).on("close", done);
    });
  }

  hello(environment: AgentEnvironment, agentVersion: string, capabilities: string[]): void {
    const timer = setTimeout(() => {
      if (!this.#isWelcome) this.close("Core did not answer the hello");
    }, WELCOME_MS);
    timer.unref();
    this.send("agent.hello", {
      session_token: environment.sessionToken,
      agent_id: environment.agentId,
      agent_version: agentVersion,
      protocol: { supported_versions: [...PROTOCOL_VERSIONS], capabilities },
      sdk: SDK,
    });
  }

  /** Says nothing more; resolves when Core has what was sent, or has had a while. */
  async end(): Promise<void> {
    if (this.#socket.destroyed) return;
    this.#flush();
    const { promise, resolve } = Promise.withResolvers<void>();
    setTimeout(resolve, END_MS).unref();
    this.#socket.once("close", resolve);
    this.#socket.end(resolve);
    await promise;
  }

  close(why: string): void {
    this.#lastWords ??= why;
    this.#socket.destroy();
  }

  /**
   * SECURITY: the session token is this run's identity. A handler that returns, streams or throws it by mistake (its whole
   * environment, say) must not hand it to a caller. Pinned by "the session token leaves with the hello alone".
   */
  #withoutToken(frame: Uint8Array): Uint8Array {
    const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
    if (this.#token === "" || !bytes.includes(this.#token)) return frame;
    return encodeFrame([Buffer.from(bytes.toString("utf8", 4).replaceAll(this.#token, "[redacted]"))]);
  }

  #read(chunk: Uint8Array): void {
    this.#isReading = true;
    try {
      for (const body of this.#decoder.push(chunk)) {
        if (this.#socket.destroyed) return;
        this.#message(body);
      }
    } catch (error) {
      this.close(error instanceof Error ? `Core sent something wrong: ${error.message}` : "Core sent something wrong");
    } finally {
      this.#isReading = false;
      this.#flush();
    }
  }

  /** A newer Core may say things that this version does not know; it hears so, unless they answer something. */
  #notTaken({ code, message, about, isIgnorable }: MessageError): void {
    if (isIgnorable || !this.#isWelcome) return;
    this.send("agent.error", {}, { in_reply_to: about, error: { code, message } });
  }

  #message(body: Uint8Array): void {
    let message: CoreMessage;
    try {
      message = decodeMessage(body, CORE_MESSAGES);
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      return this.#notTaken(error);
    }
    if (message.type === "core.goodbye") this.#lastWords ??= message.payload.reason;
    // A second welcome is as wrong as a call before the first.
    if ((message.type === "core.welcome") === this.#isWelcome) return;
    this.#isWelcome = true;
    if (message.type === "core.ping") this.send("agent.pong", {}, { in_reply_to: message.id });
    else this.#events.onMessage(message);
  }
}
