import { expect, test } from "vitest";
import { RecordedDrift } from "./recorded-drift.ts";

test("knows every state of the present approval, and no state of another", () => {
  const recorded = new RecordedDrift();
  for (const state of ["one", "two"]) recorded.add("a", "first", state);
  expect(["one", "two", "three"].map((state) => recorded.has("a", "first", state))).toEqual([true, true, false]);
  expect([recorded.has("b", "first", "one"), recorded.has("a", "second", "one")]).toEqual([false, false]);
  recorded.add("a", "second", "one");
  expect([recorded.has("a", "second", "one"), recorded.has("a", "first", "two")]).toEqual([true, false]);
});

test("forgets the oldest state when there are too many", () => {
  const recorded = new RecordedDrift(2);
  for (const state of ["one", "two", "three"]) recorded.add("a", "first", state);
  expect(["one", "two", "three"].map((state) => recorded.has("a", "first", state))).toEqual([false, true, true]);
});
