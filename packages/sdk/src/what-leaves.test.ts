import fc from "fast-check";
import { expect, test } from "vitest";
import { jsonBytes } from "./what-leaves.ts";

const CODES = ["tool.invalid_output", "tool.output_too_large"] as const;
const MOST_DEPTH = 60;

function nested(depth: number, inside: unknown): unknown {
  return depth === 0 ? inside : nested(depth - 1, [inside]);
}

test("a value nests as deep as it does, whatever its texts hold", () => {
  const odd = fc
    .array(fc.constantFrom("[", "{", '"', "\\", "]", "a", "ü"), { maxLength: 12 })
    .map((parts) => parts.join(""));
  const property = fc.property(odd, odd, fc.integer({ min: 0, max: 6 }), (key, text, levels) => {
    const leaves =
      (depth: number): (() => Buffer) =>
      () =>
        jsonBytes(nested(depth, { [key]: text }), "it", 100_000, CODES);
    expect(leaves(MOST_DEPTH - 1 - levels)().toString()).toBe(
      JSON.stringify(nested(MOST_DEPTH - 1 - levels, { [key]: text })),
    );
    expect(leaves(MOST_DEPTH + levels)).toThrow(expect.objectContaining({ code: "tool.invalid_output" }) as Error);
  });
  fc.assert(property, { numRuns: 200 });
});
