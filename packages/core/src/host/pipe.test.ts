import { once } from "node:events";
import { closeSync, mkdtempSync, readdirSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { openPipes, type OpenPipe } from "./pipe.ts";
import { pollUntil } from "./process-tree.ts";

const folder = mkdtempSync(join(tmpdir(), "os-pipe-"));
const SOON = { everyMs: 2, timeoutMs: 5_000 };
afterAll(() => rmSync(folder, { recursive: true }));

const descriptors = (): number => readdirSync("/proc/self/fd").length;

async function carries(pipe: OpenPipe, bytes: string): Promise<void> {
  writeSync(pipe.writeFd, bytes);
  closeSync(pipe.writeFd);
  let text = "";
  pipe.readEnd.on("data", (chunk: Buffer) => (text += chunk.toString()));
  await once(pipe.readEnd, "close");
  expect(text).toBe(bytes);
}

test("carries bytes, ends when the last writer is gone, and leaves no file and no descriptor of its own", async () => {
  const [first] = await openPipes(folder, 1);
  expect(readdirSync(folder)).toEqual([]);
  await carries(first as OpenPipe, "the first");
  const before = descriptors();
  const pipes = await openPipes(folder, 3);
  expect(pipes.length).toBe(3);
  for (const [index, pipe] of pipes.entries()) await carries(pipe, `bytes ${index}`);
  // They were open already, made ahead with the first.
  await pollUntil(() => descriptors() === before - 6, SOON);
  expect(descriptors()).toBe(before - 6);
});

test("an unbroken pipe takes a writer's word although nobody else reads it any more", async () => {
  const [broken, unbroken] = await openPipes(folder, 2, 1);
  for (const pipe of [broken, unbroken]) {
    pipe?.readEnd.destroy();
    await once(pipe!.readEnd, "close");
  }
  expect(() => writeSync(broken!.writeFd, "lost")).toThrow("EPIPE");
  expect(writeSync(unbroken!.writeFd, "kept")).toBe(4);
  for (const pipe of [broken, unbroken]) closeSync(pipe!.writeFd);
});

test("asked for at once, each pipe is handed out once, and few are made ahead", async () => {
  const before = descriptors();
  const all = (await Promise.all(Array.from({ length: 40 }, () => openPipes(folder, 2)))).flat();
  expect(readdirSync(folder)).toEqual([]);
  await Promise.all(all.map((pipe, index) => carries(pipe, `bytes ${index}`)));
  await pollUntil(() => descriptors() < before + 48, SOON);
  expect(descriptors()).toBeLessThan(before + 48);
});

test("a folder that does not exist is an error that leaves no descriptor, and holds nobody else up", async () => {
  const before = descriptors();
  const [refused, made] = await Promise.allSettled([openPipes(join(folder, "gone"), 100), openPipes(folder, 100)]);
  expect(refused).toMatchObject({ status: "rejected", reason: { code: "launcher.start_failed" } });
  expect(made.status).toBe("fulfilled");
  for (const pipe of made.status === "fulfilled" ? made.value : []) await carries(pipe, "x");
  await pollUntil(() => descriptors() <= before, SOON);
  expect(descriptors()).toBeLessThanOrEqual(before);
});
