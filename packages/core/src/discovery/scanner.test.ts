import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runTool } from "../host/child-process.ts";
import { scanRoots, type ScanOptions } from "./scanner.ts";

let root = "";
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "scanner-")));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const MANIFEST = "opensentience.agent.json";
const plant = (...folders: string[]) => {
  for (const folder of folders) {
    mkdirSync(join(root, folder), { recursive: true });
    writeFileSync(join(root, folder, MANIFEST), "{}");
  }
};
const LIMITS = { maxDepth: 16, maxEntries: 10_000, maxFound: 1_000, maxMs: 60_000 };
const scan = async (options: Partial<ScanOptions> = {}) => {
  const result = await scanRoots({
    roots: [root],
    prune: ["node_modules"],
    limits: LIMITS,
    agentsFolder: join(root, "home/agents"),
    ...options,
  });
  return { ...result, found: result.found.map((path) => path.slice(root.length + 1)) };
};

/** Calls `disturb` after `first` was listed and before what it was given is looked at: 300 others stand before that. */
async function scanAndDisturb(disturb: () => void) {
  for (let index = 0; index < 300; index++) mkdirSync(join(root, `first/before-${index}`));
  let times = 0;
  const onProgress = () => {
    if (times++ === 0) disturb();
  };
  const result = await scan({ roots: [join(root, "first")], onProgress });
  expect(times).toBe(1);
  return result;
}

describe("scanRoots", () => {
  test("finds manifests at any depth, sorted, and does not descend below one", async () => {
    plant("z", "a/b/c/d", "a/b2", "a/b2/inner", ".hidden/agent");
    const { found, problems, folders, durationMs } = await scan();
    expect(found).toEqual([".hidden/agent", "a/b/c/d", "a/b2", "z"]);
    expect(problems).toEqual([]);
    expect(folders).toBe(9);
    expect(durationMs).toBeGreaterThan(0);
  });

  test("finds a manifest in the root itself", async () => {
    writeFileSync(join(root, MANIFEST), "{}");
    plant("below");
    expect((await scan()).found).toEqual([""]);
  });

  test("prunes .git and the given names, but not a root of that name", async () => {
    plant(".git/a", "node_modules/a", "x/node_modules/b", "x/node_modules2");
    expect((await scan()).found).toEqual(["x/node_modules2"]);
    expect((await scan({ prune: [] })).found).toEqual(["node_modules/a", "x/node_modules/b", "x/node_modules2"]);
    expect((await scan({ roots: [join(root, "node_modules")] })).found).toEqual(["node_modules/a"]);
  });

  test("only a regular file is a manifest", async () => {
    plant("real");
    mkdirSync(join(root, "folder", MANIFEST), { recursive: true });
    mkdirSync(join(root, "link"));
    symlinkSync(join(root, "real", MANIFEST), join(root, "link", MANIFEST));
    mkdirSync(join(root, "fifo"));
    await runTool(["/usr/bin/mkfifo", join(root, "fifo", MANIFEST)], { env: {}, timeoutMs: 10_000, maxBytes: 1_000 });
    expect((await scan()).found).toEqual(["real"]);
  });

  test("reports nothing that is reached through a symlink", async () => {
    plant("elsewhere/agent", "scanned/own");
    symlinkSync(join(root, "elsewhere"), join(root, "scanned/link"));
    symlinkSync("..", join(root, "scanned/loop"));
    symlinkSync("self", join(root, "scanned/self"));
    expect((await scan({ roots: [join(root, "scanned")] })).found).toEqual(["scanned/own"]);
  });

  test("a folder swapped for a symlink while the scan runs is not reported", async () => {
    plant("outside/agent");
    mkdirSync(join(root, "first/swapped"), { recursive: true });
    const { found } = await scanAndDisturb(() => {
      rmSync(join(root, "first/swapped"), { recursive: true });
      symlinkSync(join(root, "outside"), join(root, "first/swapped"));
    });
    expect(found).toEqual([]);
  });

  test("a root that is a symlink is resolved once; nested and repeated roots are walked once", async () => {
    plant("real/agent", "real/sub/agent");
    symlinkSync(join(root, "real"), join(root, "alias"));
    const roots = [join(root, "alias"), join(root, "real"), join(root, "real/sub"), join(root, "real/")];
    const { found, folders } = await scan({ roots });
    expect(found).toEqual(["real/agent", "real/sub/agent"]);
    expect(folders).toBe(4);
  });

  test("a missing root and a root that is a file are problems, the others are scanned", async () => {
    plant("ok/agent");
    writeFileSync(join(root, "file"), "");
    const { found, problems } = await scan({
      roots: [join(root, "missing"), join(root, "ok"), join(root, "file"), join(root, "file/x")],
    });
    expect(found).toEqual(["ok/agent"]);
    expect(new Set(problems.map(({ message }) => message))).toEqual(
      new Set(["it is no folder; check the path", "there is no such folder; check the path"]),
    );
    expect(problems.map(({ path, code }) => [path.slice(root.length + 1), code])).toEqual([
      ["file", "discovery.root_missing"],
      ["file/x", "discovery.root_missing"],
      ["missing", "discovery.root_missing"],
    ]);
  });

  test("a relative root is no root, whatever Core's own folder has", async () => {
    plant("ok/agent");
    const { found, problems } = await scan({ roots: [relative(process.cwd(), join(root, "ok"))] });
    expect([found, problems]).toEqual([
      [],
      [expect.objectContaining({ code: "discovery.root_missing", message: expect.stringContaining("absolute path") })],
    ]);
  });

  test("a folder that turns into a file is one problem, one that vanishes is none", async () => {
    for (const name of ["turned", "gone"]) mkdirSync(join(root, "first", name), { recursive: true });
    const { problems } = await scanAndDisturb(() => {
      for (const name of ["turned", "gone"]) rmSync(join(root, "first", name), { recursive: true });
      writeFileSync(join(root, "first/turned"), "");
    });
    expect(problems.map(({ path, code }) => [path, code])).toEqual([
      [join(root, "first/turned"), "discovery.unreadable"],
    ]);
  });

  test("FIFOs, sockets and names that are not UTF-8 neither hang nor stop it", async () => {
    plant("agent");
    await runTool(["/usr/bin/mkfifo", join(root, "fifo")], { env: {}, timeoutMs: 10_000, maxBytes: 1_000 });
    mkdirSync(Buffer.concat([Buffer.from(`${root}/bad`), Buffer.of(0xff)]));
    const server = createServer().listen(join(root, "socket"));
    await new Promise((resolve) => server.once("listening", resolve));
    const { found, problems } = await scan();
    server.close();
    expect(found).toEqual(["agent"]);
    expect(problems).toMatchObject([{ code: "discovery.unreadable", message: "the folder's name is not valid UTF-8" }]);
  });

  test("looks only at <id>/src in Core's own agents folder", async () => {
    plant(
      "home/agents/com.a/src",
      "home/agents/com.a/data",
      "home/agents/com.a/build-home/x",
      "home/agents/com.a/previous/src",
    );
    plant("home/agents/.staging/x/src", "home/agents/com.b/data/src", "home/agents/target/src", "home/other");
    mkdirSync(join(root, "home/agents/com.c"));
    symlinkSync(join(root, "home/other"), join(root, "home/agents/com.c/src"));
    const installed = ["home/agents/com.a/src", "home/agents/target/src"];
    expect((await scan({ prune: ["target"] })).found).toEqual([...installed, "home/other"]);
    const agents = join(root, "home/agents");
    expect((await scan({ roots: [agents] })).found).toEqual(installed);
    expect((await scan({ roots: [join(agents, "com.a")] })).found).toEqual(["home/agents/com.a/src"]);
    for (const planted of ["com.a/data", "com.a/previous", ".staging", ".staging/x", "com.b", "com.c"])
      expect((await scan({ roots: [join(agents, planted)] })).found).toEqual([]);
  });

  test("reaching a cap is a problem and keeps what was found", async () => {
    plant("a", "b/c/d/e");
    const deep = await scan({ limits: { ...LIMITS, maxDepth: 2 } });
    expect(deep.found).toEqual(["a"]);
    expect(deep.problems).toMatchObject([{ code: "discovery.limit_reached", path: join(root, "b/c/d") }]);
    const many = await scan({ limits: { ...LIMITS, maxEntries: 3 } });
    expect(many.problems).toMatchObject([{ code: "discovery.limit_reached" }]);
    for (let index = 0; index < 2_000; index++) mkdirSync(join(root, `many/${index}/x`), { recursive: true });
    const slow = await scan({ limits: { ...LIMITS, maxMs: 1 } });
    expect(slow.problems).toMatchObject([{ code: "discovery.limit_reached" }]);
  });

  test("ends with the caller's reason", async () => {
    const reason = new Error("given up");
    await expect(scan({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    for (let index = 0; index < 600; index++) mkdirSync(join(root, `many/${index}`), { recursive: true });
    const given = new AbortController();
    await expect(scan({ signal: given.signal, onProgress: () => given.abort(reason) })).rejects.toBe(reason);
  });
});
