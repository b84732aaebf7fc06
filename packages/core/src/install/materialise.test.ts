import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { GitSource } from "../../../../tests/support/git-source.ts";
import { hashEntries, hashTree } from "../tree/tree.ts";
import { fetchRepository, materialise, type MaterialiseOptions } from "./git.ts";

let source: GitSource;
let target = "";
beforeEach(async () => {
  source = await GitSource.create();
  target = join(source.root, "src");
});
afterEach(() => source.remove());

const LIMITS = { maxBytes: 16 * 1024 * 1024, maxFiles: 1_000 };
const write = (commit: string, options: Partial<MaterialiseOptions> = {}) =>
  materialise({ ...source.fetched, commit, target, limits: LIMITS, ...options });

/** What refused the commit; nothing may be left of the target then. */
async function refusal(commit: string): Promise<unknown> {
  const error: unknown = await write(commit).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(existsSync(target)).toBe(false);
  return error;
}

describe("materialise", () => {
  test("writes exact bytes with private modes and the hash of the folder", async () => {
    const bytes = new Uint8Array(300_000).map((_, index) => index % 251);
    const commit = await source.commit({
      "bin/run": { text: "#!/bin/sh\n", mode: 0o755 },
      "deep/er/file": bytes,
      empty: "",
      "same-again": bytes,
      "name with space\u00fc": "x",
    });
    const { entries, symlinks, submodules } = await write(commit);
    expect(readFileSync(join(target, "deep/er/file")).equals(bytes)).toBe(true);
    expect(statSync(join(target, "bin/run")).mode & 0o7777).toBe(0o700);
    expect(statSync(join(target, "empty")).mode & 0o7777).toBe(0o600);
    expect(statSync(join(target, "deep")).mode & 0o7777).toBe(0o700);
    expect(entries.map((entry) => entry.path)).toEqual([
      "bin/run",
      "deep/er/file",
      "empty",
      "name with space\u00fc",
      "same-again",
    ]);
    expect([symlinks, submodules]).toEqual([[], []]);
    const onDisk = await hashTree(target);
    expect(onDisk.entries).toEqual(entries);
    expect(hashEntries(entries)).toBe(onDisk.hash);
  });

  test("runs no filter, hook or line-ending rule, and takes no LFS content", async () => {
    const canary = join(source.root, "canary");
    const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    const text = { a: "1\n", ".gitattributes": "* filter=evil text eol=crlf ident\n", "big.bin": pointer };
    const commit = await source.commit(text);
    for (const key of ["clean", "smudge", "process"])
      await source.run(["config", `filter.evil.${key}`, `touch ${canary}`]);
    await source.run(["config", "core.fsmonitor", `touch ${canary}`]);
    mkdirSync(join(source.folder, ".git/hooks"), { recursive: true });
    writeFileSync(join(source.folder, ".git/hooks/post-checkout"), `#!/bin/sh\ntouch ${canary}\n`, { mode: 0o755 });
    await write(commit);
    for (const [path, content] of Object.entries(text)) expect(readFileSync(join(target, path), "utf8")).toBe(content);
    expect(existsSync(canary)).toBe(false);
  });

  test("writes a symlink as text and reports it", async () => {
    const id = await source.blob("../lib/x");
    const folder = await source.tree([{ mode: "120000", id, name: "link" }]);
    const commit = await source.commitTree(await source.tree([{ mode: "40000", id: folder, name: "bin" }]));
    const { entries, symlinks } = await write(commit);
    expect(lstatSync(join(target, "bin/link")).isFile()).toBe(true);
    expect(readFileSync(join(target, "bin/link"), "utf8")).toBe("../lib/x");
    expect(symlinks).toEqual(["bin/link"]);
    expect(entries[0]).toMatchObject({ path: "bin/link", mode: "file", size: 8 });
  });

  test.each(["/etc/passwd", "../outside", "a/../../outside", "..", "", "x".repeat(5_000)])(
    "refuses a symlink that leaves the tree: %.20s",
    async (text) => {
      const commit = await source.commitTree(
        await source.tree([{ mode: "120000", id: await source.blob(text), name: "link" }]),
      );
      expect(await refusal(commit)).toMatchObject({ code: "install.unsafe_tree", details: { path: "link" } });
    },
  );

  test.each(["100664", "100777", "104755"])(
    "refuses the mode %s, which git no longer writes, and says so",
    async (mode) => {
      const commit = await source.commitTree(await source.tree([{ mode, id: await source.blob("x"), name: "old" }]));
      const message = expect.stringContaining("modes that git does not write any more (git fsck: badFilemode)");
      expect(await refusal(commit)).toMatchObject({ code: "install.clone_failed", message });
    },
  );

  test("skips a submodule and reports it", async () => {
    const commit = await source.commitTree(
      await source.tree([
        { mode: "100644", id: await source.blob("[submodule]"), name: ".gitmodules" },
        { mode: "160000", id: "1".repeat(40), name: "vendor" },
      ]),
    );
    expect((await write(commit)).submodules).toEqual(["vendor"]);
    expect(readdirSync(target)).toEqual([".gitmodules"]);
  });

  test.each([".GIT", ".git", "git~1", ".g\u200cit", "..", ".", "a\u0007", ".git "])(
    "refuses a folder named %j",
    async (name) => {
      const inner = await source.tree([{ mode: "100644", id: await source.blob("x"), name: "config" }]);
      const commit = await source.commitTree(await source.tree([{ mode: "40000", id: inner, name }]));
      expect(await refusal(commit)).toMatchObject({ code: "install.unsafe_tree" });
    },
  );

  test("refuses a nested bare repository only by what it is: plain files that git never looks at", async () => {
    const canary = join(source.root, "canary");
    const config = `[core]\n\tbare = true\n\tfsmonitor = touch ${canary}\n`;
    const commit = await source.commit({
      "nested/HEAD": "ref: refs/heads/main\n",
      "nested/config": config,
      "nested/objects/x": "",
      "nested/refs/x": "",
    });
    await write(commit);
    expect(readFileSync(join(target, "nested/config"), "utf8")).toBe(config);
    expect(existsSync(canary)).toBe(false);
  });

  test("refuses a path that is a file and a folder, names that differ in case, and bytes that are not UTF-8", async () => {
    const id = await source.blob("x");
    const inner = await source.tree([{ mode: "100644", id, name: "x" }]);
    const file = (name: string | Uint8Array) => ({ mode: "100644", id, name });
    for (const rows of [
      [file("a"), { mode: "40000", id: inner, name: "a" }],
      [file("A"), file("a")],
      [file("a"), file("a")],
      [file(Uint8Array.of(0x61, 0xff))],
    ])
      expect(await refusal(await source.commitTree(await source.tree(rows)))).toMatchObject({
        code: "install.unsafe_tree",
      });
  });

  test("refuses an entry name with a slash, and modes that are no plain file", async () => {
    const id = await source.blob("x");
    const slash = await source.commitTree(await source.tree([{ mode: "100644", id, name: "../evil" }]));
    await expect(write(slash)).rejects.toMatchObject({
      code: expect.stringMatching(/^install\.(unsafe_tree|clone_failed)$/),
    });
    for (const mode of ["104755", "102755", "100777", "020666", "010644"]) {
      const commit = await source.commitTree(await source.tree([{ mode, id, name: "odd" }]));
      await expect(write(commit)).rejects.toMatchObject({
        code: expect.stringMatching(/^install\.(unsafe_tree|clone_failed)$/),
      });
    }
    expect(existsSync(target)).toBe(false);
    expect(existsSync(join(source.root, "evil"))).toBe(false);
  });

  test("counts sizes and files before the first byte is written", async () => {
    const big = await source.commit({ big: new Uint8Array(LIMITS.maxBytes + 1) });
    expect(await refusal(big)).toMatchObject({
      code: "install.limit_exceeded",
      details: { limit: "install.max_bytes" },
    });
    const many = await source.commit(
      Object.fromEntries(Array.from({ length: LIMITS.maxFiles + 1 }, (_, index) => [`f/${index}`, "x"])),
    );
    expect(await refusal(many)).toMatchObject({
      code: "install.limit_exceeded",
      details: { limit: "install.max_files" },
    });
  });

  test("ends the listing of a tree that unfolds to billions of files", async () => {
    let id = await source.tree([{ mode: "100644", id: await source.blob("x"), name: "f" }]);
    for (let level = 0; level < 12; level++) {
      id = await source.tree("abcdefghij".split("").map((name) => ({ mode: "40000", id, name })));
    }
    expect(await refusal(await source.commitTree(id))).toMatchObject({
      code: "install.limit_exceeded",
      details: { limit: "install.max_files" },
    });
  });

  test("refuses an object that was changed in the repository", async () => {
    const commit = await source.commit({ a: "trusted" });
    const id = await source.run(["rev-parse", "HEAD:a"]);
    const path = join(source.folder, ".git/objects", id.slice(0, 2), id.slice(2));
    rmSync(path);
    writeFileSync(path, deflateSync(Buffer.from("blob 7\0changed")));
    expect(await refusal(commit)).toMatchObject({ code: "install.clone_failed" });
    rmSync(path);
    expect(await refusal(commit)).toMatchObject({ code: "install.clone_failed" });
  });

  test("writes only into a folder that is missing or empty", async () => {
    const commit = await source.commit({ a: "1" });
    mkdirSync(target);
    await write(commit);
    await expect(write(commit)).rejects.toMatchObject({ code: "install.io_failed" });
    expect(readFileSync(join(target, "a"), "utf8")).toBe("1");
  });

  test("gives the caller's reason when it is given up", async () => {
    const commit = await source.commit({ a: "1" });
    const reason = new Error("given up");
    await expect(write(commit, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(existsSync(target)).toBe(false);
  });

  test("a fetched repository gives the same tree", async () => {
    const commit = await source.commit({ "a/b": "1", c: "2" });
    const repository = { git: source.git, repoFolder: source.repoFolder };
    await fetchRepository({ ...repository, url: source.url, timeoutMs: 60_000, maxBytes: 16 * 1024 * 1024 });
    const fetched = await write(commit, repository);
    const direct = await write(commit, { target: join(source.root, "other") });
    expect(fetched).toEqual(direct);
  });
});
