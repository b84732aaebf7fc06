import { expect, test } from "vitest";
import { OwedAnswer, RecordedOutcomes } from "./recorded-outcomes.ts";

const first = (act: () => Promise<number>): Parameters<RecordedOutcomes<number>["once"]>[2] => ({
  act,
  repeat: (outcome) => outcome,
});

test("a key gives one effect and one outcome, also while the first is under way", async () => {
  const outcomes = new RecordedOutcomes<number>(() => 1);
  let effects = 0;
  const act = (): Promise<number> => Promise.resolve((effects += 1));
  const both = await Promise.all([outcomes.once("k", "d", first(act)), outcomes.once("k", "d", first(act))]);
  expect([both, await outcomes.once("k", "d", first(act)), await outcomes.once("other", "d", first(act))]).toEqual([
    [1, 1],
    1,
    2,
  ]);
});

test("a key that comes with another input is refused", async () => {
  const outcomes = new RecordedOutcomes<number>(() => 1);
  await outcomes.once(
    "k",
    "d",
    first(() => Promise.resolve(1)),
  );
  expect(() =>
    outcomes.once(
      "k",
      "e",
      first(() => Promise.resolve(2)),
    ),
  ).toThrow(/another input/);
});

test("a call that was refused leaves its key free", async () => {
  const outcomes = new RecordedOutcomes<number>(() => 1);
  await expect(
    outcomes.once(
      "k",
      "d",
      first(() => Promise.reject(new Error("limit"))),
    ),
  ).rejects.toThrow("limit");
  expect(
    await outcomes.once(
      "k",
      "d",
      first(() => Promise.resolve(2)),
    ),
  ).toBe(2);
});

test("memory is bounded: the oldest goes first", async () => {
  const outcomes = new RecordedOutcomes<number>(() => 1);
  for (let index = 0; index <= 1_000; index += 1)
    await outcomes.once(
      `k${index}`,
      "d",
      first(() => Promise.resolve(index)),
    );
  expect(
    await outcomes.once(
      "k1000",
      "d",
      first(() => Promise.resolve(-1)),
    ),
  ).toBe(1000);
  expect(
    await outcomes.once(
      "k0",
      "d",
      first(() => Promise.resolve(-1)),
    ),
  ).toBe(-1);
});

test("large outcomes go sooner: what is kept has a size, and what is under way is kept", async () => {
  const outcomes = new RecordedOutcomes<number>(() => 3 * 1024 * 1024);
  const { promise, resolve } = Promise.withResolvers<number>();
  const slow = outcomes.once(
    "slow",
    "d",
    first(() => promise),
  );
  for (let index = 0; index < 20; index += 1)
    await outcomes.once(
      `k${index}`,
      "d",
      first(() => Promise.resolve(index)),
    );
  const again = (key: string): Promise<number> =>
    outcomes.once(
      key,
      "d",
      first(() => Promise.resolve(-1)),
    );
  expect([await again("k19"), await again("k10")]).toEqual([19, 10]);
  expect(await again("k0")).toBe(-1);
  resolve(7);
  expect(await Promise.all([slow, again("slow")])).toEqual([7, 7]);
});

test("a key whose outcome is owed stays taken, and gives it once it is on record", async () => {
  const outcomes = new RecordedOutcomes<number>(() => 1);
  const { promise: recorded, resolve } = Promise.withResolvers<boolean>();
  const owed = new OwedAnswer(
    "carried out",
    { value: 7, recorded },
    { details: {}, nextStep: "look", cause: undefined },
  );
  const again = (): Promise<number> =>
    outcomes.once(
      "k",
      "d",
      first(() => Promise.resolve(-1)),
    );
  await expect(
    outcomes.once(
      "k",
      "d",
      first(() => Promise.reject(owed)),
    ),
  ).rejects.toBe(owed);
  await expect(again()).rejects.toBe(owed);
  resolve(true);
  await recorded;
  expect(await again()).toBe(7);
});
