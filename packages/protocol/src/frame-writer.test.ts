import fc from "fast-check";
import { expect, test } from "vitest";
import { messageFrame } from "./frame-writer.ts";

const decoder = new TextDecoder();
const textOf = (frame: Uint8Array): string => decoder.decode(frame.subarray(4));

/** Of one's own characters: plain, to be escaped, of several bytes, halves of one. */
const text = fc.array(fc.oneof(fc.nat(0x7f), fc.nat(0xffff), fc.constantFrom(34, 92, 123, 125)), { maxLength: 12 });
const strings = text.map((units) => String.fromCharCode(...units));
const values = fc.oneof(
  strings,
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(undefined),
  fc.jsonValue({ maxDepth: 1 }),
);
const objects = fc.dictionary(fc.oneof(strings, fc.constantFrom("id", "payload")), values, { maxKeys: 4 });

test("a frame is its length and what JSON.stringify gives", () => {
  const property = fc.property(objects, objects, fc.boolean(), (members, payload, isLong) => {
    const long = isLong ? { long: "x".repeat(2_030 + Object.keys(payload).length) } : {};
    const frame = messageFrame({ v: 1, ...members }, { ...payload, ...long });
    expect(new DataView(frame.buffer, frame.byteOffset).getUint32(0)).toBe(frame.length - 4);
    const { payload: _, ...others } = members;
    if (Object.hasOwn(members, "payload")) return;
    expect(textOf(frame)).toBe(JSON.stringify({ v: 1, ...others, payload: { ...payload, ...long } }));
  });
  fc.assert(property, { numRuns: 500 });
});

test("spliced bytes are the last member of the payload, whatever their size", () => {
  for (const size of [0, 1, 1_000, 4_090, 4_096, 4_097, 100_000])
    for (const payload of [{}, { a: undefined }, { a: "{" }, { a: {} }, { a: "ü" }]) {
      const json = JSON.stringify("y".repeat(size));
      const frame = messageFrame({ v: 1 }, payload, ["output", new TextEncoder().encode(json)]);
      expect(textOf(frame)).toBe(JSON.stringify({ v: 1, payload: { ...payload, output: "y".repeat(size) } }));
    }
});

test("a frame stays what it is while others are made", () => {
  const frames = Array.from({ length: 2_000 }, (_, index) =>
    messageFrame({ v: 1, id: `m-${index}` }, { a: "b".repeat(index) }),
  );
  for (const [index, frame] of frames.entries())
    expect(textOf(frame)).toBe(`{"v":1,"id":"m-${index}","payload":{"a":"${"b".repeat(index)}"}}`);
});
