/**
 * One agent's session: its handshake, its health, its tools, and the calls it is working on.
 *
 *   waiting ──hello accepted──▶ open ──connection lost, stop, fault──▶ closed
 *      └── hello refused: a welcome with an error, then the connection (not the session) is closed
 *
 * The socket's path is the run's identity, the token proves that it is the run that speaks: 32 random bytes, compared as
 * digests in constant time, good for one accepted hello. There is no second connection: a lost one ends the session, and
 * the run with it. SECURITY: every door of this file is pinned by a case of the conformance suite.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import {
  AGENT_MESSAGES,
  CoreError,
  decodeMessage,
  encodeMessage,
  MAX_FRAME_BYTES,
  MessageError,
  newId,
  PROTOCOL_VERSIONS,
  timestamp,
  type AgentMessage,
  type CoreMessageType,
  type Extras,
} from "@opensentience/protocol";
import type { Socket } from "node:net";
import { Connection } from "./connection.ts";
import type { StrayAnswer } from "./ended-calls.ts";
import { Threads } from "./threads.ts";
import { ToolSet } from "./tool-catalog.ts";

export type RunIdentity = {
  runId: string;
  agentId: string;
  manifestHash: string;
  sessionToken: string;
  /** From the manifest: an agent that offers tools must shake hands. */
  hasTools: boolean;
};

export type SessionSettings = { handshakeTimeoutMs: number; heartbeatIntervalMs: number; missedHeartbeats: number };
/** What was not taken: an answer that no call waits for, or the code of the refusal. */
export type NotTaken = StrayAnswer | MessageError["code"];
export type Health = "ok" | "degraded" | "unhealthy";

/** What happens in a session, for its owner to record and to act on. */
export type SessionEvents = {
  onConnected: (session: Session, hello: Extract<AgentMessage, { type: "agent.hello" }>["payload"]) => void;
  onRefused: (session: Session, error: CoreError) => void;
  onMessage: (session: Session, message: AgentMessage) => void;
  /** Something it said was not taken; told once per kind. */
  onNotTaken: (session: Session, what: NotTaken) => void;
  /** It gets no more calls; at most once per heartbeat interval. */
  onUnhealthy: (session: Session, why: string) => void;
  /** The session is over before the run: nobody can reach the agent any more. `isFault`: not because the agent closed it. */
  onLost: (session: Session, why: string, isFault: boolean) => void;
};

export class Session {
  readonly id: string = newId("ses");
  readonly run: RunIdentity;
  readonly tools: ToolSet;
  readonly threads: Threads = new Threads();
  lastHeartbeatAt: string | null = null;
  health: Health = "ok";
  #state: "waiting" | "open" | "closed" = "waiting";
  #sent = 0;
  #pauses = 0;
  #token: Buffer | undefined;
  #connection: Connection | undefined;
  readonly #notTaken = new Set<NotTaken>();
  #lastHeartbeatMs = 0;
  /** When its owner last heard that it is unhealthy. */
  #toldMs = -Infinity;
  /** Since a heartbeat is late: whether the agent has said anything behind the ping. */
  #probe: "none" | "unanswered" | "answered" = "none";
  #heartbeatTimer: NodeJS.Timeout | undefined;
  readonly #handshakeTimer: NodeJS.Timeout;
  readonly #settings: SessionSettings;
  readonly #server: { core_version: string; instance_id: string };
  readonly #events: SessionEvents;

  constructor(
    run: RunIdentity,
    settings: SessionSettings,
    server: { core_version: string; instance_id: string },
    events: SessionEvents,
  ) {
    this.run = run;
    this.tools = new ToolSet(run.agentId);
    this.#token = digest(run.sessionToken);
    this.#settings = settings;
    this.#server = server;
    this.#events = events;
    this.#handshakeTimer = setTimeout(() => this.#expire(), settings.handshakeTimeoutMs);
  }

  /** SECURITY: a token that nobody used stays no secret for ever. Pinned by "the token is void behind its time". */
  #expire(): void {
    this.#token = undefined;
    if (!this.run.hasTools || this.#state !== "waiting") return;
    this.#lose(`no handshake within ${this.#settings.handshakeTimeoutMs / 1000} s`);
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** Much of what was sent is not read yet: the agent should get nothing more now. */
  get isBehind(): boolean {
    return this.#connection?.isBehind === true;
  }

  /** So much of what was sent is not read yet that answers and streams for it have no place. */
  get isFull(): boolean {
    return this.#connection?.isFull === true;
  }

  /** A new connection on the run's socket. */
  accept(socket: Socket): void {
    let connection: Connection;
    const handlers = {
      onBody: (body: Uint8Array): void => this.#receive(connection, body),
      onBroken: (error: CoreError): void => this.#refuse(connection, error),
      onClosed: (why: string | null): void => {
        if (connection === this.#connection) this.#lose(why ?? "the agent closed its connection", why !== null);
      },
    };
    connection = new Connection(socket, handlers);
    // A stranger that connects and says nothing must not stay.
    socket.setTimeout(this.#settings.handshakeTimeoutMs, () => {
      if (connection !== this.#connection) connection.destroy("no hello came");
    });
  }

  /**
   * Throws `protocol.frame_too_large`. SECURITY: what another agent sent may be larger when it is forwarded, and the reader of
   * such a frame ends its session. Pinned by "what is too large to be forwarded fails its call and ends no agent".
   */
  send<K extends CoreMessageType>(type: K, payload: Parameters<typeof encodeMessage<K>>[1], extras: Extras = {}): void {
    const frame = encodeMessage(type, payload, { ...extras, id: this.#nextId(), ts: timestamp() });
    if (frame.length > MAX_FRAME_BYTES)
      throw new CoreError("protocol.frame_too_large", `${type} would not fit a frame`);
    this.#connection?.send(frame);
  }

  /** Unique among what Core says in this session. */
  #nextId(): string {
    this.#sent += 1;
    return `core-${this.#sent}`;
  }

  /** SECURITY: an agent must not fill the audit log with its faults. Pinned by "each kind is recorded once". */
  drop(what: NotTaken): void {
    if (this.#notTaken.has(what)) return;
    this.#notTaken.add(what);
    this.#events.onNotTaken(this, what);
  }

  /** Nothing more is read until each `pause` has its `resume`. */
  pause(): void {
    this.#pauses += 1;
    this.#connection?.pause();
  }

  resume(): void {
    this.#pauses -= 1;
    if (this.#pauses === 0) this.#connection?.resume();
  }

  /** The run ends: says goodbye and closes. Idempotent. */
  close(reason: string): void {
    if (this.#state === "closed") return;
    this.send("core.goodbye", { reason });
    this.#close();
    this.#connection?.end(reason);
  }

  #receive(connection: Connection, body: Uint8Array): void {
    try {
      const message = decodeMessage(body, AGENT_MESSAGES);
      if (this.#probe === "unanswered" && connection === this.#connection) this.#probe = "answered";
      if (message.type === "agent.hello") this.#hello(connection, message);
      else if (connection !== this.#connection)
        throw new MessageError("protocol.unexpected_message", "hello comes first", message.id);
      else if (message.type === "agent.heartbeat") this.#heartbeat(message);
      else this.#events.onMessage(this, message);
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      if (error.isIgnorable) return;
      // Of somebody who has not shaken hands one mistake is enough; of the agent it is an answer.
      if (connection !== this.#connection) return this.#refuse(connection, error);
      this.#answerError(error);
    }
  }

  #answerError(error: MessageError): void {
    this.drop(error.code);
    const about = error.about === undefined ? {} : { in_reply_to: error.about };
    this.send("core.error", {}, { ...about, error: { code: error.code, message: error.message } });
  }

  #hello(connection: Connection, message: Extract<AgentMessage, { type: "agent.hello" }>): void {
    const { payload, id } = message;
    const refusal = this.#refusalOf(payload);
    if (refusal !== undefined) return this.#refuse(connection, refusal, id);
    this.#token = undefined;
    this.#state = "open";
    this.#connection = connection;
    clearTimeout(this.#handshakeTimer);
    this.#startHeartbeats();
    this.#events.onConnected(this, payload);
    const welcome = {
      accepted_version: PROTOCOL_VERSIONS[0] ?? 1,
      session_id: this.id,
      heartbeat_interval_ms: this.#settings.heartbeatIntervalMs,
      max_frame_bytes: MAX_FRAME_BYTES,
      server: this.#server,
    };
    this.send("core.welcome", welcome, { in_reply_to: id });
  }

  #refusalOf(hello: Extract<AgentMessage, { type: "agent.hello" }>["payload"]): CoreError | undefined {
    if (
      this.#state === "open" ||
      this.#token === undefined ||
      !timingSafeEqual(this.#token, digest(hello.session_token))
    ) {
      return new CoreError("protocol.unauthorized", "the session token is not good for this run");
    }
    if (hello.agent_id !== this.run.agentId) {
      return new CoreError("protocol.manifest_mismatch", "hello names another agent than the one that was started");
    }
    if (hello.manifest_hash !== undefined && hello.manifest_hash !== this.run.manifestHash) {
      return new CoreError("protocol.manifest_mismatch", "hello names another manifest than the one that was approved");
    }
    if (!hello.protocol.supported_versions.some((version) => PROTOCOL_VERSIONS.includes(version))) {
      return new CoreError("protocol.version_unsupported", `Core speaks version ${PROTOCOL_VERSIONS.join(", ")}`);
    }
    return undefined;
  }

  /** Says why in a welcome, records it, and closes that connection; if it was the session's, the session is over. */
  #refuse(connection: Connection, error: CoreError, about?: string): void {
    this.#events.onRefused(this, error);
    const reply = about === undefined ? {} : { in_reply_to: about };
    connection.send(
      encodeMessage(
        connection === this.#connection ? "core.goodbye" : "core.welcome",
        connection === this.#connection ? { reason: error.message } : { server: this.#server },
        {
          ...reply,
          id: this.#nextId(),
          ts: timestamp(),
          error: { code: error.code, message: error.message },
        },
      ),
    );
    connection.end(error.message);
    // At once, not when the agent closes its side: no call may be sent into a connection that ends.
    if (connection === this.#connection) this.#lose(error.message);
  }

  #heartbeat(message: Extract<AgentMessage, { type: "agent.heartbeat" }>): void {
    if (message.payload.session_id !== this.id) {
      throw new MessageError("protocol.invalid_envelope", "payload.session_id is not this session's", message.id);
    }
    this.#lastHeartbeatMs = performance.now();
    this.#probe = "none";
    this.lastHeartbeatAt = new Date().toISOString();
    this.#setHealth(message.payload.status, "by its own heartbeat");
  }

  #startHeartbeats(): void {
    this.#lastHeartbeatMs = performance.now();
    // Looked at behind the reading: after a pause of Core itself the heartbeats of that time are still to be read.
    const look = (): void => void setImmediate(() => this.#lookForHeartbeat());
    this.#heartbeatTimer = setInterval(look, this.#settings.heartbeatIntervalMs);
  }

  /** A late heartbeat is asked after, once. The ping is a probe: what answers it tells why, and does not count as a heartbeat. */
  #lookForHeartbeat(): void {
    const { heartbeatIntervalMs, missedHeartbeats } = this.#settings;
    const missed = Math.floor((performance.now() - this.#lastHeartbeatMs) / heartbeatIntervalMs);
    if (missed === 0 || this.#state !== "open") return;
    if (missed >= missedHeartbeats && this.health !== "unhealthy") {
      const answers = { none: "", unanswered: "; nor does it answer a ping", answered: "; it answers, but sends none" };
      this.#setHealth("unhealthy", `${missed} heartbeats missed${answers[this.#probe]}`);
    }
    if (this.#probe !== "none") return;
    this.#probe = "unanswered";
    this.send("core.ping", {});
  }

  #setHealth(health: Health, why: string): void {
    if (health === this.health) return;
    this.health = health;
    const nowMs = performance.now();
    // SECURITY: an agent that changes its mind with every heartbeat must not fill the audit log. Pinned by "who is well and
    // unwell in turns is recorded once".
    if (health !== "unhealthy" || nowMs - this.#toldMs < this.#settings.heartbeatIntervalMs) return;
    this.#toldMs = nowMs;
    this.#events.onUnhealthy(this, why);
  }

  #lose(why: string, isFault = true): void {
    if (this.#state === "closed") return;
    this.#close();
    this.#events.onLost(this, why, isFault);
  }

  #close(): void {
    this.#state = "closed";
    this.#token = undefined;
    clearTimeout(this.#handshakeTimer);
    clearInterval(this.#heartbeatTimer);
  }
}

function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
