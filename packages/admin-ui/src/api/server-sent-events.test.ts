import { expect, test } from "vitest";
import { type ServerSentEvent, serverSentEvents } from "./server-sent-events.ts";

const TEXT =
  ':\n\nid: a-1\nevent: hello\ndata: {"x":"ü: y"}\n\n:\n\nid: a-2\nevent: log\ndata: one\ndata:two\n\ndata\n\nid: a-3\nevent: log\ndata: half';
const EVENTS: ServerSentEvent[] = [
  { id: "a-1", name: "hello", data: '{"x":"ü: y"}' },
  { id: "a-2", name: "log", data: "one\ntwo" },
  { id: "", name: "message", data: "" },
];

async function read(text: string, size: number): Promise<ServerSentEvent[]> {
  const bytes = new TextEncoder().encode(text);
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
      controller.close();
    },
  });
  const events: ServerSentEvent[] = [];
  for await (const event of serverSentEvents(new Response(body))) events.push(event);
  return events;
}

test.each([1, 2, 3, 7, 1_000])("are whole however the answer is cut: %i bytes at a time", async (size) => {
  expect(await read(TEXT, size)).toEqual(EVENTS);
});

test("end in either kind of line", async () => {
  expect(await read(TEXT.replaceAll("\n", "\r\n"), 1_000)).toEqual(EVENTS);
});

test("leaving them ends the request", async () => {
  let canceled = false;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode("data: 1\n\n")),
    cancel: () => void (canceled = true),
  });
  for await (const { data } of serverSentEvents(new Response(body))) {
    expect(data).toBe("1");
    break;
  }
  expect(canceled).toBe(true);
});
