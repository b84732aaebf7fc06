import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FrameDecoder, encodeFrame, MAX_FRAME_BYTES } from "./frame.ts";

const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 });

function header(length: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, length);
  return bytes;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

describe("FrameDecoder", () => {
  test("gives the same frames however the stream is cut", () => {
    const property = fc.property(
      fc.array(bytes, { maxLength: 12 }),
      fc.array(fc.integer({ min: 0, max: 90 }), { minLength: 1 }),
      (bodies, cuts) => {
        const stream = joined(bodies.map((body) => encodeFrame([body])));
        const decoder = new FrameDecoder();
        const found: number[][] = [];
        for (let at = 0, turn = 0; at < stream.length; turn += 1) {
          // A cut of 0 is an empty chunk now and then; the last resort is one byte.
          const size = cuts[turn % cuts.length] ?? 1;
          const step = turn >= 10_000 ? stream.length : size;
          for (const body of decoder.push(stream.subarray(at, at + step))) found.push([...body]);
          at += step;
        }
        expect(found).toEqual(bodies.map((body) => [...body]));
        expect(decoder.isMidFrame).toBe(false);
      },
    );
    fc.assert(property, { numRuns: 200 });
  });

  test("takes a stream byte by byte, and says meanwhile that a frame has begun", () => {
    const decoder = new FrameDecoder();
    const stream = encodeFrame([new Uint8Array([1, 2, 3])]);
    const middle = [...stream.subarray(0, -1)].map((byte) => {
      expect([...decoder.push(new Uint8Array([byte]))]).toEqual([]);
      return decoder.isMidFrame;
    });
    expect(middle).toEqual([true, true, true, true, true, true]);
    expect([...decoder.push(stream.subarray(-1))].map((body) => [...body])).toEqual([[1, 2, 3]]);
    expect(decoder.isMidFrame).toBe(false);
  });

  test("takes a long frame byte by byte, and what comes behind it", () => {
    const body = Uint8Array.from({ length: 5_000 }, (_, at) => at % 251);
    const stream = joined([encodeFrame([body]), encodeFrame([new Uint8Array([7])]), encodeFrame([body])]);
    const decoder = new FrameDecoder();
    const found = [...stream].flatMap((byte) => [...decoder.push(new Uint8Array([byte]))]);
    expect(found.map((one) => [...one])).toEqual([[...body], [7], [...body]]);
    expect(decoder.isMidFrame).toBe(false);
  });

  test("refuses a frame of no bytes and one over the limit, by its length alone, wherever that is cut", () => {
    for (const [length, code] of [
      [0, "protocol.invalid_frame"],
      [MAX_FRAME_BYTES + 1, "protocol.frame_too_large"],
      [0xffff_ffff, "protocol.frame_too_large"],
    ] as const) {
      for (const cut of [0, 1, 2, 3, 4]) {
        const decoder = new FrameDecoder();
        const push = (): unknown => {
          for (const part of [header(length).subarray(0, cut), header(length).subarray(cut)])
            for (const body of decoder.push(part)) return body;
          return undefined;
        };
        expect(push).toThrow(expect.objectContaining({ code }));
      }
    }
  });

  test("takes a frame of exactly the limit", () => {
    const decoder = new FrameDecoder(8);
    expect([...decoder.push(encodeFrame([new Uint8Array(8)]))]).toHaveLength(1);
    expect(() => [...decoder.push(encodeFrame([new Uint8Array(9)]))]).toThrow(/9 bytes/);
  });

  test("gives the frames before a bad one", () => {
    const decoder = new FrameDecoder();
    const found: number[][] = [];
    const push = (): void => {
      for (const body of decoder.push(joined([encodeFrame([new Uint8Array([7])]), header(0)]))) found.push([...body]);
    };
    expect(push).toThrow(/no bytes/);
    expect(found).toEqual([[7]]);
  });

  test("makes no room for bytes that were announced and have not come", () => {
    const before = process.memoryUsage().arrayBuffers;
    const decoders = Array.from({ length: 2_000 }, () => {
      const decoder = new FrameDecoder();
      expect([...decoder.push(header(MAX_FRAME_BYTES))]).toEqual([]);
      return decoder;
    });
    // 2 000 announcements of 4 MiB are 8 GB.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50_000_000);
    expect(decoders.every((decoder) => decoder.isMidFrame)).toBe(true);
  });
});

test("encodeFrame puts the parts behind each other", () => {
  const frame = encodeFrame([new Uint8Array([1]), new Uint8Array(), new Uint8Array([2, 3])]);
  expect([...frame]).toEqual([0, 0, 0, 3, 1, 2, 3]);
});
