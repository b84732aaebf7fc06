import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { pathsOf, type Paths } from "../host/paths.ts";
import { Interrupted } from "./interrupted.ts";
import { startCore } from "./start-core.ts";

let folder: string;
let paths: Paths;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "cli-start-"));
  paths = await pathsOf(join(folder, "home"), undefined, process.geteuid?.() ?? 0);
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Starts a program that stands in for Core: `script` sees `report(line)` and the folder of the test. */
async function start(script: string, rest: Partial<Parameters<typeof startCore>[0]> = {}): Promise<void> {
  const binary = join(folder, "core.mjs");
  const head = `import fs from "node:fs"; const folder = ${JSON.stringify(folder)}; const report = (line) => fs.writeSync(3, line + "\\n");\n`;
  writeFileSync(binary, head + script);
  const signal = new AbortController().signal;
  await startCore({ paths, binary, settings: [], signal, isAnswering: () => Promise.resolve(false), ...rest });
}

test("starts the same program with the same home, its output in a private log", async () => {
  await start(
    'fs.writeFileSync(folder + "/argv", process.argv.slice(2).join("\\n")); console.log("hello"); report(\'{"ready":true}\');',
    { settings: ["a=b"] },
  );
  expect(readFileSync(join(folder, "argv"), "utf8").split("\n")).toEqual([
    "serve",
    "--background",
    "--home",
    paths.home,
    "--set",
    "a=b",
  ]);
  expect(readFileSync(paths.coreLog, "utf8")).toContain("hello");
  expect(statSync(paths.coreLog).mode & 0o777).toBe(0o600);
  expect(statSync(paths.home).mode & 0o777).toBe(0o700);
});

test("eight first commands at once all succeed, with one Core", async () => {
  mkdirSync(join(folder, "starts"));
  const script = `
    fs.writeFileSync(folder + "/starts/" + process.pid, "");
    try { fs.mkdirSync(folder + "/lock"); } catch { report('{"held":true}'); process.exit(6); }
    fs.writeFileSync(folder + "/answers", ""); report('{"ready":true}');`;
  const isAnswering = (): Promise<boolean> => Promise.resolve(existsSync(join(folder, "answers")));
  await Promise.all(Array.from({ length: 8 }, () => start(script, { isAnswering })));
  expect(readdirSync(join(folder, "starts"))).toHaveLength(8);
});

test("passes on what kept Core from starting", async () => {
  await expect(
    start(`report('{"error":{"code":"config.invalid","message":"bad key","details":{},"next_step":"mend it"}}');`),
  ).rejects.toMatchObject({
    code: "config.invalid",
    message: "bad key",
    nextStep: "mend it",
  });
  await expect(start("process.exit(1);")).rejects.toMatchObject({
    code: "core.start_failed",
    details: { log_path: paths.coreLog },
  });
});

test("a home that cannot be written is a failed start", async () => {
  writeFileSync(paths.home, "a file");
  await expect(start("")).rejects.toMatchObject({
    code: expect.stringMatching(/^core\.(start_failed|unsafe_socket|unsafe_folder)$/),
  });
});

test("Ctrl-C ends the wait, for the report and for a held lock", async () => {
  const interrupt = new AbortController();
  const silent = start("setInterval(() => { if (!fs.existsSync(folder)) process.exit(); }, 20);", {
    signal: interrupt.signal,
  });
  interrupt.abort();
  await expect(silent).rejects.toBeInstanceOf(Interrupted);
  const other = new AbortController();
  const isAnswering = (): Promise<boolean> => {
    other.abort();
    return Promise.resolve(false);
  };
  await expect(start(`report('{"held":true}');`, { signal: other.signal, isAnswering })).rejects.toBeInstanceOf(
    Interrupted,
  );
});
