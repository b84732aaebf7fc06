/** Manifests that mean harm: the reader refuses or reads them, quickly, the way every other JSON parser would. */
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CoreError, parseManifest, type ScanReportJson } from "@opensentience/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { hashPermissions, type ManifestFile, readManifest } from "../../packages/core/src/manifest/manifest.ts";
import { newHome } from "../support/core-home.ts";
import { found, randomNumbers, seed, times } from "../support/counts.ts";
import { hostileManifest, VALID } from "../support/hostile-manifests.ts";
import { MANIFEST } from "../support/small-agent.ts";

const COUNT = times({ suite: 5_000, soak: 200_000 });
const SCANNED = 200;
const MAX_MS = 50;
const MAX_SCAN_MS = 2_000;
/** Three named problems, each with a field, a sentence and at most 80 characters of what was refused. */
const MAX_MESSAGE = 1_500;
const MAX_PROBLEMS = 101;
/** What no reader can see, or what acts on a terminal. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;
/** What is refused although JSON.parse would take it. */
const STRICTER = /byte order mark|this key is not allowed|appears twice|nesting deeper|too large|half a surrogate/;

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "fuzz-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function read(bytes: Uint8Array): Promise<ManifestFile | CoreError> {
  writeFileSync(join(folder, MANIFEST), bytes);
  try {
    return await readManifest(folder);
  } catch (error) {
    if (error instanceof CoreError) return error;
    throw error;
  }
}

function parsedByOthers(bytes: Uint8Array): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)) };
  } catch {
    return undefined;
  }
}

function expectAccepted(bytes: Uint8Array, file: ManifestFile): void {
  const others = parsedByOthers(bytes);
  if (others === undefined) throw new Error("read what JSON.parse refuses");
  const { ok, ...rest } = parseManifest(others.value);
  expect([ok, rest]).toEqual([true, { manifest: file.manifest, unknownFields: file.unknownFields }]);
  expect(file.manifestHash).toBe(createHash("sha256").update(bytes).digest("hex"));
  expect(file.requestedPermissionsHash).toBe(hashPermissions(file.manifest.permissions));
  expect(Object.getPrototypeOf(file.manifest)).toBe(Object.prototype);
  expect(file.manifest.id).toMatch(/^[a-z0-9._-]+$/);
  const shown = [file.manifest.name, file.manifest.version, file.manifest.description, ...file.manifest.permissions];
  expect(shown.filter((text) => UNSEEN.test(text))).toEqual([]);
}

function expectRefused(bytes: Uint8Array, error: CoreError): void {
  const { code, message, details, nextStep } = error;
  const problems = (details["problems"] ?? []) as { path: string; message: string }[];
  expect(code).toMatch(/^manifest\.(invalid|invalid_json|invalid_encoding|too_large)$/);
  expect(nextStep).toBeTruthy();
  expect(message.length).toBeLessThanOrEqual(MAX_MESSAGE);
  expect(problems.length).toBeLessThanOrEqual(MAX_PROBLEMS);
  expect([message, ...problems.flatMap((one) => [one.path, one.message])].filter((text) => UNSEEN.test(text))).toEqual(
    [],
  );
  const others = parsedByOthers(bytes);
  if (code === "manifest.invalid") expect(parseManifest(others?.value)).toEqual({ ok: false, problems });
  if (code === "manifest.invalid_json" && others !== undefined) {
    const isObject = typeof others.value === "object" && others.value !== null && !Array.isArray(others.value);
    expect(message).toMatch(isObject ? STRICTER : /must be one JSON object|line \d+/);
  }
}

/** How long it takes when nothing else gets in between: other programs can only add. */
async function quickestMs(bytes: Uint8Array): Promise<number> {
  let quickest = Infinity;
  for (let turn = 0; turn < 20 && quickest >= MAX_MS; turn += 1) {
    const startedAt = performance.now();
    await read(bytes);
    quickest = Math.min(quickest, performance.now() - startedAt);
  }
  return quickest;
}

const prototypes = (): string[] =>
  [Object.prototype, Array.prototype, String.prototype, Function.prototype].flatMap((one) =>
    Object.getOwnPropertyNames(one),
  );

test("the manifests that are broken are good ones", async () => {
  for (const text of VALID) expectAccepted(Buffer.from(text), (await read(Buffer.from(text))) as ManifestFile);
});

test(`${COUNT} hostile manifests are each read as JSON.parse reads them, or refused in words that are safe to show`, async () => {
  const random = randomNumbers();
  const clean = prototypes();
  const outcomes = new Map<string, number>();
  let slowestMs = 0;
  for (let index = 0; index < COUNT; index += 1) {
    const bytes = hostileManifest(random);
    const startedAt = performance.now();
    try {
      const outcome = await read(bytes);
      let tookMs = performance.now() - startedAt;
      if (tookMs > MAX_MS) tookMs = await quickestMs(bytes);
      slowestMs = Math.max(slowestMs, tookMs);
      expect(tookMs).toBeLessThan(MAX_MS);
      if (outcome instanceof CoreError) expectRefused(bytes, outcome);
      else expectAccepted(bytes, outcome);
      const what = outcome instanceof CoreError ? outcome.code : "accepted";
      outcomes.set(what, (outcomes.get(what) ?? 0) + 1);
      if (prototypes().length !== clean.length) throw new Error("a prototype has a property more");
    } catch (cause) {
      throw new Error(`seed ${seed}, manifest ${index}: ${bytes.toString("base64").slice(0, 4_000)}`, { cause });
    }
  }
  expect(prototypes()).toEqual(clean);
  // It must have seen all sides.
  for (const what of ["accepted", "manifest.invalid", "manifest.invalid_json", "manifest.invalid_encoding"])
    expect(outcomes.get(what) ?? 0, what).toBeGreaterThan(COUNT / 200);
  const counts = [...outcomes].map(([what, count]) => `${count} ${what}`).join(", ");
  found(`${COUNT} hostile manifests read`, `${counts}; the slowest ${slowestMs.toFixed(1)} ms; no other fault`);
});

test(`a scan root with ${SCANNED} hostile manifests has one entry for each in the report`, async () => {
  const home = await newHome();
  await home.json(["core", "start"]);
  const random = randomNumbers(seed + 1);
  const expected = new Map<string, string>();
  while (expected.size < SCANNED) {
    const bytes = hostileManifest(random);
    const outcome = await read(bytes);
    if (!(outcome instanceof CoreError)) continue;
    const agent = join(home.projects, `agent-${expected.size}`);
    mkdirSync(agent);
    writeFileSync(join(agent, MANIFEST), bytes);
    expected.set(agent, outcome.code);
  }
  const report = await home.json<ScanReportJson>(["agents", "scan"]);
  expect(report).toMatchObject({ found: 0, new: 0, duplicates: [] });
  expect(report.rejected).toHaveLength(SCANNED);
  expect(new Map(report.rejected.map(({ path, code }) => [path, code]))).toEqual(expected);
  expect(report.rejected.filter(({ message }) => UNSEEN.test(message) || /\n\s+at /.test(message))).toEqual([]);
  expect(report.duration_ms).toBeLessThan(MAX_SCAN_MS);
  const { stdout, stderr } = await home.cli(["agents", "scan"]);
  expect(`${stdout}${stderr}`.replaceAll("\n", " ")).not.toMatch(UNSEEN);
  expect(`${stdout}${stderr}${home.coreLog()}`).not.toMatch(/^\s+at .*[:(]\d+/m);
  expect((await home.json<{ items: unknown[] }>(["agents", "list"])).items).toEqual([]);
  found(`${SCANNED} hostile manifests in one scan`, `one entry each, ${report.duration_ms.toFixed(0)} ms`);
  await home.dispose();
});
