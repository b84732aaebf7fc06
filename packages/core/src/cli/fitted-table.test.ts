import { expect, test } from "vitest";
import { clipMiddle, type Column, fittedTable, followedTable } from "./fitted-table.ts";
import { Style } from "./format.ts";

const COLUMNS: readonly Column[] = [
  { name: "SEQ", width: 4 },
  { name: "ACTOR", gives: "spare", width: 8 },
  { name: "SUBJECT", gives: "middle", width: 24 },
  { name: "WHY", gives: "end", width: 20 },
  { name: "ID", gives: "drop", width: 12 },
];
const ROW = ["7", "uid:1000", "com.example.quite.long.agent", "enablement.drifted", "evt_12345678"];
const table = (width: number | undefined): string[] =>
  fittedTable(new Style({ color: false, width }), COLUMNS, [ROW]).split("\n");

test("in a pipe nothing gives way", () => {
  const [header, row] = table(undefined);
  expect(header).toBe("SEQ  ACTOR     SUBJECT                       WHY                 ID");
  expect(row).toBe(`7    ${ROW.slice(1).join("  ")}`);
});

test("the id goes first, then ids are shortened in their middle, then spare columns go", () => {
  expect(table(70)[0]).not.toContain("ID");
  expect(table(70)[1]).toContain("com.example.quite.long.agent");
  expect(table(50)[1]).toMatch(/^7 {4}uid:1000 {2}com\.exa\S*…\S*agent {2}enablement\S*$/);
  expect(table(30)[0]).toMatch(/^SEQ {2}SUBJECT +WHY$/);
});

test("a text stays readable while a spare column can go, and gives way then", () => {
  const readable = COLUMNS.map((column) => (column.name === "WHY" ? { ...column, readable: 18 } : column));
  const at = (width: number): string[] => fittedTable(new Style({ color: false, width }), readable, [ROW]).split("\n");
  expect(at(50)[1]).toMatch(/ enablement\.drifted$/);
  expect(at(44)[0]).toMatch(/^SEQ {2}SUBJECT +WHY$/);
  expect(at(44)[1]).toMatch(/ enablement\.drifte?d?…?$/);
  for (const line of at(30)) expect([...line].length).toBeLessThanOrEqual(30);
});

test.each([30, 40, 50, 60, 70, 80, 120])("every row fits %i columns", (width) => {
  for (const line of table(width)) expect([...line].length).toBeLessThanOrEqual(width);
});

test("a table that is followed has the same columns, aligned without knowing the rows", () => {
  const { header, row } = followedTable(new Style({ color: false, width: 80 }), COLUMNS);
  expect(header.indexOf("WHY")).toBe(row(ROW).indexOf("enablement"));
  expect(row(["7", "a\u001b[2J", "b", "c", "d"])).not.toContain("\u001b");
});

test("both ends of an id are kept", () => {
  expect(clipMiddle("com.example.agent", 9)).toBe("com.…gent");
  expect(clipMiddle("short", 9)).toBe("short");
  expect(clipMiddle("abc", 1)).toBe("…");
});
