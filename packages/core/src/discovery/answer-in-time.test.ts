import { expect, test } from "vitest";
import { answerInTime } from "./answer-in-time.ts";

test("gives the answer, its failure, or what stands for one that never comes", async () => {
  expect(await answerInTime(Promise.resolve(1), 10_000, "late")).toBe(1);
  await expect(answerInTime(Promise.reject(new Error("no")), 10_000, "late")).rejects.toThrow("no");
  expect(await answerInTime(new Promise(() => {}), 5, "late")).toBe("late");
});

test("a failure that comes too late is no unhandled rejection", async () => {
  const { promise, reject } = Promise.withResolvers<void>();
  expect(await answerInTime(promise, 5, "late")).toBe("late");
  reject(new Error("far too late"));
  // An unhandled rejection would end the test run.
  await new Promise((resolve) => setImmediate(resolve));
});
