/** Lets through exactly the body of one request and drops what follows it, which would be a request nobody judged. */
import { Transform, type TransformCallback } from "node:stream";
import { CoreError } from "@opensentience/protocol";
import type { Body } from "./request-head.ts";

const [CR, LF] = [13, 10];

/** Ends when the body does; fails with `egress.invalid_request` on chunks that could be read in two ways. */
export function bodyFrame(body: Body): Transform {
  const frame = body.kind === "chunked" ? new ChunkedFrame() : new LengthFrame(body.kind === "length" ? body.bytes : 0);
  return new Transform({
    transform(data: Buffer, _encoding, callback: TransformCallback) {
      try {
        if (frame.isOver) return callback();
        const taken = frame.take(data);
        if (taken > 0) this.push(data.subarray(0, taken));
        if (frame.isOver) this.push(null);
        callback();
      } catch (error) {
        callback(error instanceof Error ? error : new Error("a body frame failed", { cause: error }));
      }
    },
  });
}

/** `take` answers how many of the bytes belong to the body. */
type Frame = { isOver: boolean; take(data: Buffer): number };

class LengthFrame implements Frame {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  get isOver(): boolean {
    return this.#left === 0;
  }

  take(data: Buffer): number {
    const taken = Math.min(this.#left, data.length);
    this.#left -= taken;
    return taken;
  }
}

/**
 * Chunks as they are sent, each line looked at. No extensions and no trailers: nobody who comes through a proxy needs
 * them, and both have been read differently by programs that trusted each other.
 */
class ChunkedFrame implements Frame {
  isOver = false;
  #state: "size" | "data" | "end of data" | "end" = "size";
  #line = "";
  #left = 0;

  take(data: Buffer): number {
    let at = 0;
    while (at < data.length && !this.isOver) {
      if (this.#state === "data") {
        const step = Math.min(this.#left, data.length - at);
        this.#left -= step;
        at += step;
        if (this.#left === 0) this.#state = "end of data";
      } else {
        this.#takeLineByte(data[at] ?? 0);
        at += 1;
      }
    }
    return at;
  }

  #takeLineByte(byte: number): void {
    if (byte !== LF) {
      // A line here is a number or empty, and a CR may stand only before its LF.
      if (this.#line.length > 16 || this.#line.endsWith("\r")) throw oddChunks();
      this.#line += byte === CR ? "\r" : String.fromCharCode(byte);
      return;
    }
    const line = this.#line;
    this.#line = "";
    if (this.#state === "size") this.#beginChunk(line);
    else if (line !== "\r") throw oddChunks();
    else if (this.#state === "end") this.isOver = true;
    else this.#state = "size";
  }

  #beginChunk(line: string): void {
    const digits = /^([0-9a-f]{1,12})\r$/i.exec(line)?.[1];
    if (digits === undefined) throw oddChunks();
    this.#left = Number.parseInt(digits, 16);
    this.#state = this.#left === 0 ? "end" : "data";
  }
}

function oddChunks(): CoreError {
  return new CoreError("egress.invalid_request", "not a request to a proxy: odd chunks");
}
