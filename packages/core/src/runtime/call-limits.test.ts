import { MAX_IN_FLIGHT } from "@opensentience/protocol";
import { describe, expect, test } from "vitest";
import { CallGate, limitsOf, totalMsOf, type Limits } from "./call-limits.ts";

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
    const asked = { max_concurrent_calls: 3, rate_limit: "60/minute" };
    expect(limitsOf(asked, MOST)).toEqual({
      maxConcurrent: 3,
      rate: { calls: 60, perMs: 60_000 },
    });
    const more = { max_concurrent_calls: 1_000, rate_limit: "1000/second" };
    expect(limitsOf(more, MOST)).toEqual(MOST);
  });

  test("are understood in every form that a manifest may have", () => {
    const ms = (asked: string | number): number => totalMsOf({ max_tool_call_duration: asked }, 600_000);
    expect(["250ms", "1.5s", "2m", "0.1h", 90, "0s"].map(ms)).toEqual([250, 1_500, 120_000, 360_000, 90_000, 1]);
    expect([totalMsOf(undefined, 600_000), ms("1h")]).toEqual([600_000, 600_000]);
    const calls = (asked: string | number): unknown => limitsOf({ rate_limit: asked }, MOST).rate;
    expect(["2/second", "7/hour", 60, "0/minute"].map(calls)).toEqual([
      { calls: 2, perMs: 1_000 },
      { calls: 7, perMs: 3_600_000 },
      { calls: 60, perMs: 60_000 },
      { calls: 1, perMs: 60_000 },
    ]);
  });
});

describe("a gate", () => {
  test("takes so many at once", () => {
    const gate = new CallGate({ ...MOST, maxConcurrent: 2 }, 0);
    const leave = gate.enter(0);
    gate.enter(0);
    expect(code(() => gate.enter(0))).toBe("limit.concurrency");
    leave();
    gate.enter(0);
    expect(gate.inFlight).toBe(2);
  });

  test("gives half of its places to one calling agent, rounded up, and all of them to the operator", () => {
    const gate = new CallGate({ ...MOST, maxConcurrent: 3 }, 0);
    const leave = gate.enter(0, "one");
    gate.enter(0, "one");
    expect(code(() => gate.enter(0, "one"))).toBe("limit.concurrency");
    leave();
    gate.enter(0, "one");
    gate.enter(0, "other");
    expect(code(() => gate.enter(0, "other"))).toBe("limit.concurrency");
    const alone = new CallGate({ ...MOST, maxConcurrent: 1 }, 0);
    alone.enter(0, "one")();
    alone.enter(0, "one");
    const operated = new CallGate({ ...MOST, maxConcurrent: 3 }, 0);
    for (let call = 0; call < 3; call += 1) operated.enter(0);
  });

  test("takes so many in a row, and fills again with time", () => {
    const gate = new CallGate({ ...MOST, maxConcurrent: 100, rate: { calls: 2, perMs: 1_000 } }, 0);
    gate.enter(0);
    gate.enter(0);
    expect(code(() => gate.enter(0))).toBe("limit.rate");
    expect(code(() => gate.enter(400))).toBe("limit.rate");
    gate.enter(500);
    expect(code(() => gate.enter(500))).toBe("limit.rate");
    // What was saved up is not more than one unit's worth.
    gate.enter(1_000_000);
    gate.enter(1_000_000);
    expect(code(() => gate.enter(1_000_000))).toBe("limit.rate");
  });

  test.each([
    [{ calls: 20, perMs: 60_000 }, 2_400, "the agent's calls are used up (20 per minute); again in 0.6 s"],
    [{ calls: 2, perMs: 3_600_000 }, 0, "the agent's calls are used up (2 per hour); again in 30 minutes"],
  ])("says how long to wait: %j", (rate, afterMs, message) => {
    const gate = new CallGate({ ...MOST, maxConcurrent: 100, rate }, 0);
    for (let call = 0; call < rate.calls; call += 1) gate.enter(0)();
    const refused = expect.objectContaining({ code: "limit.rate", message });
    expect(() => gate.enter(afterMs)).toThrow(refused);
  });

  test("never holds more than a connection may", () => {
    const gate = new CallGate({ ...MOST, maxConcurrent: 10_000, rate: { calls: 10_000, perMs: 1 } }, 0);
    for (let call = 0; call < MAX_IN_FLIGHT; call += 1) gate.enter(0);
    expect(code(() => gate.enter(0))).toBe("limit.inflight");
  });
});
