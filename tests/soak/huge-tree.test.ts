/**
 * A tree made to choke a scan, through the command line: enormous folders, more and larger manifests than anybody has, a
 * bottomless chain, names no screen should see, and folders that change into links under the scan. Core stays small and
 * keeps answering, and a report that was cut short says so and where.
 */
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ScanReportJson } from "@opensentience/protocol";
import { ControlClient } from "../../packages/core/src/cli/control-client.ts";
import { pathsOf } from "../../packages/core/src/host/paths.ts";
import { type CoreHome, newHome } from "../support/core-home.ts";
import { found, times } from "../support/counts.ts";

const MEBI = 2 ** 20;
const MAX_RISE = 64 * MEBI;
/** Far above what a busy machine needs for one answer, far below what listing a huge folder in one go takes. */
const MAX_ANSWER_MS = 3_000;
const SCAN_TIMEOUT_MS = 120_000;
const MANIFEST = "opensentience.agent.json";

let home: CoreHome;
beforeEach(async () => {
  home = await newHome({ settings: { scan_interval_ms: 0 } });
});
afterEach(() => home.dispose(), 600_000);

function plantAgent(folder: string, id: string, description = "Found or not found"): string {
  const path = join(home.projects, folder);
  mkdirSync(path, { recursive: true });
  const text = JSON.stringify({
    id,
    name: id,
    version: "1.0.0",
    description,
    source: { git_url: "https://example.com/agent.git" },
    entrypoint: { type: "command", value: "./run" },
    permissions: [],
    capabilities: [],
  });
  writeFileSync(join(path, MANIFEST), text);
  return path;
}

/** `count` files, or folders, in one folder. */
function fill(folder: string, count: number, kind: "files" | "folders"): void {
  const path = join(home.projects, folder);
  mkdirSync(path, { recursive: true });
  for (let index = 0; index < count; index++) {
    if (kind === "folders") mkdirSync(join(path, `folder-${index}`));
    else closeSync(openSync(join(path, `file-number-${index}`), "w"));
  }
}

const scan = (): Promise<ScanReportJson> =>
  home.json<ScanReportJson>(["agents", "scan"], { timeoutMs: SCAN_TIMEOUT_MS });

type Watched = { report: ScanReportJson; riseBytes: number; slowestMs: number; answers: number };

/** Scans while somebody else asks Core for its status, one request after the other. */
async function scanWatched(): Promise<Watched> {
  const pid = await home.corePid();
  const uid = process.geteuid?.() ?? 0;
  const signal = new AbortController().signal;
  const client = new ControlClient({ paths: await pathsOf(home.folder, undefined, uid), uid, signal });
  // Makes the kernel forget the highest use so far.
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
  const before = memoryOf(pid, "VmRSS");
  let report: ScanReportJson | undefined;
  const scanning = scan().then((one) => (report = one));
  const watched = { slowestMs: 0, answers: 0 };
  do {
    const started = performance.now();
    await client.call("get_status");
    watched.slowestMs = Math.max(watched.slowestMs, performance.now() - started);
    watched.answers++;
  } while (report === undefined && (await Promise.race([scanning, nextTurn()])) === undefined);
  return { report: await scanning, riseBytes: memoryOf(pid, "VmHWM") - before, ...watched };
}

function nextTurn(): Promise<undefined> {
  return new Promise((resolve) => setImmediate(() => resolve(undefined)));
}

function memoryOf(pid: number, field: "VmRSS" | "VmHWM"): number {
  const kibi = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  if (kibi === undefined) throw new Error(`no ${field} of ${pid}`);
  return Number(kibi) * 1024;
}

function expectCalm(what: string, { report, riseBytes, slowestMs, answers }: Watched): void {
  const rise = `${(riseBytes / MEBI).toFixed(0)} MiB`;
  found(
    what,
    `${report.duration_ms} ms, Core at most ${rise} larger, slowest of ${answers} other answers ${slowestMs.toFixed(0)} ms`,
  );
  expect(riseBytes, `Core grew by ${rise}`).toBeLessThan(MAX_RISE);
  expect(slowestMs).toBeLessThan(MAX_ANSWER_MS);
}

test("a huge tree is scanned whole, in bounded memory, while Core answers others", async () => {
  const entries = times({ suite: 20_000, soak: 1_000_000 });
  fill("flat", entries / 2, "files");
  fill("wide", entries / 10, "folders");
  for (let index = 0; index < 10; index++) fill(`spread/${index}/inner`, entries / 100, "folders");
  fill("crowded", (entries * 3) / 10, "files");
  const agents = ["flat/zz", "wide/zz", "spread/5/inner/zz", "crowded"];
  for (const [index, folder] of agents.entries()) plantAgent(folder, `org.example.huge-${index}`);
  await home.json(["core", "start"]);
  for (const what of ["first scan", "rescan"]) {
    const watched = await scanWatched();
    expect(watched.report).toMatchObject({ found: agents.length, rejected: [], missing: 0 });
    expectCalm(`${what} of a tree of ${entries} entries`, watched);
  }
  rmSync(join(home.projects, "wide/zz"), { recursive: true });
  plantAgent("wide/folder-7/new", "org.example.huge-new");
  expect(await scan()).toMatchObject({ found: agents.length, new: 1, missing: 1 });
}, 3_600_000);

test("more manifests than anybody has are cut short with a word where, and nothing is called missing", async () => {
  await home.json(["core", "start"]);
  plantAgent("kept", "org.example.kept");
  expect(await scan()).toMatchObject({ found: 1, new: 1 });
  for (let index = 0; index < 5_100; index++) plantAgent(`many/${index}`, `org.example.many-${index}`);
  const many = await scanWatched();
  expect(many.report.found).toBe(5_000);
  expect(many.report.rejected).toMatchObject([{ code: "discovery.limit_reached" }]);
  expect(many.report.rejected[0]?.path).toMatch(`${home.projects}/`);
  expect(many.report.missing).toBe(0);
  expectCalm("scan that meets 5 100 agents", many);
});

test("manifests that are too much together are cut short with a word where", async () => {
  await home.json(["core", "start"]);
  const permissions = Array.from({ length: 480 }, (_, index) => `filesystem:read:/${index}/${"x".repeat(270)}`);
  for (let index = 0; index < 150; index++) {
    const path = plantAgent(`large-${index}`, `org.example.large-${index}`);
    const manifest = JSON.parse(readFileSync(join(path, MANIFEST), "utf8")) as object;
    writeFileSync(join(path, MANIFEST), JSON.stringify({ ...manifest, permissions }));
  }
  const large = await scanWatched();
  expect(large.report.rejected).toMatchObject([{ code: "discovery.limit_reached" }]);
  expect(large.report.rejected[0]?.path).toMatch(`${home.projects}/large-`);
  expect(large.report.found).toBeGreaterThan(100);
  expect(large.report.found).toBeLessThan(150);
  expectCalm("scan that meets 150 manifests of 140 kB", large);
});

test("names no screen should see, a bottomless chain and loops of links leave the report whole and legible", async () => {
  const hostile = ["line\nbreak", "\u001b[2Jclear", "\u202egnp.exe", "n".repeat(255), " ", "$(touch ran)"];
  for (const [index, name] of hostile.entries()) plantAgent(join("names", name), `org.example.name-${index}`);
  mkdirSync(Buffer.concat([Buffer.from(`${home.projects}/bad-`), Buffer.of(0xff, 0x0a)]));
  plantAgent(Array.from({ length: 40 }, () => "deep").join("/"), "org.example.bottom");
  mkdirSync(join(home.projects, "loops"));
  for (const [from, to] of [
    ["self", "self"],
    ["up", "../.."],
    ["a", "b"],
    ["b", "a"],
    ["all", "/"],
  ] as const)
    symlinkSync(to, join(home.projects, "loops", from));
  await home.json(["core", "start"]);
  const report = await scan();
  expect(report.found).toBe(hostile.length);
  expect(report.rejected.map(({ code }) => code).sort()).toEqual(["discovery.limit_reached", "discovery.unreadable"]);
  const cut = report.rejected.find(({ code }) => code === "discovery.limit_reached");
  expect(cut?.path).toBe(join(home.projects, ...Array.from({ length: 25 }, () => "deep")));
  const shown = await home.cli(["agents", "scan"]);
  expect(shown.code).toBe(0);
  expect(shown.stdout + shown.stderr).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u202e]/);
  expect(shown.stdout).toMatch(/levels below their root/);
});

test("folders that turn into links to elsewhere and back, again and again, bring nothing from there", async () => {
  const outside = join(home.operatorHome, "outside");
  plantAgent("steady", "org.example.steady");
  plantAgent("turning/agent", "org.example.turning");
  mkdirSync(join(outside, "secret"), { recursive: true });
  writeFileSync(
    join(outside, "secret", MANIFEST),
    readFileSync(join(home.projects, "steady", MANIFEST), "utf8").replaceAll("steady", "secret"),
  );
  await home.json(["core", "start"]);
  const turning = join(home.projects, "turning");
  let isOver = false;
  let turns = 0;
  const turnForEver = (): void => {
    renameSync(turning, `${turning}.away`);
    symlinkSync(outside, turning);
    rmSync(turning);
    renameSync(`${turning}.away`, turning);
    turns++;
    if (!isOver) setImmediate(turnForEver);
  };
  turnForEver();
  for (let count = 0; count < times({ suite: 5, soak: 200 }); count++) {
    const { rejected } = await scan();
    for (const { path } of rejected) expect(path).toMatch(`${home.projects}/`);
  }
  isOver = true;
  expect(turns).toBeGreaterThan(100);
  await new Promise((resolve) => setImmediate(resolve));
  expect(await scan()).toMatchObject({ found: 2, rejected: [] });
  const { items } = await home.json<{ items: { agent_id: string; missing_since: string | null }[] }>([
    "agents",
    "list",
  ]);
  expect(items.map((agent) => agent.agent_id).sort()).toEqual(["org.example.steady", "org.example.turning"]);
});
