/**
 * Patterns of schemas on an engine without backtracking (RE2's): no back-references and no look-around.
 *
 * SECURITY: the engine writes out what is repeated, so that a short pattern can become a program that takes seconds to make
 * and megabytes to keep, and each character may be asked of every instruction of it. How large it would be is counted before
 * (pattern-size.ts), what it has become counts for every text. Of the engine's ways to match, the one is taken that keeps
 * nothing: its automaton would keep up to 8 MiB for each pattern. Pinned by "a schema that … is refused", "… is judged soon",
 * and "what is kept of schemas is bounded: …".
 */
import { RE2JS } from "re2js";
import { sizeOf } from "./pattern-size.ts";
import type { Run } from "./schema-run.ts";

/** Patterns of one schema, their characters, and what they may become together, in instructions. */
const MAX_PATTERNS = 100;
const MAX_CHARACTERS = 8_192;
const MAX_PROGRAM = 10_000;
/** What a test costs, in steps, beside one for each character and each instruction. */
const TEST_STEPS = 50;

export type Pattern = (text: string, run: Run) => boolean;

/** Of one schema. */
export class Patterns {
  #count = 0;
  #characters = 0;
  #program = 0;
  /** What they have become: some 250 bytes each. */
  instructions = 0;

  /** Throws an Error that says why there is no such pattern. */
  compile(source: string): Pattern {
    this.#count += 1;
    this.#characters += source.length;
    if (this.#count > MAX_PATTERNS) throw new Error(`it has more than ${MAX_PATTERNS} patterns`);
    if (this.#characters > MAX_CHARACTERS) throw new Error(`its patterns are over ${MAX_CHARACTERS} characters`);
    const { program, longest } = sizeOf(source);
    this.#program += program;
    if (this.#program > MAX_PROGRAM) throw new Error("its patterns are too large, written out");
    const expression = RE2JS.compile(source);
    const instructions = expression.programSize();
    this.instructions += Math.max(instructions, program);
    return (text, run) => {
      const looked = Math.min(text.length, longest + 1);
      run.spend(TEST_STEPS + instructions * looked);
      return expression.matcher(text).find();
    };
  }
}
