/** What lets the scan skip text must never change what it gives: compared with a scan that skips nothing. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { LiteralSet } from "./literal-set.ts";
import { LiveSecrets } from "./live-secrets.ts";
import { NAME_STEMS } from "./named-values.ts";
import { type Hints, redactLines } from "./secret-scan.ts";
import { SHAPE_ANCHORS } from "./secret-shapes.ts";

const SECRET = "hunter22-live";

/** As if every line held every anchor and stem, and something unseen. */
function hintsForAll(text: string): Hints {
  let start = 0;
  const lines = text.split("\n").map((line) => {
    const hinted = { start, end: start + line.length, anchors: new Set(SHAPE_ANCHORS), named: true };
    start = hinted.end + 1;
    return hinted;
  });
  return { plain: false, lines };
}

const token = fc.constantFrom(
  ...SHAPE_ANCHORS,
  ...NAME_STEMS,
  ...NAME_STEMS.map((stem) => stem.toUpperCase()),
  ...SHAPE_ANCHORS.map((anchor) => `${anchor}q1W2e3R4t5Y6u7I8o9P0a1S2d3F4g5H6j7K8l9Z0`),
  ...NAME_STEMS.map((stem) => `${stem}=s3cr3t-value `),
  ...["=", ": ", '"', "--", " ", "\n", "\r\n", "\t", "://u:p4ss@h", "<", ">", "x", "0", "Aa"],
  ...[SECRET, SECRET.slice(0, 6), Buffer.from(SECRET).toString("base64"), "\x1b[31m", "\0", "\u200b", "é", "→", "😀"],
);
const text = fc
  .array(fc.oneof({ weight: 4, arbitrary: token }, fc.string({ maxLength: 6 }), fc.string({ unit: "binary" })), {
    maxLength: 40,
  })
  .map((pieces) => pieces.join(""));

test("redacts the same as when every line is looked at closely", () => {
  const live = new LiveSecrets();
  live.add(SECRET, "session_token");
  fc.assert(
    fc.property(text, fc.nat({ max: 3 }), (input, before) => {
      const shifted = "~".repeat(before) + input;
      expect(redactLines(shifted, live)).toBe(redactLines(shifted, live, hintsForAll(shifted)));
    }),
    { numRuns: 2000 },
  );
});

test("live literals are found at every place at which a plain search finds them", () => {
  const literals = ["abcabd", "bcabc", "cab", "ĀāĂ12", "\u0161bca", `${"ab".repeat(150)}c`];
  const sets = [literals, literals.filter(({ length }) => length >= 6)].map((some) => ({
    some,
    set: new LiteralSet(some),
  }));
  const unit = fc.constantFrom("a", "b", "c", "d", "ab", "cab", "Ā", "ā", "Ă", "1", "2", "š", "ab".repeat(150));
  const margin = fc.constantFrom(0, 1, 131_000, 131_060, 131_071, 131_072);
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 60 }), margin, (units, before) => {
      const input = "-".repeat(before) + units.join("");
      for (const { some, set } of sets) {
        const found: string[] = [];
        set.search(input, ({ start, end }) => found.push(`${start} ${end}`));
        expect(found).toEqual(longestAtEachPlace(input, some));
      }
    }),
    { numRuns: 300 },
  );
});

function longestAtEachPlace(input: string, literals: readonly string[]): string[] {
  const ends = new Map<number, number>();
  for (const literal of literals)
    for (let at = input.indexOf(literal); at !== -1; at = input.indexOf(literal, at + 1))
      ends.set(at, Math.max(ends.get(at) ?? 0, at + literal.length));
  return [...ends].toSorted(([a], [b]) => a - b).map(([start, end]) => `${start} ${end}`);
}
