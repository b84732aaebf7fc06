import { expect, test } from "vitest";
import { timestamp } from "./timestamp.ts";

test("each time has its own text, however often and in whatever order it is asked for", () => {
  for (const ms of [0, 0, 1_700_000_000_123, 1_700_000_000_124, 1_700_000_000_123]) {
    expect(timestamp(ms)).toBe(new Date(ms).toISOString());
  }
  const before = Date.now();
  const now = Date.parse(timestamp());
  expect(now).toBeGreaterThanOrEqual(before);
  expect(now).toBeLessThanOrEqual(Date.now());
});
