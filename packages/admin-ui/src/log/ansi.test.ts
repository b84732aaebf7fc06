import { expect, test } from "vitest";
import { ansiPieces } from "./ansi.ts";

test("names the colours and emphases of a line", () => {
  expect(ansiPieces("plain")).toEqual([{ text: "plain", className: "" }]);
  expect(ansiPieces("\x1b[31mred\x1b[0m and \x1b[1;92mbold\x1b[0m")).toEqual([
    { text: "red", className: "ansi-red" },
    { text: " and ", className: "" },
    { text: "bold", className: "ansi-bright-green ansi-bold" },
  ]);
  expect(ansiPieces("\x1b[38;5;208mindexed\x1b[38;2;1;2;3mtrue")).toEqual([
    { text: "indexed", className: "" },
    { text: "true", className: "" },
  ]);
});

test("leaves nothing that hides text", () => {
  expect(ansiPieces("\x1b[8mhidden\x1b[30;40mblack on black")).toEqual([
    { text: "hidden", className: "" },
    { text: "black on black", className: "ansi-black" },
  ]);
});

test("leaves what a terminal would obey in the text", () => {
  const line = "\x1b[2Jcleared \x1b]0;title\x07 \x1b]8;;https://example.com\x07link\x1b[1A\x1b[31mred";
  const pieces = ansiPieces(line);
  expect(pieces.map(({ text }) => text).join("")).toBe(line.replace("\x1b[31m", ""));
  expect(pieces.at(-1)).toEqual({ text: "red", className: "ansi-red" });
});
