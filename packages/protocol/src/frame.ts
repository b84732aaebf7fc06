/**
 * Frames of the runtime protocol: a 4-byte unsigned big-endian length N, then N bytes (docs/protocol.md, "Frames").
 *
 * A stream gives bytes in pieces of any size; `FrameDecoder` puts them together and apart again. It holds at most one
 * unfinished frame, copies only what spans two chunks, and never makes room for bytes that were announced but have not
 * come. It knows nothing of JSON.
 */
import { CoreError } from "./errors.ts";

/** The most bytes a frame may carry after its length, announced in the welcome. */
export const MAX_FRAME_BYTES = 4_194_304;

export const HEADER_BYTES = 4;
/** Parts of a frame that are joined. */
const MANY_PARTS = 1_024;

/** One frame around a message that was serialised already: `parts` are put behind each other. */
export function encodeFrame(parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const frame = new Uint8Array(HEADER_BYTES + length);
  putLength(frame, length);
  let at = HEADER_BYTES;
  for (const part of parts) {
    frame.set(part, at);
    at += part.length;
  }
  return frame;
}

/** The header of a frame whose body has `length` bytes. */
export function putLength(frame: Uint8Array, length: number): void {
  for (let at = 0; at < HEADER_BYTES; at += 1) frame[at] = length >>> (8 * (HEADER_BYTES - 1 - at));
}

export class FrameDecoder {
  readonly #maxBytes: number;
  /** Bytes of the frame that is not whole yet, its length included. */
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  /** The newest parts of those, which are not joined yet. */
  #loose = 0;

  constructor(maxBytes: number = MAX_FRAME_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** Whether a frame has begun and not ended: silence now is a stalled peer. */
  get isMidFrame(): boolean {
    return this.#pendingBytes > 0;
  }

  /**
   * The bodies of the frames that `chunk` completes, each given as soon as it is whole. They may be views of `chunk`.
   * Throws `protocol.invalid_frame` (no bytes announced) and `protocol.frame_too_large`; the stream cannot be read on then.
   */
  *push(chunk: Uint8Array): Generator<Uint8Array> {
    let rest = chunk;
    while (this.#pendingBytes + rest.length >= HEADER_BYTES) {
      const length = this.#bodyLength(rest);
      const missing = HEADER_BYTES + length - this.#pendingBytes;
      if (rest.length < missing) break;
      const last = rest.subarray(0, missing);
      rest = rest.subarray(missing);
      yield this.#body(last);
    }
    if (rest.length === 0) return;
    this.#pending.push(rest);
    this.#pendingBytes += rest.length;
    this.#loose += 1;
    if (this.#loose === MANY_PARTS) this.#joinLoose();
  }

  /** A part costs hundreds of bytes beside its own: of a frame that comes byte by byte thousands are made one, once. */
  #joinLoose(): void {
    const loose = this.#pending.splice(-this.#loose);
    this.#pending.push(joined(loose));
    this.#loose = 0;
  }

  #body(last: Uint8Array): Uint8Array {
    if (this.#pendingBytes === 0) return last.subarray(HEADER_BYTES);
    const whole = joined([...this.#pending, last]);
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#loose = 0;
    return whole.subarray(HEADER_BYTES);
  }

  /** Of the frame whose first bytes are pending, or stand in `rest`. */
  #bodyLength(rest: Uint8Array): number {
    let length = 0;
    for (let index = 0; index < HEADER_BYTES; index += 1) length = length * 256 + this.#byteAt(index, rest);
    if (length === 0) throw new CoreError("protocol.invalid_frame", "a frame announces no bytes");
    if (length > this.#maxBytes) {
      throw new CoreError(
        "protocol.frame_too_large",
        `a frame announces ${length} bytes; the most is ${this.#maxBytes}`,
      );
    }
    return length;
  }

  #byteAt(index: number, rest: Uint8Array): number {
    let at = index;
    for (const part of this.#pending) {
      if (at < part.length) return part[at] ?? 0;
      at -= part.length;
    }
    return rest[at] ?? 0;
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
