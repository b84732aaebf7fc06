/**
 * One connection as one who tests sees it: what was sent goes out as told, what comes in is kept in order, good or bad.
 * It trusts nothing and corrects nothing; judging is others' work.
 */
import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { encodeFrame, FrameDecoder } from "@opensentience/protocol";

export type Heard = {
  /** The body as it came. */
  bytes: Uint8Array;
  /** What JSON.parse makes of it; undefined when it is no JSON object. */
  message: Record<string, unknown> | undefined;
  atMs: number;
  /** An expectation was met with it. */
  isUsed: boolean;
};

/** What an expectation was waiting for did not come. */
export class Disappointed extends Error {}

export class Peer {
  readonly heard: Heard[] = [];
  /** Why nothing more can come; undefined while the connection is there. */
  ended: string | undefined;
  /** Called after something came. */
  onHeard: () => void = () => {};
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder();
  #wake: (() => void)[] = [];
  #sent = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Uint8Array) => this.#read(chunk));
    // A reset is an end like any other.
    socket.on("error", () => {});
    socket.on("close", () => this.#end("the connection is closed"));
  }

  /** Writes one message whole; `v`, `id` and `ts` are added where they are missing. */
  send(message: Record<string, unknown>): void {
    this.write(this.frame(message));
  }

  frame(message: Record<string, unknown>): Uint8Array {
    this.#sent += 1;
    const whole = { v: 1, id: `core-${this.#sent}`, ts: new Date().toISOString(), ...message };
    return encodeFrame([new TextEncoder().encode(JSON.stringify(whole))]);
  }

  write(bytes: Uint8Array): void {
    if (!this.#socket.destroyed) this.#socket.write(bytes);
  }

  /** Each piece leaves on its own, and the other side gets so long to read it alone. */
  async writePieces(pieces: readonly Uint8Array[], pauseMs: number): Promise<void> {
    for (const piece of pieces) {
      this.write(piece);
      await delay(pauseMs);
    }
  }

  /** The first thing `find` answers, looked for now and after everything that comes; undefined when it never came. */
  async waitFor<T>(find: () => T | undefined, withinMs: number): Promise<T | undefined> {
    const deadlineMs = performance.now() + withinMs;
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0 || this.ended !== undefined) return undefined;
      await this.#something(leftMs);
    }
  }

  /** Reads nothing more: what the other side says stays in its socket. */
  stopReading(): void {
    this.#socket.pause();
  }

  readOn(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #something(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, withinMs);
      this.#wake.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #read(chunk: Uint8Array): void {
    try {
      for (const body of this.#decoder.push(chunk)) {
        const bytes = body.slice();
        this.heard.push({ bytes, message: parsed(bytes), atMs: performance.now(), isUsed: false });
      }
    } catch (error) {
      this.#end(`it sent what is no frame: ${error instanceof Error ? error.message : ""}`);
      this.#socket.destroy();
    }
    this.onHeard();
    this.wake();
  }

  #end(why: string): void {
    this.ended ??= why;
    this.wake();
  }

  /** Whoever waits looks again. */
  wake(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const wake of waiting) wake();
  }
}

function parsed(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
