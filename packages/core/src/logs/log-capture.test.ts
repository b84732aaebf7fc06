import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Redactor } from "../audit-log/audit-log.ts";
import { type CaptureOptions, captureLogs, type LogCapture, type LogFileState, type LogRecord } from "./logs.ts";

const LIMITS = { maxLineBytes: 8192, maxFileBytes: 10 << 20, maxFiles: 5 };
const AT = "2026-01-02T03:04:05.678000000Z";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "log-capture-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

type Started = { stdout: PassThrough; stderr: PassThrough; path: string; capture: LogCapture };

function start(options: Partial<CaptureOptions> = {}): Started {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const path = options.path ?? join(folder, "agent", "run.log");
  const now = (): Date => new Date("2026-01-02T03:04:05.678Z");
  const capture = captureLogs({ stdout, stderr, path, limits: LIMITS, redactor: new Redactor(), now, ...options });
  return { stdout, stderr, path, capture };
}

async function captured(
  chunks: readonly (string | Buffer)[],
  options: Partial<CaptureOptions> = {},
): Promise<string[]> {
  const { stdout, stderr, path, capture } = start(options);
  stderr.end();
  for (const chunk of chunks) stdout.write(chunk);
  stdout.end();
  await capture.drainAndClose(5_000);
  return linesOf(path);
}

async function linesOf(path: string): Promise<string[]> {
  const text = await readFile(path, "utf8");
  expect(text.endsWith("\n")).toBe(true);
  return text.slice(0, -1).split("\n");
}

describe("records", () => {
  test("have the CRI form, streams kept apart, notes between them", async () => {
    const { stdout, stderr, path, capture } = start();
    stdout.write("one\ntw");
    stderr.write("error\r\n");
    capture.note("stopping\nnow");
    stdout.end("o");
    stderr.end();
    await capture.drainAndClose(5_000);
    const text = await readFile(path, "utf8");
    expect(text.split("\n").toSorted()).toEqual(
      [
        "",
        `${AT} core F now`,
        `${AT} core F stopping`,
        `${AT} stderr F error`,
        `${AT} stdout F one`,
        `${AT} stdout F two`,
      ].toSorted(),
    );
    expect(capture.stats).toEqual({ lines: 3, bytes: 14, droppedLines: 0 });
    expect(capture.lastLines.toSorted()).toEqual(["error", "one", "two"]);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, "agent"))).mode & 0o777).toBe(0o700);
  });

  test("keep NUL, escapes and bare CR; invalid UTF-8 is replaced", async () => {
    const bytes = Buffer.from([0x61, 0x00, 0x1b, 0x5b, 0x6d, 0x0d, 0x62, 0xff, 0xc3, 0x28, 0xe2, 0x82, 0x0a]);
    expect(await captured([bytes])).toEqual([`${AT} stdout F a\x00\x1b[m\rb\ufffd\ufffd(\ufffd`]);
  });

  test("hold a character that was split over reads, at every place", async () => {
    const bytes = Buffer.from("aé→😀z\n");
    for (let cut = 0; cut <= bytes.length; cut += 1)
      expect(
        await captured([bytes.subarray(0, cut), bytes.subarray(cut)], { path: join(folder, `${cut}.log`) }),
      ).toEqual([`${AT} stdout F aé→😀z`]);
    const single = [...bytes].map((byte) => Buffer.from([byte]));
    expect(await captured(single)).toEqual([`${AT} stdout F aé→😀z`]);
  });

  test("an incomplete character at the end is replaced", async () => {
    expect(await captured([Buffer.from([0x61, 0xe2, 0x82])])).toEqual([`${AT} stdout F a\ufffd`]);
  });

  test("cut long lines with P, never inside a character, and lose nothing", async () => {
    const limits = { ...LIMITS, maxLineBytes: 100 };
    const long = "aé→😀".repeat(300);
    for (const chunks of [[`${long}\nshort\n`], [long, "\nshort\n"], [...`${long}\nshort\n`]]) {
      const lines = await captured(chunks, { limits, path: join(folder, `${chunks.length}.log`) });
      const prefix = `${AT} stdout P `.length;
      expect(lines.at(-1)).toBe(`${AT} stdout F short`);
      expect(lines.slice(0, -2).every((line) => line.startsWith(`${AT} stdout P `))).toBe(true);
      expect(lines.at(-2)?.startsWith(`${AT} stdout F `)).toBe(true);
      expect(
        lines
          .slice(0, -1)
          .map((line) => line.slice(prefix))
          .join(""),
      ).toBe(long);
      expect(Math.max(...lines.map((line) => Buffer.byteLength(line.slice(prefix))))).toBeLessThanOrEqual(100);
    }
    expect(await captured([`${"x".repeat(100)}\n`], { limits, path: join(folder, "exact.log") })).toEqual([
      `${AT} stdout F ${"x".repeat(100)}`,
    ]);
  });

  test("are redacted before they are cut, over reads and over the cut", async () => {
    const redactor = new Redactor();
    redactor.protect("live-secret-value", "session_token");
    const limits = { ...LIMITS, maxLineBytes: 64 };
    for (const before of [40, 55, 60, 2000]) {
      const lines = await captured([`${"x".repeat(before)}live-sec`, `ret-value${"y".repeat(3000)}\n`], {
        limits,
        redactor,
        path: join(folder, `${before}.log`),
      });
      const joined = lines.map((line) => line.slice(`${AT} stdout P `.length)).join("");
      expect(joined).toBe(`${"x".repeat(before)}[redacted:session_token]${"y".repeat(3000)}`);
    }
  });

  test("are given to onLine as they are stored, and the last 20 lines are kept", async () => {
    const seen: LogRecord[] = [];
    const { stdout, stderr, capture } = start({ onLine: (record) => seen.push(record) });
    stderr.end();
    stdout.end(Array.from({ length: 50 }, (_, index) => `line ${index} password=hunter${index}\n`).join(""));
    await capture.drainAndClose(5_000);
    expect(seen).toHaveLength(50);
    expect(seen[7]).toEqual({ at: AT, stream: "stdout", line: "line 7 password=[redacted:password]" });
    expect(capture.lastLines).toEqual(
      Array.from({ length: 20 }, (_, index) => `line ${index + 30} password=[redacted:password]`),
    );
  });
});

describe("the end", () => {
  test("comes after the last byte of a burst is in the file", async () => {
    const { stdout, stderr, path, capture } = start();
    for (let index = 0; index < 20_000; index += 1) stdout.write(`line ${index}\n`);
    stdout.end("last without end");
    stderr.end();
    await capture.drainAndClose(5000);
    const lines = await linesOf(path);
    expect(lines).toHaveLength(20_001);
    expect(lines.at(-1)).toBe(`${AT} stdout F last without end`);
  });

  test("does not wait for a grandchild that holds the pipe, and takes what is in it", async () => {
    const { stdout, stderr, path, capture } = start();
    stderr.end();
    stdout.write("said before the end\nand a rest");
    await capture.drainAndClose(10_000);
    expect(await linesOf(path)).toEqual([`${AT} stdout F said before the end`, `${AT} stdout F and a rest`]);
    expect(stdout.destroyed).toBe(true);
    capture.note("too late");
    expect(await linesOf(path)).toHaveLength(2);
  });

  test("leaves room for what Core says of a process that closed its output, and for a last word", async () => {
    const { stdout, stderr, path, capture } = start();
    for (const stream of [stdout, stderr]) {
      stream.end();
      stream.resume();
      await once(stream, "close");
    }
    capture.note("it lives on");
    await capture.drainAndClose(5_000, "why it ended");
    await capture.drainAndClose(5_000, "said already");
    expect(await linesOf(path)).toEqual([`${AT} core F it lives on`, `${AT} core F why it ended`]);
  });

  test("comes in bounded time although a grandchild goes on printing", async () => {
    const stdout = new Readable({
      read() {
        setImmediate(() => this.push("again and again\n"));
      },
    });
    const { stderr, capture } = start({ stdout });
    stderr.end();
    await capture.drainAndClose(300);
    expect(stdout.destroyed).toBe(true);
    expect(capture.stats.lines).toBeGreaterThan(0);
  });

  test("comes for streams that failed or had ended before", async () => {
    const broken = new PassThrough();
    const ended = Readable.from([]);
    ended.resume();
    await new Promise((resolve) => ended.on("close", resolve));
    const { capture } = start({ stdout: ended, stderr: broken });
    broken.destroy(new Error("EIO"));
    await capture.drainAndClose(5_000);
    await capture.drainAndClose(10);
    expect(capture.stats.lines).toBe(0);
  });
});

test.each([0, 1, 3, 4])("a limit of %i bytes cuts a line between characters, and ends", async (maxLineBytes) => {
  const lines = await captured(["a€😀é\n"], { limits: { ...LIMITS, maxLineBytes } });
  expect(lines).toEqual([`${AT} stdout P a€`, `${AT} stdout P 😀`, `${AT} stdout F é`]);
});

test("pauses the agent while the file is behind; memory stays flat for endless output without a line end", async () => {
  let pushed = 0;
  let inFlight = 0;
  const block = Buffer.alloc(65_536, "x");
  const stdout = new Readable({
    highWaterMark: 65_536,
    read() {
      pushed += 1;
      this.push(pushed > 640 ? null : block);
    },
  });
  const { stderr, path, capture } = start({ stdout, limits: { ...LIMITS, maxFileBytes: 1 << 20, maxFiles: 3 } });
  stderr.end();
  let pauses = 0;
  stdout.on("pause", () => (pauses += 1));
  stdout.on("data", () => {
    inFlight = Math.max(inFlight, process.memoryUsage().arrayBuffers);
  });
  await capture.drainAndClose(5_000);
  expect(capture.stats.bytes).toBe(640 * 65_536);
  expect(inFlight).toBeLessThan(200 << 20);
  expect(pauses).toBeGreaterThan(0);
  expect((await readdir(join(folder, "agent"))).toSorted()).toEqual(["run.log", "run.log.1", "run.log.2"]);
  for (const name of await readdir(join(folder, "agent")))
    expect((await stat(join(folder, "agent", name))).size).toBeLessThanOrEqual(1 << 20);
  expect((await stat(path)).size).toBeGreaterThan(0);
});

test("rotates at whole records and keeps so many files in all", async () => {
  const limits = { maxLineBytes: 8192, maxFileBytes: 1000, maxFiles: 4 };
  await captured([Array.from({ length: 200 }, (_, index) => `line ${index}\n`).join("")], { limits });
  const names = (await readdir(join(folder, "agent"))).toSorted();
  expect(names).toEqual(["run.log", "run.log.1", "run.log.2", "run.log.3"]);
  const lines: string[] = [];
  for (const name of names.toReversed()) {
    const file = join(folder, "agent", name);
    expect((await stat(file)).size).toBeLessThanOrEqual(1000);
    lines.push(...(await linesOf(file)));
  }
  expect(lines.at(-1)).toBe(`${AT} stdout F line 199`);
  const numbers = lines.map((line) => Number(line.split(" ").at(-1)));
  expect(numbers).toEqual(numbers.map((_, index) => 200 - numbers.length + index));
});

test("with one file begins again at the cap", async () => {
  const limits = { maxLineBytes: 8192, maxFileBytes: 1000, maxFiles: 1 };
  const lines = await captured(["x\n".repeat(500)], { limits });
  expect(await readdir(join(folder, "agent"))).toEqual(["run.log"]);
  expect(lines.length).toBeLessThan(30);
});

describe("trouble with the file", () => {
  /** Collects states; `next` waits for the state after the ones seen. */
  function watchStates(): {
    states: LogFileState[];
    onDegraded: (state: LogFileState) => void;
    until: (degraded: boolean) => Promise<void>;
  } {
    const states: LogFileState[] = [];
    let wake: () => void = () => {};
    return {
      states,
      onDegraded: (state) => {
        states.push(state);
        wake();
      },
      until: async (degraded) => {
        while (states.at(-1)?.degraded !== degraded) await new Promise<void>((resolve) => (wake = resolve));
      },
    };
  }

  test("a folder at the path: lines are dropped and counted, the agent runs on, the state heals by itself", async () => {
    const path = join(folder, "agent", "run.log");
    await mkdir(path, { recursive: true });
    const watched = watchStates();
    const { stdout, stderr, capture } = start({ path, onDegraded: watched.onDegraded });
    stderr.end();
    stdout.write("lost 1\nlost 2\n");
    await watched.until(true);
    expect(watched.states[0]).toEqual({ degraded: true, droppedLines: 2, reason: "EISDIR" });
    await rm(path, { recursive: true });
    await watched.until(false);
    stdout.end("kept\n");
    await capture.drainAndClose(5_000);
    expect(await linesOf(path)).toEqual([
      `${AT} core F log capture works again; 2 lines were dropped: EISDIR`,
      `${AT} stdout F kept`,
    ]);
    expect(capture.stats).toEqual({ lines: 3, bytes: 19, droppedLines: 2 });
  });

  test("a folder that stays in the way: the end still comes", async () => {
    const path = join(folder, "agent", "run.log");
    await mkdir(path, { recursive: true });
    const { stdout, stderr, capture } = start({ path });
    stderr.end();
    stdout.end("lost\n".repeat(1000));
    await capture.drainAndClose(5_000);
    expect(capture.stats.droppedLines).toBe(1000);
  });

  test("a removed folder: the file is made again and what was being written is not lost", async () => {
    const watched = watchStates();
    const { stdout, stderr, path, capture } = start({ onDegraded: watched.onDegraded });
    stderr.end();
    stdout.write("before\n");
    while ((await readFile(path, "utf8").catch(() => "")) === "") await new Promise((resolve) => setImmediate(resolve));
    await rm(join(folder, "agent"), { recursive: true });
    stdout.write("after\n");
    await watched.until(false);
    stdout.end();
    await capture.drainAndClose(5_000);
    expect(watched.states.map((state) => state.degraded)).toEqual([true, false]);
    expect(await linesOf(path)).toContain(`${AT} stdout F after`);
    expect(capture.stats.droppedLines).toBe(0);
  });

  test("does not write through a symbolic link", async () => {
    const target = join(folder, "target");
    await writeFile(target, "untouched");
    const path = join(folder, "run.log");
    await symlink(target, path);
    const { stdout, stderr, capture } = start({ path });
    stderr.end();
    stdout.end("x\n");
    await capture.drainAndClose(5_000);
    expect(await readFile(target, "utf8")).toBe("untouched");
    expect(capture.stats.droppedLines).toBe(1);
  });

  test("a record that was torn by a crash does not swallow the next", async () => {
    const path = join(folder, "run.log");
    await writeFile(path, `${AT} stdout F to`);
    expect(await captured(["next\n"], { path })).toEqual([`${AT} stdout F to`, `${AT} stdout F next`]);
  });
});
