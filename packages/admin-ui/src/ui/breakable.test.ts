import { expect, test } from "vitest";
import { parts } from "./breakable.tsx";

test("names break after their marks, digests into halves, and nothing is lost", () => {
  expect(parts("agent.build_plan_shown")).toEqual(["agent.", "build_", "plan_", "shown"]);
  expect(parts("file:///tmp/a-b")).toEqual(["file:///", "tmp/", "a-", "b"]);
  expect(parts("5850fe5bac3128d971a60851c38f2d12bc28119b")).toEqual(["5850fe5bac3128d971a6", "0851c38f2d12bc28119b"]);
  expect(parts("ab".repeat(32))).toEqual(["ab".repeat(16), "ab".repeat(16)]);
  for (const text of ["", "plain", "..", "a.b.", "_x"]) expect(parts(text).join("")).toBe(text);
});
