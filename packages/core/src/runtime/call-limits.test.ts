import { describe, expect, test } from "vitest";
import { CallGate, limitsOf, MAX_IN_FLIGHT, type Limits } from "./call-limits.ts";

const MOST: Limits = { maxConcurrent: 64, rate: { calls: 6_000, perMs: 60_000 } };
const code = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    return (error as { code: string }).code;
  }
  return "";
};

describe("limits", () => {
  test("are what the manifest asks for, and never more than the operator gives", () => {
    expect(limitsOf(undefined, MOST)).toEqual(MOST);
    expect(limitsOf({ max_concurrent_calls: 3, rate_limit: "60/minute" }, MOST)).toEqual({
      maxConcurrent: 3,
      rate: { calls: 60, perMs: 60_000 },
    });
    expect(limitsOf({ max_concurrent_calls: 1_000, rate_limit: "1000/second" }, MOST)).toEqual(MOST);
  });
});

describe("a gate", () => {
  test("takes so many at once", () => {
    const gate = new CallGate({ maxConcurrent: 2, rate: { calls: 1_000, perMs: 1_000 } }, 0);
    const leave = gate.enter(0);
    gate.enter(0);
    expect(code(() => gate.enter(0))).toBe("limit.concurrency");
    leave();
    gate.enter(0);
    expect(gate.inFlight).toBe(2);
  });

  test("takes so many in a window, and fills again with time", () => {
    const gate = new CallGate({ maxConcurrent: 100, rate: { calls: 2, perMs: 1_000 } }, 0);
    gate.enter(0);
    gate.enter(0);
    expect(code(() => gate.enter(0))).toBe("limit.rate");
    expect(code(() => gate.enter(400))).toBe("limit.rate");
    gate.enter(500);
    expect(code(() => gate.enter(500))).toBe("limit.rate");
    // Time that was saved up is not more than one window.
    gate.enter(1_000_000);
    gate.enter(1_000_000);
    expect(code(() => gate.enter(1_000_000))).toBe("limit.rate");
  });

  test("never holds more than a connection may", () => {
    const gate = new CallGate({ maxConcurrent: 10_000, rate: { calls: 10_000, perMs: 1 } }, 0);
    for (let call = 0; call < MAX_IN_FLIGHT; call += 1) gate.enter(0);
    expect(code(() => gate.enter(0))).toBe("limit.inflight");
  });
});
