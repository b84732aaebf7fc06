import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LiteralScan } from "./literal-scan.ts";
import { NAME_STEMS } from "./named-values.ts";
import { SHAPE_ANCHORS } from "./secret-shapes.ts";

const SCAN = new LiteralScan(SHAPE_ANCHORS, NAME_STEMS);

function found(text: string): Set<string> {
  const places = new Set<string>();
  SCAN.search(text, (place, literal) => places.add(`${place} ${literal}`));
  return places;
}

function expected(text: string): Set<string> {
  const lower = text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
  const places = new Set<string>();
  for (const [literal, word] of [...SHAPE_ANCHORS, ...NAME_STEMS].entries()) {
    const from = literal < SHAPE_ANCHORS.length ? text : lower;
    for (let at = from.indexOf(word); at !== -1; at = from.indexOf(word, at + 1)) places.add(`${at} ${literal}`);
  }
  return places;
}

describe("the search for literals", () => {
  test("finds every one at every place, also over the borders of blocks and in any case", () => {
    for (const word of SHAPE_ANCHORS)
      for (const before of ["", "x"]) expect(found(before + word)).toEqual(expected(before + word));
    for (const word of NAME_STEMS)
      for (const text of [word, word.toUpperCase(), `x${word.slice(0, 1).toUpperCase()}${word.slice(1)}`])
        expect(found(text)).toEqual(expected(text));
    for (let before = 130_960; before < 131_100; before += 1) {
      const text = `${" ".repeat(before)}authorization eyJ`;
      expect(found(text)).toEqual(expected(text));
    }
    const many = `${"x".repeat(333)} github_pat_ Token\n`.repeat(1200);
    expect(found(many)).toEqual(expected(many));
  });

  test("gives what a plain search gives, for any text of a few letters", () => {
    const piece = fc.constantFrom(...SHAPE_ANCHORS, ...NAME_STEMS, "k", "S", "-", "eyJ", "as", "ToKeN", "\n", " ");
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const text = pieces.join("");
        expect(found(text)).toEqual(expected(text));
      }),
    );
  });

  test("misses none among characters that are not Latin", () => {
    for (const before of ["é", "→", "😀", "\u0153"]) {
      const text = `${before}password→key${before}`;
      for (const place of expected(text)) expect(found(text)).toContain(place);
    }
  });
});

test("tells whether text is of ASCII without control characters but tab and line ends, at every place", () => {
  for (let unit = 0; unit < 0x300; unit += 1) {
    const plain = unit === 9 || unit === 10 || unit === 13 || (unit >= 0x20 && unit < 0x7f);
    for (const place of [0, 1, 7])
      expect(SCAN.search(`${"x".repeat(place)}${String.fromCharCode(unit)}`, () => {})).toBe(plain);
  }
  for (const unit of ["\0", "\x7f", "é", "\u0141"])
    for (let place = 131_060; place < 131_080; place += 1)
      expect(SCAN.search(`${"x".repeat(place)}${unit}`, () => {})).toBe(false);
});
