import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readCoreMark, removeCoreMark, writeCoreMark } from "./core-mark.ts";

const folder = mkdtempSync(join(tmpdir(), "os-mark-"));
const path = join(folder, "core.pid");
afterAll(() => rmSync(folder, { recursive: true }));

test("names the living process that wrote it, for its user alone", () => {
  expect(readCoreMark(path)).toBeUndefined();
  for (const state of ["starting", "running", "stopping"] as const) {
    writeCoreMark(path, state);
    expect(readCoreMark(path)).toEqual({ pid: process.pid, state });
  }
  expect(statSync(path).mode & 0o777).toBe(0o600);
  removeCoreMark(path);
  expect(readCoreMark(path)).toBeUndefined();
});

test.each([
  ["another process with that number", { start_time: "1" }],
  ["the machine's earlier boot", { boot_id: "00000000-0000-0000-0000-000000000000" }],
  ["a process that is gone", { pid: 2 ** 22 + 1 }],
  ["pid 1", { pid: 1 }],
  ["an unknown state", { state: "dancing" }],
])("does not believe %s", (_, changes) => {
  writeCoreMark(path, "running");
  writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, "utf8")) as object), ...changes }));
  expect(readCoreMark(path)).toBeUndefined();
});

test.each(["", "null", "1", "{", "[]"])("does not believe %j", (text) => {
  writeFileSync(path, text);
  expect(readCoreMark(path)).toBeUndefined();
});

test("writing where nothing can be written does not fail", () => {
  expect(() => writeCoreMark(join(folder, "nowhere", "core.pid"), "stopping")).not.toThrow();
});
