/** Scans of a tree that was scanned before: quick, and never less true than the first. */
import { lstatSync, mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, symlinkSync, utimesSync } from "node:fs";
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Folder, FolderMemory } from "./folder-memory.ts";
import { FolderWalk } from "./folder-walk.ts";
import { parseMounts } from "./mounts.ts";
import { ScanProblems } from "./scan-problems.ts";
import { scanRoots, type ScanOptions } from "./scanner.ts";

const MANIFEST = "opensentience.agent.json";
const LIMITS = { maxDepth: 16, maxEntries: 10_000, maxFound: 1_000, maxMs: 60_000 };
const LONG_AGO = new Date("2020-01-01T00:00:00Z");

let root = "";
let memory = new FolderMemory();
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "rescan-")));
  memory = new FolderMemory();
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(root, { recursive: true, force: true });
});

function plant(...folders: string[]): void {
  for (const folder of folders) {
    mkdirSync(join(root, folder), { recursive: true });
    writeFileSync(join(root, folder, MANIFEST), "{}");
  }
}

async function scan(
  options: Partial<ScanOptions> = {},
): Promise<{ found: string[]; codes: string[]; folders: number }> {
  const agentsFolder = join(root, "home/agents");
  const whole = { roots: [root], prune: ["node_modules"], limits: LIMITS, agentsFolder, memory };
  const { found, problems, folders } = await scanRoots({ ...whole, ...options });
  return { found: found.map((path) => path.slice(root.length + 1)), codes: problems.map(({ code }) => code), folders };
}

/** As if everything had been left alone for a minute; what is made afterwards still gets a time of its own. */
function settle(): void {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 60_000 });
  const before = lstatSync(root).ctimeMs;
  const probe = mkdtempSync(join(tmpdir(), "rescan-probe-"));
  for (let index = 0; lstatSync(probe).ctimeMs <= before || index < 2; index++) {
    const at = lstatSync(probe).ctimeMs;
    while (lstatSync(probe).ctimeMs === at) utimesSync(probe, LONG_AGO, LONG_AGO);
  }
  rmSync(probe, { recursive: true });
}

/** Makes the memory say that nothing is below `path`: only a scan that believes it misses what is there. */
function emptyInMemory(path: string): void {
  let folder: Folder = memory.root(root);
  for (const name of path.split("/")) folder = folder.below.find((one) => one.name === name)!;
  folder.below = [];
}

function rememberedBelow(folder: Folder): number {
  return folder.below.reduce((sum, one) => sum + rememberedBelow(one), folder.below.length);
}

test("a folder that did not change is not listed again", async () => {
  plant("a/b/agent");
  settle();
  expect((await scan()).found).toEqual(["a/b/agent"]);
  expect(await scan()).toMatchObject({ found: ["a/b/agent"], folders: 4 });
  emptyInMemory("a/b");
  expect((await scan()).found).toEqual([]);
  expect((await scan({ memory: undefined })).found).toEqual(["a/b/agent"]);
  writeFileSync(join(root, "a/b/note"), "");
  expect((await scan()).found).toEqual(["a/b/agent"]);
});

test("a listing is not believed if the folder had changed shortly before", async () => {
  plant("a/b/agent");
  expect((await scan()).found).toEqual(["a/b/agent"]);
  emptyInMemory("a/b");
  expect((await scan()).found).toEqual(["a/b/agent"]);
});

test("what comes, goes and moves is seen by the next scan, at any depth", async () => {
  plant("a/b/c/one", "a/b/two", "x/three");
  mkdirSync(join(root, "a/b/c/d/e"), { recursive: true });
  settle();
  expect((await scan()).found).toEqual(["a/b/c/one", "a/b/two", "x/three"]);
  plant("a/b/c/d/e/f/new", "a/b/c/d/e");
  rmSync(join(root, "a/b/two", MANIFEST));
  renameSync(join(root, "x/three"), join(root, "a/three"));
  expect((await scan()).found).toEqual(["a/b/c/d/e", "a/b/c/one", "a/three"]);
  rmSync(join(root, "a/b/c/d/e", MANIFEST));
  expect((await scan()).found).toEqual(["a/b/c/d/e/f/new", "a/b/c/one", "a/three"]);
});

test("a manifest is found even if the folder's mtime was set back", async () => {
  for (const folder of ["leaf", "branch/below"]) mkdirSync(join(root, folder), { recursive: true });
  for (const folder of ["leaf", "branch"]) utimesSync(join(root, folder), LONG_AGO, LONG_AGO);
  settle();
  expect((await scan()).found).toEqual([]);
  const before = ["leaf", "branch"].map((folder) => lstatSync(join(root, folder)).mtimeMs);
  plant("leaf", "branch");
  for (const folder of ["leaf", "branch"]) utimesSync(join(root, folder), LONG_AGO, LONG_AGO);
  expect(["leaf", "branch"].map((folder) => lstatSync(join(root, folder)).mtimeMs)).toEqual(before);
  expect((await scan()).found).toEqual(["branch", "leaf"]);
});

test("a folder replaced by another, by a link or by a file is what it is now", async () => {
  plant("kept/agent", "other/b", "p/agent", "q/agent", "r/agent");
  settle();
  await scan();
  for (const name of ["p", "q", "r"]) renameSync(join(root, name), join(root, "kept", name));
  renameSync(join(root, "other"), join(root, "p"));
  symlinkSync(join(root, "kept/q"), join(root, "q"));
  writeFileSync(join(root, "r"), "");
  expect(await scan()).toMatchObject({
    found: ["kept/agent", "kept/p/agent", "kept/q/agent", "kept/r/agent", "p/b"],
    codes: [],
  });
});

test("a manifest replaced by a link or a folder is no manifest", async () => {
  plant("link", "folder");
  settle();
  expect((await scan()).found).toEqual(["folder", "link"]);
  for (const name of ["link", "folder"]) rmSync(join(root, name, MANIFEST));
  symlinkSync("/etc/hostname", join(root, "link", MANIFEST));
  mkdirSync(join(root, "folder", MANIFEST));
  expect((await scan()).found).toEqual([]);
});

test("a clock that was set back makes every folder be listed again", async () => {
  plant("a/b/agent");
  settle();
  await scan();
  emptyInMemory("a/b");
  vi.setSystemTime(Date.now() - 30_000);
  expect((await scan()).found).toEqual(["a/b/agent"]);
});

test("a folder that cannot be entered is told each time", async () => {
  mkdirSync(Buffer.concat([Buffer.from(`${root}/bad`), Buffer.of(0xff)]));
  settle();
  for (let times = 0; times < 3; times++) expect((await scan()).codes).toEqual(["discovery.unreadable"]);
});

test("roots, pruned names and limits are those of each scan", async () => {
  plant("node_modules/a", "b/c/d");
  settle();
  expect((await scan()).found).toEqual(["b/c/d"]);
  expect((await scan({ prune: [] })).found).toEqual(["b/c/d", "node_modules/a"]);
  expect(await scan({ limits: { ...LIMITS, maxDepth: 2 } })).toMatchObject({
    found: [],
    codes: ["discovery.limit_reached"],
  });
  expect((await scan({ limits: { ...LIMITS, maxFound: 1 }, prune: [] })).codes).toEqual(["discovery.limit_reached"]);
  expect((await scan({ roots: [join(root, "b")] })).found).toEqual(["b/c/d"]);
  expect((await scan({ limits: { ...LIMITS, maxEntries: 2 } })).codes).toEqual(["discovery.limit_reached"]);
  expect(rememberedBelow(memory.root(root))).toBe(0);
  expect((await scan()).found).toEqual(["b/c/d"]);
});

test("a full memory forgets folders and misses nothing", async () => {
  memory = new FolderMemory(3);
  for (let index = 0; index < 10; index++) plant(`many/${index}/agent`);
  settle();
  for (let times = 0; times < 3; times++) {
    expect((await scan()).found).toHaveLength(10);
    expect(rememberedBelow(memory.root(root))).toBeLessThanOrEqual(3);
  }
  plant("many/3/second", "many/11/agent");
  expect((await scan()).found).toHaveLength(12);
});

test("a far file system is walked like a near one, and is not remembered", async () => {
  plant("a/b/agent", "node_modules/x", "deep/1/2/3/4/agent", "two");
  symlinkSync(join(root, "a"), join(root, "link"));
  settle();
  for (const mounts of [parseMounts(""), parseMounts(`1 1 0:1 / / rw - ext4 x\n1 1 0:2 / ${root}/a rw - fuse.x y`)]) {
    const problems = new ScanProblems();
    const options = { prune: ["node_modules"], limits: { ...LIMITS, maxDepth: 5 }, agentsFolder: "/none", memory };
    const walk = new FolderWalk({ ...options, mounts, problems });
    await walk.run([root, join(root, "gone")]);
    expect(walk.found.map((path) => path.slice(root.length + 1)).sort()).toEqual(["a/b/agent", "two"]);
    expect(problems.list.map(({ code }) => code).sort()).toEqual(["discovery.limit_reached", "discovery.root_missing"]);
  }
  emptyInMemory("a");
  expect((await scan()).found).toContain("a/b/agent");
});

test("mounts: the innermost decides, the last one on a folder is seen, and silence means far", () => {
  const lines = [
    "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw",
    "30 27 0:27 / /home/ada/far\\040away rw master:1 - fuse.sshfs host: rw",
    "31 30 0:28 / /home/ada/far\\040away/cache rw - tmpfs none rw",
    "32 27 0:29 / /srv rw - tmpfs none rw",
    "33 32 0:30 / /srv rw - nfs4 server:/ rw",
  ];
  const mounts = parseMounts(`${lines.join("\n")}\n`);
  const near = (path: string) => mounts.isNear(path);
  expect(["/", "/home/ada", "/home/ada/far", "/home/ada/far away/cache/x"].map(near)).toEqual([true, true, true, true]);
  expect(["/home/ada/far away", "/home/ada/far away/x", "/srv", "/srv/x"].map(near)).toEqual([
    false,
    false,
    false,
    false,
  ]);
  expect(["/srv", "/home/ada/far away", "/", "/srv/x"].map((path) => mounts.isFarMount(path))).toEqual([
    true,
    true,
    false,
    false,
  ]);
  expect(parseMounts("").isNear("/home")).toBe(false);
});
