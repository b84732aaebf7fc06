import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { diskBytes } from "./usage-watch.ts";
import { diskOver, limitNotes, limitsHeld, limitsOf, memoryOver } from "./run-limits.ts";

const NONE = { memoryBytes: 0, diskBytes: 0, processes: 0 };
const MIB = 2 ** 20;

test("the manifest asks and the operator's settings are the most", () => {
  const asked = { memory: { limit: "256Mi" }, disk: { limit: "1.5G" } };
  expect(limitsOf(asked, NONE)).toEqual({ memoryBytes: 256 * MIB, diskBytes: 1.5e9 });
  expect(limitsOf(asked, { ...NONE, memoryBytes: 64 * MIB, diskBytes: 2e9 })).toEqual({
    memoryBytes: 64 * MIB,
    diskBytes: 1.5e9,
  });
  expect(limitsOf(undefined, { ...NONE, memoryBytes: 64 * MIB })).toEqual({ memoryBytes: 64 * MIB });
  expect(limitsOf({ memory: { limit: "1k" }, disk: { limit: "10" } }, NONE)).toEqual({
    memoryBytes: 16 * MIB,
    diskBytes: 10,
  });
  expect(limitsOf(undefined, NONE)).toEqual({});
  expect(limitsOf({ cpu: { limit: "200m" } }, { ...NONE, processes: 9 })).toEqual({ cpuMillis: 200, processes: 9 });
  expect(limitsOf({ cpu: { limit: 1.5 } }, NONE)).toEqual({ cpuMillis: 1_500 });
});

test("why a run was ended says by how much it was over, where both sizes read the same", () => {
  expect(diskOver(4 * MIB + 12, 4 * MIB, "/d")).toBe(
    "its data folder held 4 MiB and 12 bytes when Core looked; its limit is 4 MiB; empty /d by hand",
  );
  expect(diskOver(4 * MIB + 20_000, 4 * MIB, "/d")).toContain("held 4 MiB and 20 KiB when");
  expect(diskOver(5 * MIB, 4 * MIB, "/d")).toContain("held 5 MiB when");
  expect(diskOver(Number.MAX_SAFE_INTEGER, 4 * MIB, "/d")).toContain("held too many files when");
  expect(memoryOver(64 * MIB + 1, 64 * MIB)).toContain("had grown to 64 MiB and 1 byte when");
});

test("a limit is called what it is", () => {
  const limits = { memoryBytes: 64 * MIB, diskBytes: 10, cpuMillis: 200, processes: 9 };
  const resources = { cpu: { limit: "200m" } };
  expect(limitsHeld(resources, limits)).toEqual({
    "memory:67108864": "brokered",
    "disk:10": "brokered",
    "cpu:200m": "advisory",
    "processes:9": "advisory",
  });
  expect(limitsHeld(resources, limits, { memory: true, pids: true, cpu: "why not" })).toEqual({
    "memory:67108864": "enforced",
    "disk:10": "brokered",
    "cpu:200m": "advisory",
    "processes:9": "enforced",
  });
  expect(limitsHeld(undefined, {})).toEqual({});
});

test("an end says which limit there was", () => {
  const limits = { memoryBytes: 64 * MIB, diskBytes: 2 * MIB };
  const limitNote = (...said: Parameters<typeof limitNotes>): string => limitNotes(...said).note;
  expect(limitNote({ exitCode: null, signal: "SIGXFSZ" }, limits)).toBe(" (a file grew over the limit of 2 MiB)");
  expect(limitNote({ exitCode: null, signal: "SIGABRT" }, limits)).toContain("limited to 64 MiB");
  expect(limitNote({ exitCode: 2, signal: null, limitsHit: ["pids"] }, { processes: 9 })).toBe(
    " (it wanted more than the 9 processes it may have)",
  );
  expect(limitNote({ exitCode: null, signal: "SIGKILL", limitsHit: ["memory"] }, limits)).toBe(
    " (the kernel ended what was over its limit of memory, 64 MiB)",
  );
  expect(limitNotes({ exitCode: 0, signal: null, limitsHit: ["pids", "memory"] }, { ...limits, processes: 9 })).toEqual(
    {
      note: expect.stringMatching(/^ \(it wanted more than the 9 .*, the kernel ended .*, 64 MiB\)$/),
      cause: expect.stringMatching(/^it wanted .* 64 MiB$/),
    },
  );
  expect(limitNotes({ exitCode: 1, signal: null }, limits).cause).toBeUndefined();
  expect(limitNote({ exitCode: 2, signal: null }, { processes: 9 })).toBe("");
  expect(limitNote({ exitCode: 2, signal: null }, { ...limits, processes: 9 }, true)).toBe(
    " (its memory was limited to 64 MiB, its processes and threads were limited to 9)",
  );
  expect(limitNote({ exitCode: 0, signal: null }, limits)).toBe("");
  expect(limitNote({ exitCode: 1, signal: null }, {})).toBe("");
});

test("what a folder takes is counted in blocks, without following links", async () => {
  const folder = mkdtempSync(join(tmpdir(), "os-disk-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, "a/b"), { recursive: true });
  writeFileSync(join(folder, "a/b/f"), Buffer.alloc(MIB, 1));
  symlinkSync("/usr", join(folder, "a/link"));
  const bytes = await diskBytes(folder, 100 * MIB);
  expect(bytes).toBeGreaterThanOrEqual(MIB);
  expect(bytes).toBeLessThan(1.2 * MIB);
  expect(await diskBytes(folder, 10)).toBeGreaterThan(10);
});
