import { expect, test } from "vitest";
import { hasChannels, streamParts } from "./stream-parts.ts";

test("channels stay apart, in the order in which their chunks came", () => {
  const chunks = [
    { seq: 1, channel: "stdout", text: "a" },
    { seq: 2, channel: "stdout", text: "b\n" },
    { seq: 3, channel: "stderr", text: "oh" },
    { seq: 4, channel: "stdout", text: "c" },
    { seq: 5, channel: "partial_result", json: { n: 1 } },
  ];
  const parts = streamParts(chunks);
  expect(parts).toEqual([
    { key: 1, channel: "stdout", text: "ab\n" },
    { key: 3, channel: "stderr", text: "oh" },
    { key: 4, channel: "stdout", text: "c" },
    { key: 5, channel: "partial_result", text: '{\n  "n": 1\n}\n' },
  ]);
  expect(hasChannels(parts)).toBe(true);
  expect(hasChannels(streamParts(chunks.slice(0, 2)))).toBe(false);
});
