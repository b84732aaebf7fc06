/**
 * One connection of an agent, as frames: bytes in, bodies out, frames written with a bound. It knows no messages.
 *
 * SECURITY: an agent may never read, never finish a frame, or flood. What it does not read is held up to MAX_QUEUED_BYTES
 * for at most DRAIN_MS, a frame that has begun must end within FRAME_MS, what it sends gets TURN_MS before others have
 * their turn, a longer turn is followed by a rest, and while a handler asks for a pause nothing more is read, so that a
 * flood waits in the kernel. Only its own connection ends. Pinned by "an agent that never reads is ended, with its reason"
 * and "a frame that begins and does not end closes the session after its bound".
 */
import type { Socket } from "node:net";
import { FrameDecoder, toCoreError, type CoreError } from "@opensentience/protocol";

/** How long a frame that has begun may take to be whole, in ms. */
const FRAME_MS = 10_000;
/** How long an agent may leave what was written to it unread once its socket is full, in ms. */
const DRAIN_MS = 10_000;
/** How long the messages of one agent are handled in a row, in ms. */
const TURN_MS = 5;
/** From so long on a turn is followed by a rest of the same length, in ms. */
const LONG_TURN_MS = 20;
/** What may wait for an agent that does not read, in bytes: eight of the largest frames. */
const MAX_QUEUED_BYTES = 33_554_432;
/** So much may wait before nobody should add to it, in bytes. */
const BEHIND_BYTES = 8_388_608;
/** So much may wait before what others have for the agent is no longer added, in bytes: one frame more and a rest fit. */
const FULL_BYTES = 25_165_824;

export type ConnectionHandlers = {
  /** One whole body. What it throws ends the connection. */
  onBody: (body: Uint8Array) => void;
  /** Bytes that are no frames, or a handler's fault; a chance to say something last. The connection is closed afterwards. */
  onBroken: (error: CoreError) => void;
  /** Once, whoever closed; `why` is null when the agent did. */
  onClosed: (why: string | null) => void;
};

export class Connection {
  readonly #socket: Socket;
  readonly #handlers: ConnectionHandlers;
  readonly #decoder = new FrameDecoder();
  #frameTimer: NodeJS.Timeout | undefined;
  #drainTimer: NodeJS.Timeout | undefined;
  #endTimer: NodeJS.Timeout | undefined;
  /** Bodies of what was read that wait for the next turn; nothing is read meanwhile. */
  #bodies: Iterator<Uint8Array> | undefined;
  #isHeld = false;
  /** Frames of this callback, and their bytes. */
  #frames: Uint8Array[] = [];
  #frameBytes = 0;
  #why: string | null = null;

  constructor(socket: Socket, handlers: ConnectionHandlers) {
    this.#socket = socket;
    this.#handlers = handlers;
    socket.on("data", (chunk: Uint8Array) => this.#read(chunk));
    socket.on("drain", () => this.#stopDrainTimer());
    // A broken pipe is an end like any other; `close` follows.
    socket.on("error", () => {});
    socket.on("close", () => this.#closed());
  }

  /** Queues one frame; those of one callback leave together. */
  send(frame: Uint8Array): void {
    this.#frameBytes += frame.length;
    if (this.#frames.push(frame) === 1) process.nextTick(() => this.#write());
  }

  #write(): void {
    const [first, ...others] = this.#frames;
    this.#frames = [];
    this.#frameBytes = 0;
    if (first === undefined || this.#isEnded) return;
    if (this.#socket.write(others.length === 0 ? first : Buffer.concat([first, ...others]))) return;
    if (this.#socket.writableLength > MAX_QUEUED_BYTES) this.destroy("it does not read its socket");
    else this.#drainTimer ??= setTimeout(() => this.destroy("it does not read its socket"), DRAIN_MS);
  }

  /**
   * The agent has much to read. SECURITY: who fills another agent's queue must not end its session by that: new calls are
   * refused long before. Pinned by "large inputs that come together end no agent that reads".
   */
  get isBehind(): boolean {
    return this.#waitingBytes > BEHIND_BYTES;
  }

  /** SECURITY: nor what it is answered and streamed. Pinned by "a callee that streams faster than its caller reads ends no caller". */
  get isFull(): boolean {
    return this.#waitingBytes > FULL_BYTES;
  }

  get #waitingBytes(): number {
    return this.#socket.writableLength + this.#frameBytes;
  }

  /** What is not read cannot end a frame: the time of one that has begun stands still. */
  pause(): void {
    this.#isHeld = true;
    this.#socket.pause();
    this.#stopFrameTimer();
  }

  resume(): void {
    this.#isHeld = false;
    this.#readOn();
  }

  #readOn(): void {
    if (this.#isHeld || this.#bodies !== undefined) return;
    this.#socket.resume();
    this.#startFrameTimer();
  }

  /** After what was sent, closes; an agent that does not take it is cut off. */
  end(why: string): void {
    this.#why ??= why;
    this.#write();
    this.#socket.end();
    // A timer of its own: what drains meanwhile must not save an agent that never closes its side.
    this.#endTimer ??= setTimeout(() => this.#socket.destroy(), DRAIN_MS);
  }

  destroy(why: string): void {
    this.#why ??= why;
    this.#socket.destroy();
  }

  get #isEnded(): boolean {
    return this.#socket.destroyed || this.#socket.writableEnded;
  }

  #read(chunk: Uint8Array): void {
    // SECURITY: each piece behind a broken frame would be refused and recorded once more. Pinned by "frame.flood_behind".
    if (this.#isEnded) return;
    this.#bodies = this.#decoder.push(chunk);
    this.#handle(this.#bodies);
  }

  #handle(bodies: Iterator<Uint8Array>): void {
    const startedMs = performance.now();
    try {
      for (let next = bodies.next(); next.done !== true; next = bodies.next()) {
        // A handler may have ended the connection: what is behind that is not looked at any more.
        if (this.#isEnded) return;
        this.#stopFrameTimer();
        this.#handlers.onBody(next.value);
        const tookMs = performance.now() - startedMs;
        if (tookMs < TURN_MS) continue;
        this.#socket.pause();
        // SECURITY: what others ask for takes several turns: an agent whose every message is a long one would have all but a
        // few of them. Pinned by "messages that are long to read leave others their time".
        if (tookMs < LONG_TURN_MS) setImmediate(() => this.#handle(bodies));
        else setTimeout(() => this.#handle(bodies), tookMs);
        return;
      }
    } catch (thrown) {
      if (!this.#isEnded) this.#handlers.onBroken(toCoreError(thrown));
      return;
    }
    this.#bodies = undefined;
    this.#readOn();
  }

  #startFrameTimer(): void {
    if (!this.#decoder.isMidFrame || this.#socket.destroyed) return;
    this.#frameTimer ??= setTimeout(() => this.destroy("a frame did not end in time"), FRAME_MS);
  }

  #stopFrameTimer(): void {
    clearTimeout(this.#frameTimer);
    this.#frameTimer = undefined;
  }

  #stopDrainTimer(): void {
    clearTimeout(this.#drainTimer);
    this.#drainTimer = undefined;
  }

  #closed(): void {
    this.#stopFrameTimer();
    clearTimeout(this.#endTimer);
    this.#stopDrainTimer();
    this.#handlers.onClosed(this.#why);
  }
}
