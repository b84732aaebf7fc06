import { CoreError } from "@opensentience/protocol";
import { expect, test } from "vitest";
import { jsonLines } from "./json-lines.ts";

/** Waits where a log does that is followed: for a next record or for its end. */
function waiting(): { records: AsyncIterable<object>; end: () => void; fail: (thrown: Error) => void } {
  const over = Promise.withResolvers<void>();
  async function* records(): AsyncGenerator<object> {
    yield { line: "first" };
    await over.promise;
  }
  return { records: records(), end: over.resolve, fail: over.reject };
}

function read(records: AsyncIterable<object>) {
  const faults: unknown[] = [];
  const body = jsonLines(records, {
    toError: () => new CoreError("core.internal", "it broke"),
    onFault: (thrown) => faults.push(thrown),
  });
  const reader = body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  /** The next line; undefined at the end. */
  const next = async (): Promise<string | undefined> => {
    const { value } = await reader.read();
    return value === undefined ? undefined : new TextDecoder().decode(value);
  };
  return { next, leave: () => reader.cancel(), faults };
}

test("a reader who leaves while the end is on its way is no fault", async () => {
  const { records, end } = waiting();
  const { next, leave, faults } = read(records);
  expect(await next()).toBe('{"line":"first"}\n');
  const left = leave();
  end();
  await left;
  expect(faults).toEqual([]);
});

test("what breaks off the records is told to the reader, and to Core alone where that one has left", async () => {
  const broken = new Error("the disk is gone");
  const stays = waiting();
  const staying = read(stays.records);
  await staying.next();
  stays.fail(broken);
  expect(await staying.next()).toContain('"code":"core.internal"');
  expect(await staying.next()).toBeUndefined();
  const leaves = waiting();
  const leaving = read(leaves.records);
  await leaving.next();
  const left = leaving.leave();
  leaves.fail(broken);
  await left;
  expect([...staying.faults, ...leaving.faults]).toEqual([broken, broken]);
});

test("records are taken one after the other, to their end", async () => {
  async function* records(): AsyncGenerator<object> {
    yield* [{ a: 1 }, { b: 2 }];
  }
  const { next, faults } = read(records());
  expect([await next(), await next(), await next()]).toEqual(['{"a":1}\n', '{"b":2}\n', undefined]);
  expect(faults).toEqual([]);
});
