import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { BusyPoll } from "./busy-poll.ts";

async function untilAsleep(poll: BusyPoll): Promise<void> {
  while (poll.isAwake) await nextTurn();
}

/** Whether it stays awake for what is sent now; over when it is asleep. */
async function wakes(poll: BusyPoll, isAnswered: boolean): Promise<boolean> {
  poll.called();
  const { isAwake } = poll;
  if (isAnswered) poll.answered();
  await untilAsleep(poll);
  return isAwake;
}

async function wakesInARow(poll: BusyPoll, count: number, isAnswered: boolean): Promise<boolean[]> {
  const all: boolean[] = [];
  for (let at = 0; at < count; at += 1) all.push(await wakes(poll, isAnswered));
  return all;
}

test("it goes to sleep by itself, and stays awake again and again for an agent that answers at once", async () => {
  const poll = new BusyPoll(2);
  expect(await wakesInARow(poll, 20, true)).toEqual(Array.from({ length: 20 }, () => true));
  expect(poll.isAwake).toBe(false);
});

test("each time in vain more is left out, and the first answer makes up for it", async () => {
  const poll = new BusyPoll(2);
  expect(await wakesInARow(poll, 10, false)).toEqual([
    true,
    false,
    true,
    false,
    false,
    true,
    false,
    false,
    false,
    false,
  ]);
  const many = await wakesInARow(poll, 1_000, false);
  expect(many.filter(Boolean).length).toBeLessThan(20);
  while (!(await wakes(poll, true)));
  expect(await wakesInARow(poll, 3, true)).toEqual([true, true, true]);
});

test("only a call keeps it awake", () => {
  const poll = new BusyPoll(2);
  poll.answered();
  expect(poll.isAwake).toBe(false);
});

test("with one processor the agent needs it more", async () => {
  expect(await wakesInARow(new BusyPoll(1), 3, true)).toEqual([false, false, false]);
});
