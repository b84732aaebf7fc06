import { expect, test } from "vitest";
import { readFiles, sentFiles } from "./drift-files.ts";

const files = (count: number): string[] => Array.from({ length: count }, (_, at) => `f${at}`);

test.each([
  [0, 0],
  [50, 0],
  [51, 1],
  [2_000, 1_950],
])("of %i files some are named and %i counted", (count, more) => {
  const read = readFiles(sentFiles(files(count)));
  expect(read).toEqual({ named: files(count - more), more });
});

test("a file that is called like a count is a file", () => {
  const odd = [...files(49), "… and 7 more"];
  expect(readFiles(sentFiles(odd))).toEqual({ named: odd, more: 0 });
  expect(readFiles(sentFiles([...odd, "last"]))).toEqual({ named: odd, more: 1 });
});
