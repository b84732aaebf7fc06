import type { LogRecordJson } from "@opensentience/protocol";
import { expect, test } from "vitest";
import { afterHistory, filterLines, MAX_LINES, toLine, withLines } from "./log-lines.ts";

const record = (line: string, stream: LogRecordJson["stream"] = "stdout"): LogRecordJson => ({
  at: "2030-01-01T00:00:00.000Z",
  stream,
  line,
});
const texts = (records: readonly LogRecordJson[]): string[] => records.map(({ line }) => line);

test("takes what the history and the live part share once", () => {
  const history = ["a", "b", "c"].map((line) => record(line));
  expect(
    texts(
      afterHistory(
        history,
        ["b", "c", "d"].map((line) => record(line)),
      ),
    ),
  ).toEqual(["d"]);
  expect(
    texts(
      afterHistory(
        history,
        ["x"].map((line) => record(line)),
      ),
    ),
  ).toEqual(["x"]);
  expect(texts(afterHistory([], [record("x")]))).toEqual(["x"]);
  expect(
    texts(
      afterHistory(
        ["a", "a"].map((line) => record(line)),
        ["a", "a", "a"].map((line) => record(line)),
      ),
    ),
  ).toEqual(["a"]);
});

test("keeps a bounded number of lines", () => {
  const many = Array.from({ length: MAX_LINES }, (_, index) => toLine(record(String(index))));
  const kept = withLines(many, [toLine(record("last"))]);
  expect(kept.length).toBeLessThanOrEqual(MAX_LINES);
  expect(kept.at(-1)?.line).toBe("last");
});

test("filters by stream and by words", () => {
  const lines = [toLine(record("Alpha")), toLine(record("beta", "stderr"))];
  expect(texts(filterLines(lines, { stream: "stderr", words: "" }))).toEqual(["beta"]);
  expect(texts(filterLines(lines, { stream: "", words: "ALPHA" }))).toEqual(["Alpha"]);
});
