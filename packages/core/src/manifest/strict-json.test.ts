import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { StrictJsonError, parseStrictJson } from "./strict-json.ts";

function refusal(text: string): string {
  try {
    parseStrictJson(text);
  } catch (error) {
    if (error instanceof StrictJsonError) return error.message;
    throw error;
  }
  return "accepted";
}

const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);

describe("parseStrictJson", () => {
  test("reads what JSON.stringify writes", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4, noUnicodeString: false }), (value) => {
        const text = JSON.stringify(value);
        fc.pre(!/"(__proto__|constructor)":/.test(text));
        expect(parseStrictJson(text)).toEqual(JSON.parse(text));
        expect(parseStrictJson(JSON.stringify(value, null, 2))).toEqual(JSON.parse(text));
      }),
      { seed: 7 },
    );
  });

  test("agrees with JSON.parse on what is broken", () => {
    const piece = fc.constantFrom(
      "{",
      "}",
      "[",
      "]",
      ",",
      ":",
      '"a"',
      '"',
      "1",
      "-",
      "0",
      ".5",
      "e3",
      "true",
      "nul",
      " ",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 7 }), (pieces) => {
        const text = pieces.join("");
        let valid = true;
        try {
          JSON.parse(text);
        } catch {
          valid = false;
        }
        expect(refusal(text) === "accepted" || /"a".*"a"/.test(text)).toBe(valid || /"a".*"a"/.test(text));
      }),
      { numRuns: 2000, seed: 7 },
    );
  });

  test("refuses duplicate keys and keys that reach a prototype", () => {
    expect(refusal('{"a":1,\n "b":{}, "a":2}')).toBe("2:10: this key appears twice in one object");
    expect(refusal('{"a":1,"\\u0061":2}')).toMatch(/twice/);
    expect(refusal('{"__proto__":{"x":1}}')).toBe("1:2: this key is not allowed");
    expect(refusal('{"a":{"\\u005f_proto__":1}}')).toMatch(/not allowed/);
    expect(refusal('{"constructor":1}')).toMatch(/not allowed/);
    expect(refusal('[{"a":1},{"a":1}]')).toBe("accepted");
    expect(parseStrictJson('{"toString":1,"hasOwnProperty":2}')).toEqual({ toString: 1, hasOwnProperty: 2 });
  });

  test("refuses nesting over 32", () => {
    expect(refusal(nested(32))).toBe("accepted");
    expect(refusal(nested(33))).toMatch(/^1:33: nesting/);
    expect(refusal('{"a":'.repeat(100_000))).toMatch(/nesting/);
    expect(refusal(`[${nested(31)},${nested(31)}]`)).toBe("accepted");
  });

  test.each([
    ["\ufeff{}", /^1:1: a byte order mark/],
    ["{} x", /^1:4: nothing may follow/],
    ["{}{}", /nothing may follow/],
    ["[1e400]", /^1:2: this number is too large/],
    ["[-1e999]", /too large/],
    ["[NaN]", /a value is needed/],
    ["[Infinity]", /a value is needed/],
    ["[01]", /comma/],
    ["[+1]", /a value is needed/],
    ["[1,]", /a value is needed/],
    ['{"a":1,}', /double quotes/],
    ["{'a':1}", /double quotes/],
    ["[1] // x", /nothing may follow/],
    ['["\\ud800"]', /half a surrogate pair/],
    ['["\\udc00\\ud800"]', /half a surrogate pair/],
    ['{"\\ud800":1}', /half a surrogate pair/],
    ['["\ud800"]', /half a surrogate pair/],
    ['["\n"]', /control characters/],
    ['["\\x41"]', /escape is not known/],
    ['["\\u12"]', /four hexadecimal/],
    ['["abc', /never closed/],
    ['["abc\\', /escape is not known/],
    ["", /^1:1: the text ends/],
    ["[", /the text ends/],
  ])("refuses %j", (text, reason) => {
    expect(refusal(text)).toMatch(reason);
  });

  test("says where without quoting the text", () => {
    expect(refusal('{\n  "name": sk_live_secret\n}')).toBe("2:11: a value is needed here");
  });

  test("is linear on hostile input of 256 KiB", () => {
    const size = 256 * 1024;
    const started = performance.now();
    for (const text of [
      `"${"\\u0041".repeat(size / 6)}`,
      `[${"1".repeat(size)}`,
      `[${"[],".repeat(size / 3)}`,
      "\n".repeat(size),
      `{${Array.from({ length: size / 12 }, (_, at) => `"k${at}":0`).join()},"k0":0}`,
      `["${"\\".repeat(size)}`,
      `[${"-".repeat(size)}`,
    ]) {
      expect(refusal(text)).not.toBe("accepted");
    }
    expect(performance.now() - started).toBeLessThan(2000);
  });
});
