import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runTool } from "../host/child-process.ts";
import { hashRegular } from "./entry-hash.ts";
import { loadStatCache, saveStatCache } from "./stat-cache.ts";
import { changeableLinks, diffTrees, hashEntries, hashTree, loadEntries, saveEntries, type TreeEntry } from "./tree.ts";
import { walkTree } from "./walk.ts";

let folder = "";
let root = "";
let cachePath = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tree-"));
  root = join(folder, "root");
  cachePath = join(folder, "cache.json");
  mkdirSync(root);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const sha = (text: string) => createHash("sha256").update(text).digest("hex");
const fifo = (path: string) => runTool(["/usr/bin/mkfifo", path], { env: {}, timeoutMs: 10_000, maxBytes: 1_000 });
/** Caches everything as if all had been at rest for long. */
const cacheAll = async () => {
  const { entries } = await hashTree(root);
  const known = new Map(entries.map((entry) => [entry.path, entry.sha256]));
  const rows = (await walkTree(root)).map((found) => ({ ...found, sha256: known.get(found.path)! }));
  await saveStatCache(cachePath, rows, Date.now() + 60_000);
};

describe("hashTree", () => {
  test("lists files and links with their hashes, sorted, and nothing for empty folders", async () => {
    mkdirSync(join(root, "b/empty"), { recursive: true });
    writeFileSync(join(root, "b/file"), "text");
    writeFileSync(join(root, "a.sh"), "", { mode: 0o755 });
    symlinkSync("/no/such/pl", join(root, "c"));
    const { hash, entries } = await hashTree(root);
    expect(entries).toEqual([
      { path: "a.sh", mode: "executable", sha256: sha(""), size: 0 },
      { path: "b/file", mode: "file", sha256: sha("text"), size: 4 },
      { path: "c", mode: "symlink", sha256: sha("/no/such/pl"), size: 11 },
    ]);
    expect(hash).toBe(hashEntries(entries.toReversed()));
    // Pinned: a changed hash would make every approval drift.
    expect(hash).toBe(
      sha(
        JSON.stringify([
          "opensentience.tree.1",
          entries.map((entry) => [entry.path, entry.mode, entry.sha256, entry.size]),
        ]),
      ),
    );
  });

  test("sees bytes, mode, name and kind", async () => {
    writeFileSync(join(root, "a"), "x");
    const hashes = [(await hashTree(root)).hash];
    writeFileSync(join(root, "a"), "y");
    hashes.push((await hashTree(root)).hash);
    chmodSync(join(root, "a"), 0o700);
    hashes.push((await hashTree(root)).hash);
    renameSync(join(root, "a"), join(root, "b"));
    hashes.push((await hashTree(root)).hash);
    unlinkSync(join(root, "b"));
    symlinkSync("y", join(root, "b"));
    hashes.push((await hashTree(root)).hash);
    expect(new Set(hashes).size).toBe(5);
  });

  test("reads files of every size around its buffer", async () => {
    for (const size of [0, 1, 65_535, 65_536, 65_537, 200_000]) {
      writeFileSync(join(root, "a"), "z".repeat(size));
      expect((await hashTree(root)).entries[0]).toEqual({
        path: "a",
        mode: "file",
        sha256: sha("z".repeat(size)),
        size,
      });
    }
  });

  test("refuses a FIFO and a setuid file without opening them", async () => {
    await fifo(join(root, "fifo"));
    await expect(hashTree(root)).rejects.toMatchObject({ code: "install.unsafe_tree", details: { path: "fifo" } });
    unlinkSync(join(root, "fifo"));
    writeFileSync(join(root, "suid"), "");
    chmodSync(join(root, "suid"), 0o4755);
    await expect(hashTree(root)).rejects.toMatchObject({ code: "install.unsafe_tree", details: { path: "suid" } });
  });

  test("refuses a name that is not UTF-8", async () => {
    writeFileSync(Buffer.concat([Buffer.from(`${root}/a`), Buffer.of(0xff)]), "");
    await expect(hashTree(root)).rejects.toMatchObject({ code: "install.unsafe_tree" });
  });

  test("a file replaced by a link or FIFO is not read", async () => {
    await fifo(join(root, "fifo"));
    symlinkSync("/etc/passwd", join(root, "link"));
    await expect(hashRegular(join(root, "fifo"))).rejects.toMatchObject({ code: "install.unsafe_tree" });
    await expect(hashRegular(join(root, "link"))).rejects.toMatchObject({ code: "ELOOP" });
  });

  test("a missing root is the system's own error", async () => {
    await expect(hashTree(join(folder, "missing"))).rejects.toMatchObject({ code: "ENOENT" });
  });
});

describe("links out of the tree", () => {
  test("a file that a link out of the tree leads to counts with its bytes", async () => {
    const target = join(folder, "outside");
    writeFileSync(target, "one");
    symlinkSync(target, join(root, "link"));
    const before = await hashTree(root, { cachePath });
    writeFileSync(target, "two");
    expect((await hashTree(root, { cachePath })).hash).not.toBe(before.hash);
    writeFileSync(target, "one");
    expect((await hashTree(root, { cachePath })).hash).toBe(before.hash);
    expect(await changeableLinks(root, before.entries)).toEqual([{ path: "link", target: realpathSync(target) }]);
  });

  test("one to a program of the system, one inside and one to nowhere are no danger", async () => {
    writeFileSync(join(root, "a"), "x");
    symlinkSync("/bin/sh", join(root, "shell"));
    symlinkSync("a", join(root, "inside"));
    symlinkSync("/no/such/place", join(root, "nowhere"));
    const { entries } = await hashTree(root);
    expect(await changeableLinks(root, entries)).toEqual([]);
    expect(entries.find(({ path }) => path === "inside")?.sha256).toBe(sha("a"));
  });
});

describe("the bounds of a hash", () => {
  test("too many entries, folders included, and too many bytes end it, also those of a hole", async () => {
    for (const name of ["a", "b", "c"]) mkdirSync(join(root, name));
    await expect(hashTree(root, { maxFiles: 3 })).rejects.toMatchObject({
      code: "install.limit_exceeded",
      details: { limit: "install.max_files" },
    });
    writeFileSync(join(root, "hole"), "");
    truncateSync(join(root, "hole"), 1e12);
    await expect(hashTree(root, { maxBytes: 1e9 })).rejects.toMatchObject({
      code: "install.limit_exceeded",
      details: { limit: "install.max_bytes" },
    });
  });

  test("giving up ends it in the middle of a file", async () => {
    writeFileSync(join(root, "hole"), "");
    truncateSync(join(root, "hole"), 1e12);
    const giveUp = new AbortController();
    const hashing = hashTree(root, { signal: giveUp.signal });
    setImmediate(() => giveUp.abort(new Error("given up")));
    await expect(hashing).rejects.toThrow("given up");
    await expect(hashTree(root, { signal: giveUp.signal })).rejects.toThrow("given up");
  });
});

describe("the stat cache", () => {
  test("saves reading a file again, and a change still shows although size and mtime are put back", async () => {
    writeFileSync(join(root, "a"), "x");
    await cacheAll();
    const cached = await hashTree(root, { cachePath });
    expect(cached.hash).toBe((await hashTree(root)).hash);
    const before = statSync(join(root, "a"));
    writeFileSync(join(root, "a"), "y");
    utimesSync(join(root, "a"), before.atime, before.mtime);
    expect((await hashTree(root, { cachePath })).entries[0]?.sha256).toBe(sha("y"));
  });

  test("is really used: a planted hash is believed for an entry at rest", async () => {
    writeFileSync(join(root, "a"), "x");
    await cacheAll();
    const planted = readFileSync(cachePath, "utf8").replace(sha("x"), sha("planted"));
    writeFileSync(cachePath, planted);
    expect((await hashTree(root, { cachePath })).entries[0]?.sha256).toBe(sha("planted"));
  });

  test("does not keep an entry that was touched within two seconds", async () => {
    writeFileSync(join(root, "a"), "x");
    await hashTree(root, { cachePath });
    expect((await loadStatCache(cachePath)).size).toBe(0);
    const rows = (await walkTree(root)).map((found) => ({ ...found, sha256: sha("x") }));
    const touchedMs = Number(BigInt(rows[0]!.ctimeNs) / 1_000_000n);
    await saveStatCache(cachePath, rows, touchedMs + 1_999);
    expect((await loadStatCache(cachePath)).size).toBe(0);
    await saveStatCache(cachePath, rows, touchedMs + 2_002);
    expect((await loadStatCache(cachePath)).size).toBe(1);
    expect(statSync(cachePath).mode & 0o7777).toBe(0o600);
  });

  test.each([
    "",
    "{",
    "null",
    "[]",
    '{"version":1,"rows":[["a"]]}',
    '{"version":2,"rows":[]}',
    '{"version":1,"rows":[["a",1,"1","1","1","x"]]}',
  ])("a corrupt cache is ignored: %s", async (text) => {
    writeFileSync(join(root, "a"), "x");
    writeFileSync(cachePath, text);
    expect((await hashTree(root, { cachePath })).entries[0]?.sha256).toBe(sha("x"));
  });

  test("a cache that cannot be written changes nothing but speed", async () => {
    writeFileSync(join(root, "a"), "x");
    const { entries } = await hashTree(root, { cachePath: join(folder, "missing/cache.json") });
    expect(entries).toHaveLength(1);
    expect(existsSync(join(folder, "missing"))).toBe(false);
  });
});

describe("lists of entries", () => {
  const entry = (path: string, text: string, mode: TreeEntry["mode"] = "file"): TreeEntry => ({
    path,
    mode,
    sha256: sha(text),
    size: text.length,
  });

  test("differ by what came, went and changed", () => {
    const before = [entry("a", "1"), entry("b", "1"), entry("c", "1"), entry("d", "1")];
    const after = [entry("z", "1"), entry("d", "1", "executable"), entry("b", "2"), entry("a", "1")];
    expect(diffTrees(before, after)).toEqual({ added: ["z"], removed: ["c"], changed: ["b", "d"] });
    expect(diffTrees(before, before)).toEqual({ added: [], removed: [], changed: [] });
  });

  test("are kept privately and not believed when damaged", async () => {
    const path = join(folder, "entries.json");
    const entries = [entry("a", "1"), entry("b", "2", "symlink")];
    expect(await loadEntries(path, hashEntries(entries))).toBeUndefined();
    await saveEntries(path, entries);
    expect(await loadEntries(path, hashEntries(entries))).toEqual(entries);
    for (const other of [hashEntries([]), null]) expect(await loadEntries(path, other)).toBeUndefined();
    expect(statSync(path).mode & 0o7777).toBe(0o600);
    const text = readFileSync(path, "utf8");
    for (const damaged of [
      text.slice(0, -5),
      text.replace('"b"', '"c"'),
      "null",
      '{"version":1}',
      '{"version":1,"entries":[1]}',
    ]) {
      writeFileSync(path, damaged);
      expect(await loadEntries(path, hashEntries(entries))).toBeUndefined();
    }
  });
});
