import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decideRestart, NO_RESTARTS, type RestartDecision, type RestartHistory } from "./restart-policy.ts";

const LIMITS = { maxAttempts: 5, windowMs: 60_000, initialMs: 500, maxMs: 30_000, stableMs: 30_000 };
const FAILED = { isFailure: true, ranForMs: 10, nowMs: 1_000, random: 0.5 };

describe("which end is followed by a restart", () => {
  test("never: none", () => {
    expect(decideRestart("never", LIMITS, NO_RESTARTS, FAILED)).toEqual({ action: "leave" });
  });

  test("on-failure: only a failure", () => {
    expect(decideRestart("on-failure", LIMITS, NO_RESTARTS, { ...FAILED, isFailure: false }).action).toBe("leave");
    expect(decideRestart("on-failure", LIMITS, NO_RESTARTS, FAILED).action).toBe("restart");
  });

  test("always: every end", () => {
    expect(decideRestart("always", LIMITS, NO_RESTARTS, { ...FAILED, isFailure: false }).action).toBe("restart");
  });
});

/** Crashes again and again; the decisions until it gives up, at most `count`. */
function crashLoop(
  limits: typeof LIMITS,
  random: () => number,
  count: number,
  ranForMs = 10,
): { atMs: number; decision: RestartDecision }[] {
  const decisions: { atMs: number; decision: RestartDecision }[] = [];
  let history: RestartHistory = NO_RESTARTS;
  let nowMs = 0;
  for (let turn = 0; turn < count; turn += 1) {
    nowMs += ranForMs;
    const decision = decideRestart("always", limits, history, { isFailure: true, ranForMs, nowMs, random: random() });
    decisions.push({ atMs: nowMs, decision });
    if (decision.action !== "restart") return decisions;
    history = decision.history;
    nowMs += decision.delayMs;
  }
  return decisions;
}

const limits = fc.record({
  maxAttempts: fc.integer({ min: 0, max: 20 }),
  windowMs: fc.integer({ min: 1, max: 1_000_000 }),
  initialMs: fc.integer({ min: 1, max: 10_000 }),
  maxMs: fc.integer({ min: 1, max: 60_000 }),
  stableMs: fc.integer({ min: 11, max: 100_000 }),
});
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe("a crash loop", () => {
  test("doubles its delay up to the cap, with jitter between half and all of it", () => {
    const full = crashLoop({ ...LIMITS, maxAttempts: 12, windowMs: 10_000_000 }, () => 0.999_999, 12);
    const delays = full.map(({ decision }) => (decision.action === "restart" ? decision.delayMs : -1));
    expect(delays).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000, 30_000, 30_000, 30_000]);
    const half = crashLoop({ ...LIMITS, maxAttempts: 3 }, () => 0, 3);
    expect(half.map(({ decision }) => (decision.action === "restart" ? decision.delayMs : -1))).toEqual([
      250, 500, 1000,
    ]);
  });

  test("gives up after the allowed number of restarts within the window, and says how many there were", () => {
    const quick = crashLoop({ ...LIMITS, initialMs: 10, maxMs: 20 }, () => 0.5, 100);
    expect(quick).toHaveLength(6);
    expect(quick.at(-1)?.decision).toEqual({ action: "give_up", attempts: 5 });
  });

  test("never waits longer than the cap nor shorter than half of the first delay", () => {
    fc.assert(
      fc.property(limits, chance, (some, random) => {
        for (const { decision } of crashLoop(some, () => random, 40)) {
          if (decision.action !== "restart") continue;
          expect(decision.delayMs).toBeLessThanOrEqual(some.maxMs);
          expect(decision.delayMs).toBeGreaterThanOrEqual(Math.floor(Math.min(some.initialMs, some.maxMs) / 2));
        }
      }),
    );
  });

  test("starts no more than the allowed number within any window", () => {
    fc.assert(
      fc.property(limits, chance, (some, random) => {
        const at = crashLoop(some, () => random, 60).flatMap(({ atMs, decision }) =>
          decision.action === "restart" ? [atMs] : [],
        );
        for (const from of at) {
          const within = at.filter((one) => one >= from && one - from < some.windowMs);
          expect(within.length).toBeLessThanOrEqual(some.maxAttempts);
        }
      }),
    );
  });

  test("is forgotten after a run that lasted long enough", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), chance, (consecutive, random) => {
        const attemptsAtMs = Array.from({ length: consecutive }, (_, index) => index);
        const decision = decideRestart(
          "always",
          LIMITS,
          { attemptsAtMs, consecutive },
          { isFailure: true, ranForMs: LIMITS.stableMs, nowMs: 100, random },
        );
        expect(decision).toMatchObject({ action: "restart", history: { attemptsAtMs: [100], consecutive: 1 } });
      }),
    );
  });

  test("with no restart allowed gives up at once", () => {
    expect(decideRestart("always", { ...LIMITS, maxAttempts: 0 }, NO_RESTARTS, FAILED)).toEqual({
      action: "give_up",
      attempts: 0,
    });
  });

  test("does not change the history it was given", () => {
    const history = Object.freeze({ attemptsAtMs: Object.freeze([1, 2]) as number[], consecutive: 2 });
    decideRestart("always", LIMITS, history, FAILED);
    expect(history).toEqual({ attemptsAtMs: [1, 2], consecutive: 2 });
  });
});
