import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { MOST_OWED, OwedOutcomes } from "./owed-outcomes.ts";

let faults: string[] = [];
let owed = new OwedOutcomes(() => {});
let written: string[] = [];
const failing = new Set<string>();

beforeEach(() => {
  vi.useFakeTimers();
  faults = [];
  written = [];
  failing.clear();
  owed = new OwedOutcomes((what) => faults.push(what));
});
afterEach(() => vi.useRealTimers());

const writing = (name: string) => (): void => {
  if (failing.has(name)) throw new Error("full");
  written.push(name);
};

test("what can be written is written at once, and is not owed", () => {
  expect(owed.record("a", writing("a"))).toBeUndefined();
  expect([written, faults]).toEqual([["a"], []]);
});

test("what cannot is written later, once, whatever else goes on failing", async () => {
  const names = Array.from({ length: 20 }, (_, index) => `bad ${index}`);
  for (const name of [...names, "good"]) failing.add(name);
  for (const name of names) void owed.record(name, writing(name));
  const good = owed.record("good", writing("good"));
  failing.delete("good");
  await vi.advanceTimersByTimeAsync(10_000);
  expect([await good, written]).toEqual([true, ["good"]]);
  failing.clear();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(written.toSorted()).toEqual([...names, "good"].toSorted());
  expect(faults).toHaveLength(21);
});

test("one that writes asynchronously is tried by itself until it is done", async () => {
  let attempts = 0;
  const write = async (): Promise<void> => {
    await Promise.resolve();
    if ((attempts += 1) < 3) throw new Error("full");
  };
  const done = owed.add("a", write, new Error("full"));
  await vi.advanceTimersByTimeAsync(10_000);
  expect([await done, attempts]).toEqual([true, 3]);
});

test("owes no more than so many outcomes", () => {
  failing.add("a");
  for (let index = 1; index < MOST_OWED; index += 1) void owed.record("a", writing("a"));
  expect(owed.isFull).toBe(false);
  void owed.record("a", writing("a"));
  expect(owed.isFull).toBe(true);
});

test("when Core stops nobody waits, and each has a last attempt", async () => {
  for (const name of ["a", "b"]) failing.add(name);
  const [a, b] = [owed.record("a", writing("a")), owed.record("b", writing("b"))];
  owed.letGo();
  expect([await a, await b, await owed.record("a", writing("a"))]).toEqual([false, false, false]);
  failing.delete("b");
  expect([await owed.settle(), written]).toEqual([false, ["b"]]);
  failing.clear();
  expect([await owed.settle(), written]).toEqual([true, ["b", "a", "a"]]);
});
