import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Manifest } from "@opensentience/protocol";
import { afterAll, expect, test } from "vitest";
import { planBuild } from "./plan.ts";

const source = mkdtempSync(join(tmpdir(), "os-plan-"));
const list = join(source, "requirements.txt");
afterAll(() => rmSync(source, { recursive: true }));

async function programs(): Promise<string[]> {
  const steps = await planBuild(source, {} as Manifest, { fetch: "public_hosts", compile: "none" });
  return steps.map(({ argv }) => argv[0] ?? "");
}

test("a list of requirements without a requirement needs no step", async () => {
  writeFileSync(list, "# nothing\n\n");
  expect(await programs()).toEqual([]);
});

test("a list of requirements without an end is a plan like any other", async () => {
  writeFileSync(list, "\n");
  // More than one text can hold in memory, and no block of a disk.
  truncateSync(list, 2 ** 30);
  expect(await programs()).toEqual(["python3", ".venv/bin/pip"]);
});
