import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { MANIFEST_NAME } from "../manifest/manifest.ts";
import { ManifestWatch } from "./watch.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "watch-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test("a manifest that never rests is told at most once a second, and a last time when it rests", async () => {
  const path = join(folder, MANIFEST_NAME);
  writeFileSync(path, "0");
  const toldMs: number[] = [];
  let writes = 0;
  const { promise: isOver, resolve } = Promise.withResolvers<void>();
  const watch = new ManifestWatch(() => {
    toldMs.push(performance.now());
    if (toldMs.length === 3) clearInterval(writer);
    if (toldMs.length === 4) resolve();
  });
  watch.watch([folder]);
  // More often than things are quiet.
  const writer = setInterval(() => {
    writes += 1;
    writeFileSync(path, String(writes));
  }, 20);
  // One change more, right after the third telling, is the last to be told.
  const last = setInterval(() => {
    if (toldMs.length < 3) return;
    clearInterval(last);
    writeFileSync(path, "last");
  }, 20);
  await isOver;
  watch.close();
  const pauses = toldMs.slice(1).map((atMs, index) => atMs - (toldMs[index] ?? 0));
  expect(Math.min(...pauses)).toBeGreaterThan(990);
  expect(writes).toBeGreaterThan(5);
});
