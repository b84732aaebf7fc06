import { describe, expect, test } from "vitest";
import { clip, counted, duration, oneLine, shortTime, size, Style } from "./format.ts";

const plain = new Style({ color: false });
const colored = new Style({ color: true, width: 30 });

describe("tables", () => {
  test("align columns and leave no blanks at the end", () => {
    expect(
      plain.table(
        ["A", "LONGER"],
        [
          ["x", "1"],
          ["yyy", "2"],
        ],
      ),
    ).toBe("A    LONGER\nx    1\nyyy  2");
  });

  test("cut the last column at the edge of the terminal", () => {
    const table = colored.table(["A", "B"], [["x", "b".repeat(60)]]);
    expect(table.split("\n")[1]).toBe(`x  ${"b".repeat(26)}…`);
  });

  test("neutralise what an agent wrote, painted or not", () => {
    const hostile = "a\u001b[2Jb\r\nc\u202e";
    const table = colored.table(["A", "B"], [[hostile, { text: hostile, color: "red" }]]);
    expect(table).not.toContain("\u001b[2J");
    expect(table).not.toContain("\u202e");
    expect(table.split("\n")).toHaveLength(2);
    expect(plain.fields([["name", hostile]]).split("\n")).toHaveLength(1);
    expect(plain.paint("red", hostile)).not.toContain("\u001b");
  });

  test("write no colour codes where colour is off", () => {
    expect(plain.table(["A"], [[{ text: "x", color: "red" }]])).toBe("A\nx");
    expect(colored.table(["A"], [[{ text: "x", color: "red" }]])).toContain("\u001b[31mx\u001b[39m");
  });

  test("leave out empty fields", () => {
    expect(
      plain.fields([
        ["a", "1"],
        ["bbb", null],
        ["cc", undefined],
        ["d", ""],
      ]),
    ).toBe("  a  1");
  });
});

describe("short forms", () => {
  test("times of today are a clock, others carry their date", () => {
    const now = new Date(2026, 0, 31, 15, 0, 0);
    expect(shortTime(new Date(2026, 0, 31, 9, 5, 7).toISOString(), now)).toBe("09:05:07");
    expect(shortTime(new Date(2025, 11, 1, 9, 5, 7).toISOString(), now)).toBe("2025-12-01 09:05");
    expect(shortTime(null, now)).toBe("-");
    expect(shortTime("\u001b[2J", now)).not.toContain("\u001b");
  });

  test.each([
    [-5, "0 ms"],
    [350, "350 ms"],
    [4_260, "4.2 s"],
    [59_999, "59.9 s"],
    [192_000, "3m 12s"],
    [18_120_000, "5h 2m"],
    [187_200_000, "2d 4h"],
  ])("%d ms is %s", (ms, text) => expect(duration(ms)).toBe(text));

  test("sizes, counts, clipping", () => {
    expect([size(null), size(900), size(1536), size(5 * 1024 ** 3)]).toEqual(["-", "1 KiB", "2 KiB", "5 GiB"]);
    expect([counted(1, "agent"), counted(0, "agent")]).toEqual(["1 agent", "0 agents"]);
    expect(clip("äöü€x", 3)).toBe("äö…");
    expect(oneLine("a\n\tb")).toBe("a b");
  });
});
