/**
 * One figure of `npm run bench`: something a user waits or pays for, set against a floor on the same machine in the same
 * run. Only the ratio travels between machines, so only the ratio has a target.
 *
 * A figure's file exports one `Figure`. Its `measure` prepares once, then lets `sideBySide` take floor and subject in
 * turns, so that a slow minute of the machine slows both, and cleans up whatever it made.
 */

/** `ratio` is subject / floor, or the subject itself where there is no floor (memory). */
export type Measured = {
  floor: number | null;
  subject: number;
  ratio: number;
  /** What the numbers count: "ms", "MB". */
  unit: string;
  /** What else was seen, a sentence each. */
  notes: string[];
};

export type Figure = {
  /** Short, as typed after `npm run bench --`. */
  name: string;
  /** What is measured, and against what: one sentence each, for people. */
  subject: string;
  floor: string;
  /** The highest ratio (or amount) we accept. */
  target: number;
  measure(rounds: number): Promise<Measured>;
};

export type Pair = { floor: number[]; subject: number[] };

/**
 * Takes `floor` and `subject` in turns, `rounds` times after one unmeasured round of each. Each answers what it cost, in
 * the unit of the figure; `timed` makes that of anything that can be awaited.
 */
export async function sideBySide(
  rounds: number,
  floor: () => Promise<number>,
  subject: () => Promise<number>,
): Promise<Pair> {
  const pair: Pair = { floor: [], subject: [] };
  for (let round = -1; round < rounds; round += 1) {
    const [base, cost] = [await floor(), await subject()];
    if (round < 0) continue;
    pair.floor.push(base);
    pair.subject.push(cost);
  }
  return pair;
}

/** Wall time of `act`, in milliseconds. */
export async function timed(act: () => unknown): Promise<number> {
  const started = performance.now();
  await act();
  return performance.now() - started;
}

/** The ratio of the medians. */
export function ratioOf(pair: Pair, unit = "ms", notes: string[] = []): Measured {
  const [floor, subject] = [median(pair.floor), median(pair.subject)];
  return { floor, subject, ratio: subject / floor, unit, notes };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >> 1];
  if (upper === undefined) throw new Error("a median needs values");
  return sorted.length % 2 === 1 ? upper : ((sorted[(sorted.length >> 1) - 1] ?? upper) + upper) / 2;
}
