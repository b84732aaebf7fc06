import { once } from "node:events";
import { closeSync, mkdtempSync, readdirSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { openPipes } from "./pipe.ts";
import { pollUntil } from "./process-tree.ts";

const folder = mkdtempSync(join(tmpdir(), "os-pipe-"));
const SOON = { everyMs: 2, timeoutMs: 5_000 };
afterAll(() => rmSync(folder, { recursive: true }));

const descriptors = (): number => readdirSync("/proc/self/fd").length;

test("carries bytes, ends when the last writer is gone, and leaves no file", async () => {
  const before = descriptors();
  const pipes = await openPipes(folder, 3);
  expect(pipes.length).toBe(3);
  expect(readdirSync(folder)).toEqual([]);
  for (const [index, pipe] of pipes.entries()) {
    writeSync(pipe.writeFd, `bytes ${index}`);
    closeSync(pipe.writeFd);
    let text = "";
    pipe.readEnd.on("data", (chunk: Buffer) => (text += chunk.toString()));
    await once(pipe.readEnd, "close");
    expect(text).toBe(`bytes ${index}`);
  }
  await pollUntil(() => descriptors() <= before, SOON);
  expect(descriptors()).toBeLessThanOrEqual(before);
});

test("a folder that does not exist is an error that leaves no descriptor", async () => {
  const before = descriptors();
  await expect(openPipes(join(folder, "gone"), 2)).rejects.toMatchObject({ code: "launcher.start_failed" });
  await pollUntil(() => descriptors() <= before, SOON);
  expect(descriptors()).toBeLessThanOrEqual(before);
});
