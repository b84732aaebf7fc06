import { expect, test } from "vitest";
import { RecordedOutcomes } from "./recorded-outcomes.ts";

test("a key gives one effect and one outcome, also while the first is under way", async () => {
  const outcomes = new RecordedOutcomes<number>();
  let effects = 0;
  const act = (): Promise<number> => Promise.resolve((effects += 1));
  const both = await Promise.all([outcomes.once("k", "d", act), outcomes.once("k", "d", act)]);
  expect([both, await outcomes.once("k", "d", act), await outcomes.once("other", "d", act)]).toEqual([[1, 1], 1, 2]);
});

test("a key that comes with another input is refused", async () => {
  const outcomes = new RecordedOutcomes<number>();
  await outcomes.once("k", "d", () => Promise.resolve(1));
  expect(() => outcomes.once("k", "e", () => Promise.resolve(2))).toThrow(/another input/);
});

test("a call that was refused leaves its key free", async () => {
  const outcomes = new RecordedOutcomes<number>();
  await expect(outcomes.once("k", "d", () => Promise.reject(new Error("limit")))).rejects.toThrow("limit");
  expect(await outcomes.once("k", "d", () => Promise.resolve(2))).toBe(2);
});

test("memory is bounded: the oldest goes first", async () => {
  const outcomes = new RecordedOutcomes<number>();
  for (let index = 0; index <= 1_000; index += 1) await outcomes.once(`k${index}`, "d", () => Promise.resolve(index));
  expect(await outcomes.once("k1000", "d", () => Promise.resolve(-1))).toBe(1000);
  expect(await outcomes.once("k0", "d", () => Promise.resolve(-1))).toBe(-1);
});
