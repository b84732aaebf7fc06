/** Discovery and catalog through the command line: what a scan finds, keeps, rejects and never does. */
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { AgentDetailJson, AgentJson, AuditEventJson, ScanReportJson } from "@opensentience/protocol";
import { eventually, newHome, type CoreHome } from "../support/core-home.ts";

let home: CoreHome;

beforeAll(async () => {
  home = await newHome();
});
afterAll(() => home.dispose());

function manifest(id: string, more: Record<string, unknown> = {}): string {
  return JSON.stringify({
    id,
    name: `Agent ${id}`,
    version: "1.0.0",
    description: "A folder that is only looked at",
    source: { git_url: "https://example.com/agent.git" },
    entrypoint: { type: "command", value: "./run" },
    permissions: [],
    capabilities: [],
    ...more,
  });
}

function plant(folder: string, text: string): string {
  const path = join(home.projects, folder);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, "opensentience.agent.json"), text);
  return path;
}

const scan = (): Promise<ScanReportJson> => home.json<ScanReportJson>(["agents", "scan"]);
const list = async (): Promise<AgentJson[]> => (await home.json<{ items: AgentJson[] }>(["agents", "list"])).items;

test("an empty catalog is an empty list, and a root without agents is no fault", async () => {
  expect(await list()).toEqual([]);
  expect(await scan()).toMatchObject({ found: 0, new: 0, rejected: [], duplicates: [] });
});

test("new, unchanged and updated manifests are told apart and recorded once each", async () => {
  const one = plant("one", manifest("org.example.one"));
  expect(await scan()).toMatchObject({ found: 1, new: 1, updated: 0, unchanged: 0 });
  expect(await scan()).toMatchObject({ found: 1, new: 0, updated: 0, unchanged: 1 });
  writeFileSync(join(one, "opensentience.agent.json"), manifest("org.example.one", { version: "1.1.0" }));
  await eventually(async () => (await list())[0]?.version === "1.1.0", "the watched manifest to be read again");
  const events = (await home.json<{ items: AuditEventJson[] }>(["audit", "list", "--agent", "org.example.one"])).items;
  expect(events.map((event) => event.event_type)).toEqual(["agent.updated", "agent.discovered"]);
});

test("a bad manifest is one entry with its code, and the others are found all the same", async () => {
  plant("bad-json", "{");
  plant("bad-fields", manifest("Not An Id"));
  plant("prototype", manifest("org.example.proto").replace("{", '{"__proto__":{},'));
  plant("huge", manifest("org.example.huge", { description: "x".repeat(300_000) }));
  plant("good", manifest("org.example.good"));
  const report = await scan();
  expect(
    Object.fromEntries(report.rejected.map((one) => [one.path.replace(`${home.projects}/`, ""), one.code])),
  ).toEqual({
    "bad-json": "manifest.invalid_json",
    "bad-fields": "manifest.invalid",
    prototype: "manifest.invalid_json",
    huge: "manifest.too_large",
  });
  expect((await list()).map((agent) => agent.agent_id)).toContain("org.example.good");
  for (const folder of ["bad-json", "bad-fields", "prototype", "huge"])
    rmSync(join(home.projects, folder), { recursive: true });
});

test("of two folders with one id the first path is kept and the other reported", async () => {
  plant("twin-a", manifest("org.example.twin"));
  plant("twin-b", manifest("org.example.twin"));
  const report = await scan();
  expect(report.duplicates).toEqual([
    {
      agent_id: "org.example.twin",
      path: join(home.projects, "twin-b/opensentience.agent.json"),
      kept: join(home.projects, "twin-a"),
    },
  ]);
  rmSync(join(home.projects, "twin-b"), { recursive: true });
});

test("a vanished agent is kept and marked, and comes back", async () => {
  const folder = plant("comes-and-goes", manifest("org.example.ghost"));
  await scan();
  renameSync(folder, `${folder}.away`);
  rmSync(`${folder}.away`, { recursive: true });
  expect((await scan()).missing).toBe(1);
  expect((await home.json<AgentDetailJson>(["agents", "info", "org.example.ghost"])).missing_since).not.toBeNull();
  plant("comes-and-goes", manifest("org.example.ghost"));
  await scan();
  expect((await home.json<AgentDetailJson>(["agents", "info", "org.example.ghost"])).missing_since).toBeNull();
});

test("a manifest that was spoiled or taken away is noticed without a scan, and so is its return", async () => {
  const folder = plant("edited/deeply/below", manifest("org.example.edited"));
  await scan();
  const file = join(folder, "opensentience.agent.json");
  const agent = (): Promise<AgentDetailJson> => home.json<AgentDetailJson>(["agents", "info", "org.example.edited"]);
  rmSync(file);
  await eventually(async () => (await agent()).missing_since !== null, "the agent to be missing");
  writeFileSync(file, "{");
  writeFileSync(`${file}.new`, manifest("org.example.edited", { version: "2.0.0" }));
  renameSync(`${file}.new`, file);
  await eventually(async () => (await agent()).version === "2.0.0", "the manifest to be back");
  expect((await agent()).missing_since).toBeNull();
  renameSync(folder, `${folder}.away`);
  await eventually(async () => (await agent()).missing_since !== null, "the moved folder to be missed");
  rmSync(`${folder}.away`, { recursive: true });
});

test("an agent that appears deep in a tree, or goes from there, is seen by the next scan", async () => {
  mkdirSync(join(home.projects, "tree/a/b/c/d"), { recursive: true });
  await scan();
  const folder = plant("tree/a/b/c/d/e/agent", manifest("org.example.deep"));
  expect(await scan()).toMatchObject({ new: 1 });
  rmSync(join(folder, "opensentience.agent.json"));
  await eventually(
    async () => (await home.json<AgentDetailJson>(["agents", "info", "org.example.deep"])).missing_since !== null,
    "the agent to be missing",
  );
  rmSync(join(home.projects, "tree"), { recursive: true });
});

test("links, pruned folders and folders below an agent are not entered", async () => {
  plant("node_modules/dep", manifest("org.example.pruned"));
  plant("one/inner", manifest("org.example.inner"));
  mkdirSync(join(home.operatorHome, "elsewhere"));
  writeFileSync(join(home.operatorHome, "elsewhere/opensentience.agent.json"), manifest("org.example.linked"));
  symlinkSync(join(home.operatorHome, "elsewhere"), join(home.projects, "link"));
  symlinkSync(home.projects, join(home.projects, "loop"));
  await scan();
  const ids = (await list()).map((agent) => agent.agent_id);
  for (const id of ["org.example.pruned", "org.example.inner", "org.example.linked"]) expect(ids).not.toContain(id);
});

test("search finds words of name, description, id and keywords, and its query language is not reachable", async () => {
  plant(
    "searched",
    manifest("org.example.searched", { keywords: ["meteorology", "wind"], description: "Reads the barometer" }),
  );
  await scan();
  for (const words of ["meteor", "barometer", "searched", "WIND", "barometer wind"]) {
    const { items } = await home.json<{ items: AgentJson[] }>(["agents", "search", words]);
    expect(
      items.map((agent) => agent.agent_id),
      words,
    ).toEqual(["org.example.searched"]);
  }
  for (const words of ['"', "NEAR(a b)", "name:*", "a OR b", "*", "') --"]) {
    expect(await home.json<{ items: AgentJson[] }>(["agents", "search", words]), words).toHaveProperty("items");
  }
});

test("hostile text of a manifest is refused or shown without control characters", async () => {
  plant("spoof", manifest("org.example.spoof", { name: "good\u202Etxt.exe" }));
  plant("ansi", manifest("org.example.ansi", { description: "red \u001b[31malert" }));
  const { rejected } = await scan();
  expect(rejected.filter((one) => /spoof|ansi/.test(one.path)).map((one) => one.code)).toEqual([
    "manifest.invalid",
    "manifest.invalid",
  ]);
  const shown = await home.cli(["agents", "scan"]);
  expect(shown.stdout + shown.stderr).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u202e]/);
});

test("discovery starts nothing: no process appears below Core during a scan", async () => {
  plant(
    "with-hooks",
    manifest("org.example.hooks", {
      build: { steps: [{ phase: "fetch", argv: ["touch", join(home.projects, "ran")] }] },
    }),
  );
  await scan();
  const ids = (await list()).map((agent) => agent.agent_id);
  expect(ids).toContain("org.example.hooks");
  const core = await home.corePid();
  expect(home.processes().map((one) => one.pid)).toEqual([core]);
});
