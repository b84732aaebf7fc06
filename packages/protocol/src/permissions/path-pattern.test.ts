import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { comparePermissions } from "./compare.ts";
import { matchesPath } from "./path-pattern.ts";

const HOME = "/home/ada";

describe("matchesPath", () => {
  test.each([
    ["/a/b", "/a/b"],
    ["/a/*", "/a/b"],
    ["/a/*.txt", "/a/x.txt"],
    ["/a/x*y*z", "/a/x1yy2z"],
    ["/a/**", "/a"],
    ["/a/**", "/a/b/c/d"],
    ["/**/x", "/x"],
    ["/**/x/*", "/q/r/x/s"],
    ["/a//b/./c/../*", "/a/b/d"],
    ["/a/", "/a"],
    ["~/p/**", "/home/ada/p/q"],
    ["~", "/home/ada"],
    ["/a/b", "/a/./x/../b/"],
    ["/what?[ab]{c}\\d", "/what?[ab]{c}\\d"],
  ])("%s covers %s", (pattern, path) => {
    expect(matchesPath(pattern, path, HOME)).toBe(true);
  });

  test.each([
    ["/a/*", "/a/b/c"],
    ["/a/*", "/a"],
    ["/a/b", "/a/bc"],
    ["/a/**", "/ab"],
    ["/a/**/z", "/a/b"],
    ["/a*b", "/a/b"],
    ["/what?", "/whatx"],
    ["/[ab]", "/a"],
    ["~/p/**", "/home/bob/p/q"],
    ["~/p/**", "/home/ada/pq"],
    ["~/p/**", "~/p/q"],
    ["a/b", "/a/b"],
    ["", "/"],
    ["/a/**", "a/b"],
    ["/a/\u0001", "/a/b"],
    ["/a/**", "/a/b\u0000c"],
  ])("%s does not cover %s", (pattern, path) => {
    expect(matchesPath(pattern, path, HOME)).toBe(false);
  });

  test("a path that climbs out of the pattern is judged by where it leads", () => {
    expect(matchesPath("~/x/**", "/home/ada/x/../../etc", HOME)).toBe(false);
    expect(matchesPath("~/x/**", "/home/ada/x/../../../etc/passwd", HOME)).toBe(false);
    expect(matchesPath("/a/**", "/a/../etc", HOME)).toBe(false);
  });

  test.each(["~/x/../../etc", "~/..", "~/../ada/x", "~bob/x", "/a/**/../b", "/a/*/../b"])(
    "a pattern that climbs out of the home covers nothing, nor one that undoes a wildcard: %s",
    (pattern) => {
      for (const path of ["/", "/etc", "/home/etc", "/home/ada", "/home/ada/x", "/a/b", "/b"]) {
        expect(matchesPath(pattern, path, HOME)).toBe(false);
      }
    },
  );

  test("wildcards in the name of the home are letters", () => {
    expect(matchesPath("~/x", "/home/*/x", "/home/*")).toBe(true);
    expect(matchesPath("~/x", "/home/ada/x", "/home/*")).toBe(false);
    expect(matchesPath("~/x", "/home/ada/x", "/home/**")).toBe(false);
    expect(matchesPath("~/x", "/home/ada/x", "home/ada")).toBe(false);
  });

  test("stays quick on patterns made to be slow", () => {
    const started = performance.now();
    expect(matchesPath(`/${"a*".repeat(140)}b`, `/${"a".repeat(4000)}`, HOME)).toBe(false);
    expect(matchesPath(`/${"**/a*a/".repeat(40)}b`, "/aaa".repeat(1000), HOME)).toBe(false);
    expect(performance.now() - started).toBeLessThan(2000);
  });
});

const segment = fc.string({ unit: fc.constantFrom("a", "b", "*"), minLength: 1, maxLength: 3 });
const pattern = fc
  .tuple(fc.constantFrom("/", "~/"), fc.array(fc.oneof(segment, fc.constant("**")), { maxLength: 5 }))
  .map(([root, segments]) => root + segments.join("/"));
const read = (path: string): string => `filesystem:read:${path}`;

/** A path that the pattern covers, made by filling its wildcards. */
function sampleOf(text: string, fill: () => string, fillMany: () => string[]): string {
  const parts = text.replace(/^~/, HOME).split("/").filter(Boolean);
  const filled = parts.flatMap((part) => {
    if (part === "**") return fillMany();
    const name = part.replace(/\*+/g, fill);
    return [name === "" ? "b" : name];
  });
  return `/${filled.join("/")}`;
}

/** Texts to take in turn, so that one sample is decided by plain data. */
const fillers = fc.array(fc.constantFrom("", "a", "b", "ab", "ba", "aab", "bba"), { minLength: 8, maxLength: 8 });

function fromTurns(texts: readonly string[]): { word: () => string; words: () => string[] } {
  let turn = 0;
  const word = (): string => texts[turn++ % texts.length] ?? "";
  return { word, words: () => Array.from({ length: word().length }, () => `${word()}a`) };
}

describe("inclusion of path patterns", () => {
  test("what is called wider covers every sampled path of the narrower", () => {
    fc.assert(
      fc.property(pattern, pattern, fillers, (a, b, texts) => {
        const { word, words } = fromTurns(texts);
        const path = sampleOf(b, word, words);
        expect(matchesPath(b, path, HOME)).toBe(true);
        const claimed = ["wider", "equal"].includes(comparePermissions(read(a), read(b)));
        expect(!claimed || matchesPath(a, path, HOME)).toBe(true);
      }),
      { numRuns: 1000, seed: 7 },
    );
  });

  test("agrees with trying every short path of two letters and a third that no pattern names", () => {
    const names = ["a", "b", "c", "aa", "ab", "ba", "ac", "ca", "cc", "aca", "acb", "bca"];
    let paths = [""];
    const all: string[] = [];
    for (let depth = 0; depth < 3; depth += 1) {
      paths = paths.flatMap((path) => names.map((name) => `${path}/${name}`));
      all.push(...paths);
    }
    const short = fc.array(fc.constantFrom("a", "b", "*", "a*", "*b", "**"), { minLength: 1, maxLength: 2 });
    fc.assert(
      fc.property(short, short, (left, right) => {
        const [a, b] = [`/${left.join("/")}`, `/${right.join("/")}`];
        const included = all.every((path) => !matchesPath(b, path, HOME) || matchesPath(a, path, HOME));
        const zero = !matchesPath(b, "/", HOME) || matchesPath(a, "/", HOME);
        const is = comparePermissions(read(a), read(b));
        expect(is === "wider" || is === "equal").toBe(included && zero);
      }),
      { numRuns: 150, seed: 7 },
    );
  });
});
