/**
 * Patterns of schemas on an engine without backtracking (RE2's): no back-references and no look-around.
 *
 * SECURITY: the engine writes out what is repeated, so that a short pattern can become a program that takes seconds to make.
 * How large it would be is counted before. Pinned by "a schema that … is refused" and "… is quick".
 */
import { RE2JS } from "re2js";
import type { Run } from "./schema-run.ts";

/** Patterns of one schema, and what they may become together, in instructions. */
const MAX_PATTERNS = 100;
const MAX_PROGRAM = 10_000;
/** What a class of Unicode characters counts for: the engine knows it as hundreds of ranges. */
const CLASS_SIZE = 50;
/** What a test costs, in steps. */
const TEST_STEPS = 50;
const CHARACTER_STEPS = 5;

export type Pattern = (text: string, run: Run) => boolean;

/** Of one schema. */
export class Patterns {
  #count = 0;
  #program = 0;

  /** Throws an Error that says why there is no such pattern. */
  compile(source: string): Pattern {
    this.#count += 1;
    this.#program += programSize(source);
    if (this.#count > MAX_PATTERNS) throw new Error(`it has more than ${MAX_PATTERNS} patterns`);
    if (this.#program > MAX_PROGRAM) throw new Error("its patterns are too large, written out");
    const expression = RE2JS.compile(source);
    return (text, run) => {
      run.spend(TEST_STEPS + CHARACTER_STEPS * text.length);
      return expression.test(text);
    };
  }
}

/** One thing of a pattern: an escape, a class, the begin or end of a group, a counted repetition, a character. */
const TOKEN =
  /\\(?:[pP]\{[^}]*\}|x\{[^}]*\}|[\s\S])|\[\^?\]?(?:\\[\s\S]|\[:\^?[a-z]+:\]|[^\]\\])*\]|\(|\)|\{\d+(?:,\d*)?\}|[\s\S]/g;

/** Never less than what the engine makes of it, up to a factor. */
function programSize(source: string): number {
  const groups: number[] = [];
  let [size, last] = [0, 0];
  for (const [token] of source.matchAll(TOKEN)) {
    if (token === "(") {
      groups.push(size);
      [size, last] = [1, 0];
    } else if (token === ")") {
      last = size + 1;
      size = (groups.pop() ?? 0) + last;
    } else if (/^\{\d/.test(token)) {
      const times = Math.max(...(token.match(/\d+/g) ?? ["1"]).map(Number), 1);
      size += last * (times - 1);
      last *= times;
    } else {
      last = 1 + CLASS_SIZE * (token.match(/\\[pP]/g) ?? []).length;
      size += last;
    }
  }
  return groups.reduce((sum, group) => sum + group, size);
}
