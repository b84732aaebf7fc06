import { expect, test } from "vitest";
import { isFullAtEnd } from "./run-json.ts";
import { diskOver } from "./run-limits.ts";

test("what a reason quotes is no reason to empty a folder", () => {
  const reason = diskOver(5_000_000, 1_000_000, "/h/agents/a.b/data");
  expect(isFullAtEnd({ reason })).toBe(true);
  expect(isFullAtEnd({ reason: `unhealthy: ${reason}` })).toBe(false);
  expect(isFullAtEnd({ reason: null })).toBe(false);
  expect(isFullAtEnd(null)).toBe(false);
});
