/** What goes out to whom, and what is kept for who comes back; over HTTP in tests/integration/web-events.test.ts. */
import { beforeEach, expect, test } from "vitest";
import type { EventTopic } from "@opensentience/protocol";
import { EventHub, type Listener } from "./event-hub.ts";

type Seen = Listener & { got: Buffer[]; text: () => string; names: () => string[] };

let hub: EventHub;
beforeEach(() => {
  hub = new EventHub();
});

function listener(topics: EventTopic[], runIds: string[] = [], send?: Listener["send"]): Seen {
  const got: Buffer[] = [];
  const text = (): string => Buffer.concat(got).toString();
  return {
    subscription: { topics: new Set(topics), runIds: new Set(runIds), key: JSON.stringify([topics, runIds]) },
    send:
      send ??
      ((bytes) => {
        got.push(bytes);
        return true;
      }),
    got,
    text,
    names: () => [...text().matchAll(/^event: (.*)$/gm)].map(([, name = ""]) => name),
  };
}

function joined(one: Seen, lastEventId?: string): Seen {
  hub.add(one, {}, lastEventId);
  return one;
}

const lastId = (one: Seen): string => [...one.text().matchAll(/^id: (.*)$/gm)].at(-1)?.[1] ?? "";

test("listeners of the same topics get the same piece of memory", () => {
  const [first, second, other] = [
    joined(listener(["audit", "runs"])),
    joined(listener(["audit", "runs"])),
    joined(listener(["audit"])),
  ];
  hub.publish("audit", "audit", { items: [] });
  hub.publish("runs", "runs", { items: [] });
  hub.flush();
  expect(first?.got.length).toBe(2);
  expect(second?.got[1]).toBe(first?.got[1]);
  expect(first?.names()).toEqual(["hello", "audit", "runs"]);
  expect(other?.names()).toEqual(["hello", "audit"]);
});

test("the output of a run goes to who watches that run", () => {
  const [one, two, none] = [
    joined(listener(["logs"], ["a"])),
    joined(listener(["logs"], ["b"])),
    joined(listener(["logs"])),
  ];
  hub.publish("logs", "log", {}, "a");
  hub.flush();
  expect([one?.names(), two?.names(), none?.names()]).toEqual([["hello", "log"], ["hello"], ["hello"]]);
});

test("a listener that cannot go on is asked no more", () => {
  let asked = 0;
  joined(
    listener(["audit"], [], () => {
      asked += 1;
      return asked === 1;
    }),
  );
  for (let count = 0; count < 3; count += 1) {
    hub.publish("audit", "audit", {});
    hub.flush();
  }
  expect([asked, hub.size]).toEqual([2, 0]);
});

test("who comes back gets what was missed of its own topics, in order, and goes on from there", () => {
  const first = joined(listener(["audit", "runs"]));
  for (const name of ["audit", "metrics", "runs", "audit"] as const) hub.publish(name, name, {});
  const left = lastId(first);
  hub.flush();
  const second = joined(listener(["audit", "runs"]), left);
  expect(second.names()).toEqual(["hello", "audit", "runs", "audit"]);
  const third = joined(listener(["audit", "runs"]), lastId(second));
  expect(third.names()).toEqual(["hello"]);
});

test("a stream that breaks in the middle of what was missed goes on where it broke", () => {
  const first = joined(listener(["audit"]));
  for (const data of [1, 2, 3]) hub.publish("audit", "audit", data);
  hub.flush();
  const ids = [...first.text().matchAll(/^id: (.*)$/gm)].map(([, id = ""]) => id);
  const second = joined(listener(["audit"]), ids[0]);
  const hello = /^id: (.*)\nevent: hello/.exec(second.text())?.[1];
  expect(joined(listener(["audit"]), hello).names()).toEqual(["hello", "audit", "audit", "audit"]);
  expect(joined(listener(["audit"]), ids[2]).names()).toEqual(["hello", "audit"]);
});

test("who missed more than is kept is told so", () => {
  const first = joined(listener(["audit"]));
  const left = lastId(first);
  for (let count = 0; count < 6_000; count += 1) hub.publish("audit", "audit", count);
  hub.flush();
  expect(joined(listener(["audit"]), left).names()).toEqual(["hello", "reset"]);
  const recent = [...first.text().matchAll(/^id: (.*)$/gm)].at(-10)?.[1];
  expect(joined(listener(["audit"]), recent).names().length).toBe(10);
  // The bytes are bounded as well.
  for (let count = 0; count < 10; count += 1) hub.publish("audit", "audit", "x".repeat(1024 * 1024));
  const before = lastId(first);
  hub.flush();
  expect(joined(listener(["audit"]), before).names()).toEqual(["hello", "reset"]);
});

test("after a pause, and after a fault, nobody is left with a hole", () => {
  const first = joined(listener(["audit"]));
  const left = lastId(first);
  hub.forget();
  expect(joined(listener(["audit"]), left).names()).toEqual(["hello", "reset"]);
  hub.reset();
  expect(first.names()).toEqual(["hello", "reset"]);
});
