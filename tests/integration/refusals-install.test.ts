/** What Core refuses to fetch, to take for an agent, and to build. */
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AgentDetailJson, ErrorCode, ScanReportJson } from "@opensentience/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { type CoreHome, type Files, gitRepository, newHome, writeFiles } from "../support/core-home.ts";
import { denials, refuse } from "../support/refuse.ts";
import { MANIFEST, manifestOf, manifestText, smallAgent, smallAgentAt } from "../support/small-agent.ts";
import { onTerminal, typeNextStep } from "../support/terminal.ts";

const HELP = "opensentience help agents install";
const SECRET = "hunter2-5ecret-value";

let home: CoreHome;
beforeAll(async () => {
  home = await newHome({ settings: { "build.timeout_ms": 2_000 } });
  await home.json(["core", "start"]);
});
afterAll(() => home.dispose());

describe("a git URL is judged before anything is spawned:", () => {
  test.each<[url: string, code: ErrorCode, exit: number, next: string | RegExp]>([
    ["ext::/bin/true", "install.url_not_allowed", 4, HELP],
    ["ext::sh -c touch% /tmp/owned", "install.invalid_url", 2, HELP],
    ["fd::17", "install.url_not_allowed", 4, HELP],
    ["http://example.com/a.git", "install.url_not_allowed", 4, HELP],
    ["git://example.com/a.git", "install.url_not_allowed", 4, HELP],
    [
      "ssh://git@example.com/a.git",
      "install.url_not_allowed",
      4,
      "opensentience core restart --set install.allow_ssh=true",
    ],
    ["git@example.com:a.git", "install.url_not_allowed", 4, "opensentience core restart --set install.allow_ssh=true"],
    ["file:///tmp/a", "install.url_not_allowed", 4, /--allow-local/],
    ["/tmp", "install.url_not_allowed", 4, /--allow-local/],
    [".", "install.url_not_allowed", 4, /--allow-local/],
    ["/tmp/a/nowhere", "manifest.missing", 3, HELP],
    ["./nowhere", "manifest.missing", 3, HELP],
    ["--upload-pack=/bin/true", "install.invalid_url", 2, HELP],
    ["https://example.com", "install.invalid_url", 2, HELP],
    ["https://example.com/a/../b", "install.invalid_url", 2, HELP],
    ["https://example.com/a?token=b", "install.invalid_url", 2, HELP],
    ["https://exa mple.com/a", "install.invalid_url", 2, HELP],
  ])("%s", async (url, code, exit, next) => {
    await refuse(home, ["agents", "install", "--", url], { code, exit, next });
    await refuse(home, ["agents", "install", "com.example.url", `--git-url=${url}`], { code, exit, next });
    expect(readdirSync(join(home.folder, "agents"))).not.toContain("com.example.url");
  });

  test.each([
    `https://user:${SECRET}@example.com/a.git`,
    `https://${SECRET}@example.com/a.git`,
    `ssh://git:${SECRET}@example.com/a.git`,
    `user:${SECRET}@example.com:a.git`,
  ])("credentials are refused and kept nowhere: %s", async (url) => {
    const expected = { code: "install.credentials_in_url", exit: 4, next: HELP } as const;
    for (const args of [
      ["--", url],
      ["com.example.url", `--git-url=${url}`],
    ]) {
      const error = await refuse(home, ["agents", "install", ...args], expected);
      expect(JSON.stringify(error)).not.toContain(SECRET);
    }
    for (const path of filesBelow(home.folder)) expect(readFileSync(path).includes(SECRET), path).toBe(false);
  });

  test("on a terminal as well, with one record", async () => {
    const before = denials(home).length;
    const { code, text } = await onTerminal(home, ["agents", "install", `https://x:${SECRET}@example.com/a.git`]);
    expect(code).toBe(4);
    expect(text).toContain("(install.credentials_in_url)");
    expect(text).not.toContain(SECRET);
    expect(denials(home).slice(before)).toHaveLength(1);
  });

  test("a local one is installed once that is allowed", async () => {
    const repository = await gitRepository("local", smallAgent("com.example.local"));
    const next = `opensentience agents install ${repository.url} --allow-local`;
    const local = { code: "install.url_not_allowed", exit: 4, next } as const;
    await refuse(home, ["agents", "install", repository.url], local);
    const pinned = next.replace(" --allow", " --ref main --allow");
    await refuse(home, ["agents", "install", repository.url, "--ref", "main"], { ...local, next: pinned });
    await typeNextStep(home, next);
    const update = ["agents", "update", "com.example.local"];
    const again = { ...local, next: "opensentience agents update com.example.local --allow-local" } as const;
    await refuse(home, update, again);
    await typeNextStep(home, again.next);
    await refuse(home, [...update, "--ref", "main"], {
      ...local,
      next: `${again.next.replace(" --", " --ref main --")}`,
    });
    const absent = { code: "install.clone_failed", exit: 1 } as const;
    const nowhere = { code: "manifest.missing", exit: 3, next: HELP } as const;
    await refuse(home, ["agents", "install", `${repository.url}-absent`, "--allow-local"], nowhere);
    await refuse(home, ["agents", "install", `file://${repository.url}-absent`, "--allow-local"], absent);
    await refuse(home, ["agents", "install", "https://localhost:1/a.git"], { ...absent, next: /network/ });
  });
});

test("a ref that is none, or is not there, is refused and nothing changes", async () => {
  const id = "com.example.refs";
  const repository = await smallAgentAt(home, id, "installed");
  await repository.git("tag", "v1");
  const install = (ref: string): string[] => ["agents", "install", id, "--allow-local", `--ref=${ref}`];
  for (const ref of ["--upload-pack=/bin/true", "a..b", "a b", "a.lock", "refs//heads", "~1", ""])
    await refuse(home, install(ref), { code: "install.invalid_ref", exit: 2, next: HELP });
  const error = await refuse(home, install("v2"), { code: "install.ref_not_found", exit: 3, next: HELP });
  expect(error.details).toEqual({ ref: "v2", branches: ["main"], tags: ["v1"] });
  expect(await typeNextStep(home, HELP)).toContain("--ref");
  expect(await home.json(["agents", "info", id])).toMatchObject({ source_ref: "main", source_commit: repository.head });
  expect(await home.json(install("v1"))).toMatchObject({ source_ref: "v1", source_commit: repository.head });
});

test("a repository that carries another id is refused, whoever asks", async () => {
  const repository = await gitRepository("mallory", smallAgent("com.example.mallory"));
  const options = ["--git-url", repository.url, "--allow-local"];
  const expected = { code: "install.id_mismatch", exit: 4 } as const;
  const error = await refuse(home, ["agents", "install", "com.example.alice", ...options], { ...expected, next: HELP });
  expect(error.details).toEqual({ found: "com.example.mallory" });
  await typeNextStep(home, HELP);
  const before = await smallAgentAt(home, "com.example.alice", "enabled");
  const next = "opensentience agents info com.example.alice";
  await refuse(home, ["agents", "install", "com.example.alice", ...options], { ...expected, next });
  expect(await typeNextStep(home, next)).toContain(before.head.slice(0, 12));
  expect(await home.json(["agents", "run", "com.example.alice"])).toMatchObject({ status: "running" });
});

describe("a manifest that cannot be trusted is refused by install and reported by scan:", () => {
  const good = manifestOf("com.example.manifest");
  const json = (changes: Record<string, unknown>): string => JSON.stringify({ ...good, ...changes });
  const rejected: ScanReportJson["rejected"] = [];
  const without = (field: string): string => JSON.stringify({ ...good, [field]: undefined });
  test.each<[what: string, text: string | null, code: ErrorCode, exit: number, message: RegExp]>([
    ["none", null, "manifest.missing", 3, /opensentience\.agent\.json/],
    ["no JSON", "{ id: 1 }", "manifest.invalid_json", 1, /line 1, column 3/],
    ["an empty file", "", "manifest.invalid_json", 1, /line 1/],
    ["a list", "[]", "manifest.invalid_json", 1, /one JSON object/],
    ["a doubled key", '{"id":"com.example.a","id":"com.example.b"}', "manifest.invalid_json", 1, /id|twice|duplicate/i],
    ["a __proto__", '{"__proto__":{}}', "manifest.invalid_json", 1, /column 2: this key/],
    ["deep nesting", "[".repeat(40), "manifest.invalid_json", 1, /nesting/],
    ["too many bytes", `${" ".repeat(257 * 1024)}{}`, "manifest.too_large", 1, /256 KiB/],
    ["no id", without("id"), "manifest.invalid", 1, /id/],
    ["an id of one word", json({ id: "small" }), "manifest.invalid", 1, /"small" is no agent id/],
    ["an id that is a path", json({ id: "com.example/../x" }), "manifest.invalid", 1, /id/],
    ["another version of manifests", json({ manifest_version: 2 }), "manifest.invalid", 1, /manifest_version/],
    ["no semantic version", json({ version: "1" }), "manifest.invalid", 1, /version/],
    [
      "a program outside",
      json({ entrypoint: { type: "command", value: "../sh" } }),
      "manifest.invalid",
      1,
      /entrypoint/,
    ],
    ["a shell line", json({ entrypoint: { type: "command", value: "sh -c x" } }), "manifest.invalid", 1, /entrypoint/],
    ["an unknown entrypoint", json({ entrypoint: { type: "shell", value: "x" } }), "manifest.invalid", 1, /entrypoint/],
    ["a permission that is none", json({ permissions: ["everything"] }), "manifest.invalid", 1, /permissions/],
    ["no permissions", without("permissions"), "manifest.invalid", 1, /permissions/],
    ["text that reorders itself", json({ name: "a\u202eb" }), "manifest.invalid", 1, /name/],
  ])("%s", async (_, text, code, exit, message) => {
    const repository = await gitRepository("bad", text === null ? { "README.md": "nothing\n" } : { [MANIFEST]: text });
    const error = await refuse(home, ["agents", "install", repository.url, "--allow-local"], { code, exit });
    expect(error.message).toMatch(message);
    expect(readdirSync(join(home.folder, "agents", ".staging"))).toEqual([]);
    if (text !== null) rejected.push({ path: repository.path, code, message: error.message });
  });

  test("and by a scan, which finds the good one among them", async () => {
    await writeFiles(join(home.projects, "good"), { [MANIFEST]: manifestText("com.example.good") });
    const folders = [...rejected.map(({ path }) => path), join(home.projects, "good")];
    const report = await home.json<ScanReportJson>(["agents", "scan", ...folders]);
    expect(report.found).toBe(1);
    expect(report.rejected.toSorted(byPath)).toEqual(rejected.toSorted(byPath));
  });

  test("bytes that are no UTF-8, and a link in place of the file", async () => {
    const folder = join(home.projects, "bytes");
    mkdirSync(folder);
    writeFileSync(join(folder, MANIFEST), Buffer.from([0x7b, 0xff, 0x7d]));
    mkdirSync(join(home.projects, "link"));
    symlinkSync(join(home.projects, "good", MANIFEST), join(home.projects, "link", MANIFEST));
    const report = await home.json<ScanReportJson>(["agents", "scan", folder, join(home.projects, "link")]);
    expect(report).toMatchObject({ found: 0, rejected: [{ path: folder, code: "manifest.invalid_encoding" }] });
  });
});

test("of two folders with one id the first is kept, and the installed one before both", async () => {
  const id = "com.example.twice";
  const copies = ["twice-a", "twice-b"].map((name) => join(realpathSync(home.projects), name));
  for (const folder of copies) await writeFiles(folder, { [MANIFEST]: manifestText(id) });
  const [first = "", second = ""] = copies;
  const before = await home.json<ScanReportJson>(["agents", "scan", ...copies]);
  expect(before).toMatchObject({
    new: 1,
    duplicates: [{ agent_id: id, path: join(second, MANIFEST), kept: first }],
  });
  await smallAgentAt(home, id, "enabled");
  const installed = home.sourceOf(id);
  const after = await home.json<ScanReportJson>(["agents", "scan", ...copies]);
  expect(after.duplicates).toEqual(
    copies.map((folder) => ({ agent_id: id, path: join(folder, MANIFEST), kept: installed })),
  );
  const agent = await home.json<AgentDetailJson>(["agents", "info", id]);
  expect(agent).toMatchObject({ install_path: installed, discovered_path: first, drift: null });
  expect(await home.json(["agents", "run", id])).toMatchObject({ status: "running" });
});

test("a repository over a limit is refused and leaves nothing", async () => {
  const small = await newHome({ settings: { "install.max_files": 2 } });
  const repository = await gitRepository("large", smallAgent("com.example.large", {}, { "third.txt": "3\n" }));
  const expected = { code: "install.limit_exceeded", exit: 4, next: /install\.max_files/ } as const;
  await refuse(small, ["agents", "install", repository.url, "--allow-local"], expected);
  expect(readdirSync(join(small.folder, "agents"))).toEqual([".staging"]);
  await small.dispose();
});

describe("a build", () => {
  const steps = (...argv: string[]): { build: { steps: unknown[] } } => ({
    build: { steps: [{ phase: "compile", argv }] },
  });

  test("that fails names its step and its last lines", async () => {
    const id = "com.example.buildfails";
    const files: Files = { "make.sh": { text: "#!/bin/sh\necho broken\nexit 3\n", mode: 0o755 } };
    await smallAgentAt(home, id, "installed", steps("./make.sh"), files);
    const next = `opensentience agents logs ${id} --build`;
    const error = await refuse(home, ["agents", "build", id, "--yes"], { code: "build.failed", exit: 1, next });
    expect(error.details).toEqual({
      step: "./make.sh",
      exit_code: 3,
      signal: null,
      last_lines: ["broken"],
      log_path: expect.stringContaining("/build-") as unknown,
    });
    expect(await typeNextStep(home, next)).toMatch(/compile: \$ \.\/make\.sh\r?\n.*broken/);
    expect(await home.json(["agents", "info", id])).toMatchObject({ status: "error", build_status: "failed" });
    await refuse(home, ["agents", "run", id], { code: "build.not_built", exit: 4, about: id });
  });

  test("that changes what git tracks is refused and names the file", async () => {
    const id = "com.example.buildtampers";
    const files: Files = { "make.sh": { text: "#!/bin/sh\necho >> notes.txt\n", mode: 0o755 }, "notes.txt": "notes\n" };
    await smallAgentAt(home, id, "installed", steps("./make.sh"), files);
    const next = `opensentience agents install ${id} --allow-local`;
    const expected = { code: "build.tracked_files_changed", exit: 4, next, about: id } as const;
    const error = await refuse(home, ["agents", "build", id, "--yes"], expected);
    expect(error.details).toEqual({ files: ["notes.txt"] });
    await typeNextStep(home, next);
    expect(readFileSync(join(home.sourceOf(id), "notes.txt"), "utf8")).toBe("notes\n");
  });

  test("that takes too long is ended with everything it started", async () => {
    const id = "com.example.buildsleeps";
    await smallAgentAt(home, id, "installed", steps("sleep", "4321"));
    const error = await refuse(home, ["agents", "build", id, "--yes"], { code: "build.timeout", exit: 1 });
    expect(await typeNextStep(home, error.next_step)).toContain("build.timeout_ms");
    expect(home.processes().filter(({ command }) => command.includes("4321"))).toEqual([]);
  });

  test("without its tool, and an install without git, name the package to install", async () => {
    const own = await newHome();
    const tools: [string, Files, ErrorCode][] = [
      ["elixir", { "mix.exs": "defmodule X do\nend\n" }, "build.tool_missing"],
      ["npm", { "package-lock.json": "{}\n" }, "build.tool_missing"],
      ["python3 python3-venv", { "requirements.txt": "nothing==1\n" }, "build.tool_missing"],
    ];
    for (const [index, [, files]] of tools.entries())
      await smallAgentAt(own, `com.example.tool${index}`, "installed", {}, files);
    await own.json(["core", "restart", "--set", `tools.path=${own.projects}`]);
    for (const [index, [packages, , code]] of tools.entries()) {
      const next = `sudo apt-get install ${packages}`;
      await refuse(own, ["agents", "build", `com.example.tool${index}`, "--yes"], { code, exit: 1, next });
    }
    const git = { code: "install.git_missing", exit: 1, next: "sudo apt-get install git" } as const;
    await refuse(own, ["agents", "install", "https://example.com/a.git"], git);
    await own.dispose();
  });
});

test("every failed install is one event, and no folder is left", () => {
  const failed = auditRows(home, "agent.install_failed");
  expect(failed.length).toBeGreaterThan(20);
  expect(readdirSync(join(home.folder, "agents", ".staging"))).toEqual([]);
  expect(existsSync("/tmp/owned")).toBe(false);
  expect(failed.filter(({ metadata }) => JSON.stringify(metadata).includes(SECRET))).toEqual([]);
});

function byPath(left: { path: string }, right: { path: string }): number {
  return left.path < right.path ? -1 : 1;
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
