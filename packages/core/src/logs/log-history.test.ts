import { mkdir, mkdtemp, readdir, rename, rm, symlink, truncate, writeFile, appendFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  buildLogPath,
  followLog,
  type LogRecord,
  pruneBuildLogs,
  pruneLogs,
  readBuildLog,
  readLog,
  type ReadOptions,
} from "./logs.ts";

let folder = "";
let path = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "log-history-"));
  path = join(folder, "run.log");
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const read = (from: string, options: ReadOptions = {}): Promise<LogRecord[]> => Array.fromAsync(readLog(from, options));

function at(second: number): string {
  return `2026-01-01T00:${String(Math.floor(second / 60)).padStart(2, "0")}:${String(second % 60).padStart(2, "0")}.000000000Z`;
}

function stored(second: number, text: string, flag = "F", stream = "stdout"): string {
  return `${at(second)} ${stream} ${flag} ${text}\n`;
}

function record(second: number, line: string, stream: LogRecord["stream"] = "stdout"): LogRecord {
  return { at: at(second), stream, line };
}

function numbered(from: number, to: number): string {
  return Array.from({ length: to - from }, (_, index) => stored(from + index, `line ${from + index}`)).join("");
}

test("the newest build's log is read step by step, and old builds' logs are removed", async () => {
  const build = (stamp: string, step: number): string => buildLogPath(folder, `2026-01-0${stamp}T00-00-00-000Z`, step);
  await writeFile(build("1", 1), stored(0, "old"));
  for (const step of [1, 2, 10]) await writeFile(build("2", step), numbered(step * 10, step * 10 + 3));
  await writeFile(join(folder, "build-notes.log"), "");
  const lines = async (options: ReadOptions): Promise<string[]> =>
    (await Array.fromAsync(readBuildLog(folder, options))).map(({ line }) => line.replace("line ", ""));
  expect(await lines({})).toEqual(["10", "11", "12", "20", "21", "22", "100", "101", "102"]);
  expect(await lines({ tail: 4 })).toEqual(["22", "100", "101", "102"]);
  expect(await lines({ since: at(101) })).toEqual(["101", "102"]);
  await pruneBuildLogs(folder, 1);
  expect((await readdir(folder)).toSorted()).toEqual([
    ...[1, 10, 2].map((step) => build("2", step).slice(folder.length + 1)),
    "build-notes.log",
  ]);
  await pruneBuildLogs(folder, 0);
  expect(await lines({})).toEqual([]);
});

describe("readLog", () => {
  test("gives all records over rotated files in order", async () => {
    await writeFile(`${path}.2`, numbered(0, 3));
    await writeFile(`${path}.1`, numbered(3, 6));
    await writeFile(path, numbered(6, 8));
    expect(await read(path)).toEqual(Array.from({ length: 8 }, (_, index) => record(index, `line ${index}`)));
    for (let tail = 0; tail < 10; tail += 1)
      expect(await read(path, { tail })).toEqual(
        Array.from({ length: 8 }, (_, index) => record(index, `line ${index}`)).slice(8 - Math.min(8, tail)),
      );
    expect(await read(path, { since: "2026-01-01T00:00:06Z" })).toEqual([record(6, "line 6"), record(7, "line 7")]);
    expect(await read(path, { since: "2026-01-01T01:00:05+01:00", tail: 2 })).toEqual([
      record(6, "line 6"),
      record(7, "line 7"),
    ]);
    expect(await read(join(folder, "none.log"))).toEqual([]);
  });

  test("finds the last lines of a large log at every offset of the blocks", async () => {
    const lines = Array.from({ length: 3000 }, (_, index) =>
      stored(index % 3600, `${index} ${"é→".repeat(index % 40)}`),
    );
    await writeFile(path, lines.join(""));
    for (const tail of [1, 700, 1500, 2999, 3000, 5000]) {
      const found = await read(path, { tail });
      expect(found).toEqual((await read(path)).slice(-tail));
      expect(found).toHaveLength(Math.min(3000, tail));
    }
  });

  test("joins cut lines, of both streams at once, also over files", async () => {
    await writeFile(`${path}.1`, stored(0, "first") + stored(1, "aa", "P") + stored(1, "xx", "P", "stderr"));
    await writeFile(path, stored(2, "bb", "P") + stored(2, "yy", "F", "stderr") + stored(3, "cc") + stored(4, "last"));
    const all = [record(0, "first"), record(1, "xxyy", "stderr"), record(1, "aabbcc"), record(4, "last")];
    expect(await read(path)).toEqual(all);
    for (let tail = 1; tail < 5; tail += 1) expect(await read(path, { tail })).toEqual(all.slice(-tail));
  });

  test("marks lines without a last piece and lines over 64 KiB", async () => {
    await writeFile(path, stored(0, "whole") + stored(1, "cut", "P"));
    const cut = { ...record(1, "cut"), truncated: true };
    expect(await read(path)).toEqual([record(0, "whole"), cut]);
    expect(await read(path, { tail: 1 })).toEqual([cut]);
    await writeFile(path, stored(1, "x".repeat(8000), "P").repeat(20) + stored(2, "end") + stored(3, "next"));
    const long = { ...record(1, "x".repeat(65_536)), truncated: true };
    expect(await read(path)).toEqual([long, record(3, "next")]);
    expect(await read(path, { tail: 2 })).toEqual([long, record(3, "next")]);
  });

  test("skips torn and foreign lines and a line that is being written", async () => {
    await writeFile(path, `garbage\n${stored(1, "a")}2026-01-01T00:00\n${stored(2, "b")}${at(3)} stdout F unfin`);
    expect(await read(path)).toEqual([record(1, "a"), record(2, "b")]);
    expect(await read(path, { tail: 1 })).toEqual([record(2, "b")]);
    await writeFile(path, `${stored(1, "a")}${"z".repeat(3 << 20)}\n${stored(2, "b")}`);
    expect(await read(path)).toEqual([record(1, "a"), record(2, "b")]);
    expect(await read(path, { tail: 2 })).toEqual([record(1, "a"), record(2, "b")]);
  });

  test("does not read through a symbolic link", async () => {
    await writeFile(join(folder, "other"), stored(1, "a"));
    await symlink(join(folder, "other"), path);
    expect(await read(path)).toEqual([]);
    await mkdir(join(folder, "dir.log"));
    expect(await read(join(folder, "dir.log"))).toEqual([]);
  });
});

describe("followLog", () => {
  /** Follows; `live` is true until `end` is called. */
  function follow(options: { tail?: number; since?: string } = {}): {
    next: () => Promise<LogRecord | undefined>;
    end: () => void;
    abort: () => void;
  } {
    const aborter = new AbortController();
    let live = true;
    const records = followLog(path, { ...options, signal: aborter.signal, isLive: () => live });
    const iterator = records[Symbol.asyncIterator]();
    return {
      next: async () => (await iterator.next()).value ?? undefined,
      end: () => {
        live = false;
      },
      abort: () => aborter.abort(),
    };
  }

  test("gives what is there, what comes, and ends with the run", async () => {
    await writeFile(path, numbered(0, 5));
    const log = follow({ tail: 2 });
    expect(await log.next()).toEqual(record(3, "line 3"));
    expect(await log.next()).toEqual(record(4, "line 4"));
    await appendFile(path, stored(5, "new"));
    expect(await log.next()).toEqual(record(5, "new"));
    await appendFile(path, stored(6, "half", "P") + `${at(7)} stdout F o`);
    const pending = log.next();
    await appendFile(path, "ther\n");
    expect(await pending).toEqual(record(6, "halfother"));
    await appendFile(path, stored(8, "last"));
    log.end();
    expect(await log.next()).toEqual(record(8, "last"));
    expect(await log.next()).toBeUndefined();
  });

  test("waits for a file that is not there yet and goes over rotations without loss", async () => {
    const log = follow();
    const first = log.next();
    await writeFile(path, numbered(0, 2));
    expect(await first).toEqual(record(0, "line 0"));
    expect(await log.next()).toEqual(record(1, "line 1"));
    await appendFile(path, numbered(2, 3));
    await rename(path, `${path}.1`);
    await writeFile(path, numbered(3, 5));
    await rename(`${path}.1`, `${path}.2`);
    await rename(path, `${path}.1`);
    await writeFile(path, numbered(5, 6));
    for (const number of [2, 3, 4, 5]) expect(await log.next()).toEqual(record(number, `line ${number}`));
    log.end();
    expect(await log.next()).toBeUndefined();
  });

  test("goes on after its file was rotated out, removed or truncated", async () => {
    await writeFile(path, numbered(0, 1));
    const log = follow();
    expect(await log.next()).toEqual(record(0, "line 0"));
    await rm(path);
    await writeFile(`${path}.1`, numbered(1, 2));
    await writeFile(path, numbered(2, 40));
    for (let number = 1; number < 40; number += 1) expect(await log.next()).toEqual(record(number, `line ${number}`));
    await truncate(path, 0);
    await appendFile(path, stored(50, "after"));
    expect(await log.next()).toEqual(record(50, "after"));
    log.abort();
    expect(await log.next()).toBeUndefined();
  });

  test("ends on abort while it waits, and at once for a run that is over", async () => {
    const waiting = follow();
    const next = waiting.next();
    waiting.abort();
    expect(await next).toBeUndefined();
    await writeFile(path, stored(1, "a") + stored(2, "cut", "P"));
    const over = follow();
    over.end();
    expect(await over.next()).toEqual(record(1, "a"));
    expect(await over.next()).toEqual({ ...record(2, "cut"), truncated: true });
    expect(await over.next()).toBeUndefined();
  });
});

test("pruneLogs removes the logs of the oldest runs with their rotated files, nothing else", async () => {
  const run = (number: number): string => `run_01930c5e-7d3a-7c52-9f2e-0a1b2c3d4e5${number}`;
  for (const number of [3, 1, 0, 2]) {
    await writeFile(join(folder, `${run(number)}.log`), "");
    await writeFile(join(folder, `${run(number)}.log.1`), "");
  }
  await writeFile(join(folder, "build-1.log"), "");
  expect(await pruneLogs(folder, 2)).toEqual([run(0), run(1)]);
  expect((await readdir(folder)).toSorted()).toEqual(
    ["build-1.log", `${run(2)}.log`, `${run(2)}.log.1`, `${run(3)}.log`, `${run(3)}.log.1`].toSorted(),
  );
  expect(await pruneLogs(folder, 2)).toEqual([]);
  expect(await pruneLogs(join(folder, "none"), 2)).toEqual([]);
});
