/**
 * The agent's side of its one connection to Core: frames in and out, the handshake, heartbeats. It knows no tools.
 * A lost connection is the end of the session: there is no second one, and Core ends the run.
 */
import { connect, type Socket } from "node:net";
import {
  CORE_MESSAGES,
  decodeMessage,
  encodeMessage,
  FrameDecoder,
  MessageError,
  PROTOCOL_VERSIONS,
  type AgentMessageType,
  type CoreMessage,
  type Extras,
} from "@opensentience/protocol";
import type { AgentEnvironment } from "./agent-environment.ts";

/** Core answers a hello at once; behind that nobody is there, in ms. */
const WELCOME_MS = 10_000;
const SDK = { name: "@opensentience/sdk", version: "0.1.0" };

export type ConnectionEvents = {
  onMessage: (message: CoreMessage) => void;
  /** Once. `why` says what Core said last, or that it is gone. */
  onClosed: (why: string) => void;
};

export class CoreConnection {
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder();
  readonly #events: ConnectionEvents;
  #sent = 0;
  #goodbye: string | undefined;

  constructor(socketPath: string, events: ConnectionEvents) {
    this.#events = events;
    this.#socket = connect(socketPath);
    this.#socket.on("data", (chunk: Uint8Array) => this.#read(chunk));
    this.#socket.on("error", (error) => (this.#goodbye ??= error.message));
    this.#socket.on("close", () => events.onClosed(this.#goodbye ?? "Core closed the connection"));
  }

  /** Bytes that wait because Core does not read. */
  get waitingBytes(): number {
    return this.#socket.writableLength;
  }

  send<K extends AgentMessageType>(
    type: K,
    payload: Parameters<typeof encodeMessage<K>>[1],
    extras: Extras = {},
  ): string {
    this.#sent += 1;
    const id = `agent-${this.#sent}`;
    this.#socket.write(encodeMessage(type, payload, { ...extras, id, ts: new Date().toISOString() }));
    return id;
  }

  /** Resolves when Core has read what was sent before. */
  drained(): Promise<void> {
    if (!this.#socket.writableNeedDrain) return Promise.resolve();
    return new Promise((resolve) => this.#socket.once("drain", resolve).once("close", resolve));
  }

  hello(environment: AgentEnvironment, agentVersion: string, capabilities: string[]): void {
    const timer = setTimeout(() => this.close("Core did not answer the hello"), WELCOME_MS);
    this.#socket.once("data", () => clearTimeout(timer));
    this.#socket.once("close", () => clearTimeout(timer));
    this.send("agent.hello", {
      session_token: environment.sessionToken,
      agent_id: environment.agentId,
      agent_version: agentVersion,
      protocol: { supported_versions: [...PROTOCOL_VERSIONS], capabilities },
      sdk: SDK,
    });
  }

  close(why: string): void {
    this.#goodbye ??= why;
    this.#socket.destroy();
  }

  #read(chunk: Uint8Array): void {
    try {
      for (const body of this.#decoder.push(chunk)) this.#message(body);
    } catch (error) {
      this.close(error instanceof Error ? error.message : "Core sent something that is no frame");
    }
  }

  #message(body: Uint8Array): void {
    let message: CoreMessage;
    try {
      message = decodeMessage(body, CORE_MESSAGES);
    } catch (error) {
      // A newer Core may say things that this version does not know; they are nobody's fault.
      if (error instanceof MessageError) return;
      throw error;
    }
    if (message.type === "core.goodbye") this.#goodbye = message.payload.reason;
    if (message.type === "core.ping") this.send("agent.pong", {}, { in_reply_to: message.id });
    else this.#events.onMessage(message);
  }
}
