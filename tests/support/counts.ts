/**
 * One test, two sizes: the suite runs seeded, smaller counts, `npm run soak` the full ones. What a soak found goes, one
 * line per test, into the file that `SOAK_REPORT` names; the soak makes docs/soak.md of it.
 */
import { appendFileSync } from "node:fs";

const report = process.env["SOAK_REPORT"];

/** Whether the full counts run. */
export const isSoak: boolean = report !== undefined;

/** The seed of everything random in this run; named in every failure, so that `SEED=n` repeats it. */
export const seed: number = Number(process.env["SEED"] ?? (isSoak ? Date.now() % 2 ** 31 : 20_260_102));

/** How often a test does its thing. */
export function times(sizes: { suite: number; soak: number }): number {
  return isSoak ? sizes.soak : sizes.suite;
}

/** Numbers in [0, 1) that `seed` decides (mulberry32: public domain, 32 bits of state are plenty for tests). */
export function randomNumbers(from = seed): () => number {
  let state = from >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Puts what was counted into the report of a soak; silent in the suite. */
export function found(what: string, result: string): void {
  if (report !== undefined) appendFileSync(report, `${JSON.stringify({ what, result, seed })}\n`);
}
