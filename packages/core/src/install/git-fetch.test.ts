import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { GitSource, sandboxedGit } from "../../../../tests/support/git-source.ts";
import { runTool } from "../host/child-process.ts";
import { type FetchOptions, fetchRepository, type GitProgram, parseGitUrl, resolveRef } from "./git.ts";
import { readHead } from "./repository-files.ts";

let source: GitSource;
let git: GitProgram;

/** What keeps a repository from running something has to do so without the sandbox too. */
describe.each([
  ["as it is", false],
  ["in a sandbox", true],
])("git %s:", (_how, isSandboxed) => {
  beforeEach(async () => {
    source = await GitSource.create();
    git = isSandboxed ? await sandboxedGit() : source.git;
  });
  afterEach(() => source.remove());

  const fetch = (options: Partial<FetchOptions> = {}) =>
    fetchRepository({
      git,
      url: source.url,
      repoFolder: source.repoFolder,
      timeoutMs: 60_000,
      maxBytes: 64 * 1024 * 1024,
      ...options,
    });
  const resolve = (ref?: string) => resolveRef({ git, repoFolder: source.repoFolder }, ref);

  describe("fetchRepository and resolveRef", () => {
    test("bring branches, tags and the default branch, and report progress", async () => {
      const first = await source.commit({ a: "1" });
      await source.run(["tag", "-a", "v1", "-m", "one"]);
      await source.run(["checkout", "-q", "-b", "trunk"]);
      const second = await source.commit({ a: "2" });
      const lines: string[] = [];
      await fetch({ onProgress: (line) => lines.push(line) });
      expect(await resolve()).toEqual({ commit: second, ref: "trunk" });
      expect(await resolve("main")).toEqual({ commit: first, ref: "main" });
      expect(await resolve("v1")).toEqual({ commit: first, ref: "v1" });
      expect(await resolve("refs/tags/v1")).toEqual({ commit: first, ref: "refs/tags/v1" });
      expect(await resolve(first)).toEqual({ commit: first, ref: null });
      expect(await resolve(first.slice(0, 10))).toEqual({ commit: first, ref: null });
      expect(lines.some((line) => line.includes("trunk"))).toBe(true);
    });

    test("a second fetch follows force-pushes, removals and a new default branch", async () => {
      await source.commit({ a: "1" });
      await source.run(["branch", "old"]);
      await fetch();
      await source.run(["branch", "-D", "old"]);
      await source.run(["branch", "-m", "main", "next"]);
      await source.run(["commit", "-q", "--amend", "-m", "other"]);
      const amended = await source.run(["rev-parse", "HEAD"]);
      writeFileSync(join(source.repoFolder, "packed-refs.lock"), "left by a git that was killed");
      await fetch();
      expect(await resolve()).toEqual({ commit: amended, ref: "next" });
      await expect(resolve("old")).rejects.toMatchObject({ code: "install.ref_not_found" });
    });

    test("a detached HEAD of the remote is the default commit", async () => {
      const commit = await source.commit({ a: "1" });
      await source.run(["checkout", "-q", "--detach"]);
      const detached = await source.commit({ a: "2" });
      await fetch();
      expect(await resolve()).toEqual({ commit: detached, ref: null });
      expect(await resolve("main")).toEqual({ commit, ref: "main" });
    });

    test("an empty repository has nothing to resolve", async () => {
      await fetch();
      await expect(resolve()).rejects.toMatchObject({ code: "install.ref_not_found" });
    });

    test("a missing ref names what there is", async () => {
      await source.commit({ a: "1" });
      await source.run(["tag", "v1"]);
      await fetch();
      await expect(resolve("v2")).rejects.toMatchObject({
        code: "install.ref_not_found",
        details: { ref: "v2", branches: ["main"], tags: ["v1"] },
      });
      await expect(resolve("f".repeat(40))).rejects.toMatchObject({ code: "install.ref_not_found" });
      await expect(resolve("--help")).rejects.toMatchObject({ code: "install.invalid_ref" });
    });

    test("a full commit id never means a branch", async () => {
      const pinned = await source.commit({ a: "1" });
      const other = await source.commit({ a: "2" });
      await source.run(["update-ref", `refs/heads/${pinned}`, other]);
      await fetch();
      expect(await resolve(pinned)).toEqual({ commit: pinned, ref: null });
      await source.run(["update-ref", `refs/heads/${"e".repeat(40)}`, other]);
      await fetch();
      await expect(resolve("e".repeat(40))).rejects.toMatchObject({ code: "install.ref_not_found" });
    });

    test("what a git put in the place of HEAD is replaced, never followed", async () => {
      const commit = await source.commit({ a: "1" });
      await fetch();
      const [head, elsewhere] = [join(source.repoFolder, "HEAD"), join(source.root, "elsewhere")];
      writeFileSync(elsewhere, "ref: refs/heads/main\n");
      for (const put of [
        async () => symlinkSync(elsewhere, head),
        () => runTool(["mkfifo", head], { env: { PATH: "/usr/bin:/bin" }, timeoutMs: 10_000, maxBytes: 1_024 }),
        async () => mkdirSync(join(head, "refs"), { recursive: true }),
        async () => writeFileSync(head, "ref: ../elsewhere\n"),
        async () => writeFileSync(head, `${commit}\n`),
        async () => writeFileSync(head, "ref: refs/heads/main\nref: refs/heads/other\n"),
      ]) {
        rmSync(head, { recursive: true });
        await put();
        expect(await readHead(source.repoFolder)).toBeUndefined();
        await fetch();
        expect(await resolve()).toEqual({ commit, ref: "main" });
        expect(readFileSync(head, "utf8")).toBe("ref: refs/heads/main\n");
      }
      expect(readFileSync(elsewhere, "utf8")).toBe("ref: refs/heads/main\n");
    });

    test("refs named like options are fetched as names and never asked for", async () => {
      const commit = await source.commit({ a: "1" });
      for (const name of ["-x", "--upload-pack=touch", "tmp_branch"])
        await source.run(["update-ref", `refs/heads/${name}`, commit]);
      await fetch();
      await fetch();
      expect(await resolve("tmp_branch")).toEqual({ commit, ref: "tmp_branch" });
      await expect(resolve("-x")).rejects.toMatchObject({ code: "install.invalid_ref" });
    });
  });

  describe("fetchRepository refuses and runs nothing", () => {
    test("a hostile local source runs nothing", async () => {
      const canary = join(source.root, "canary");
      const script = `#!/bin/sh\ntouch '${canary}'\n`;
      const hooks = join(source.root, "hooks");
      mkdirSync(hooks);
      for (const name of ["post-checkout", "reference-transaction", "pre-receive", "post-index-change", "pre-auto-gc"])
        for (const folder of [hooks, join(source.folder, ".git/hooks")]) {
          mkdirSync(folder, { recursive: true });
          writeFileSync(join(folder, name), script);
          chmodSync(join(folder, name), 0o755);
        }
      await source.commit({ ".gitattributes": "* filter=lfs\n", a: "1", b: "2" });
      const missing = await source.run(["rev-parse", "HEAD:b"]);
      const settings = [
        ["core.hooksPath", hooks],
        ["core.fsmonitor", `touch '${canary}'`],
        ["core.sshCommand", `touch '${canary}'`],
        ["core.alternateRefsCommand", `touch '${canary}'`],
        ["filter.lfs.smudge", `touch '${canary}'`],
        ["filter.lfs.process", `touch '${canary}'`],
        ["uploadpack.packObjectsHook", `touch '${canary}'`],
        ["extensions.partialClone", "evil"],
        ["remote.evil.url", source.folder],
        ["remote.evil.promisor", "true"],
        ["remote.evil.uploadpack", `touch '${canary}'; git-upload-pack`],
      ];
      for (const [key, value] of settings) await source.run(["config", key!, value!]);
      rmSync(canary, { force: true });
      // A missing object of a partial clone makes git fetch it by the command of the source's own config.
      rmSync(join(source.folder, ".git/objects", missing.slice(0, 2), missing.slice(2)));
      await expect(fetch()).rejects.toMatchObject({ code: "install.clone_failed" });
      expect(existsSync(canary)).toBe(false);
      expect(existsSync(source.repoFolder)).toBe(false);
    });

    test("settings and hooks planted in Core's own repository count for nothing", async () => {
      await source.commit({ a: "1" });
      await fetch();
      const canary = join(source.root, "canary");
      const planted = [
        `[core]\n\tsshCommand = touch ${canary}\n\tfsmonitor = touch ${canary}\n`,
        `[remote "${source.url.text}"]\n\turl = ext::sh -c touch% ${canary}\n\tuploadpack = touch ${canary}; git-upload-pack\n`,
        `[url "ext::sh -c touch% ${canary} "]\n\tinsteadOf = file://\n[protocol "ext"]\n\tallow = always\n`,
      ];
      writeFileSync(join(source.repoFolder, "config"), planted.join(""));
      mkdirSync(join(source.repoFolder, "hooks"), { recursive: true });
      writeFileSync(join(source.repoFolder, "hooks/reference-transaction"), `#!/bin/sh\ntouch ${canary}\n`, {
        mode: 0o755,
      });
      const next = await source.commit({ a: "2" });
      await fetch();
      expect((await resolve()).commit).toBe(next);
      expect(existsSync(canary)).toBe(false);
      expect(readFileSync(join(source.repoFolder, "config"), "utf8")).not.toContain("insteadOf");
    });

    test("a repository over the size limit leaves nothing behind", async () => {
      const noise = new Uint8Array(3 * 1024 * 1024);
      for (let index = 0; index < noise.length; index += 65_536)
        crypto.getRandomValues(noise.subarray(index, index + 65_536));
      await source.commit({ big: noise });
      await expect(fetch({ maxBytes: 1024 * 1024 })).rejects.toMatchObject({
        code: "install.limit_exceeded",
        details: { limit: "install.max_bytes" },
      });
      expect(existsSync(source.repoFolder)).toBe(false);
    });

    test("the time limit and the caller's signal end it", async () => {
      await source.commit({ a: "1" });
      await expect(fetch({ timeoutMs: 1 })).rejects.toMatchObject({ code: "install.limit_exceeded" });
      const given = new AbortController();
      const reason = new Error("given up");
      const fetching = fetch({ signal: given.signal });
      given.abort(reason);
      await expect(fetching).rejects.toBe(reason);
      expect(existsSync(source.repoFolder)).toBe(false);
    });

    test("a failed update keeps the older repository usable", async () => {
      const commit = await source.commit({ a: "1" });
      await fetch();
      rmSync(source.folder, { recursive: true });
      await expect(fetch()).rejects.toMatchObject({ code: "install.clone_failed" });
      expect((await resolve()).commit).toBe(commit);
    });

    test("a source that is missing, no repository or a bundle file is a failed clone", async () => {
      const bundle = join(source.root, "bundle");
      await source.commit({ a: "1" });
      await source.run(["bundle", "create", "-q", bundle, "main"]);
      for (const path of [join(source.root, "missing"), source.root, bundle]) {
        const url = parseGitUrl(path, { allowSsh: false, allowLocal: true });
        await expect(fetch({ url })).rejects.toMatchObject({ code: "install.clone_failed" });
      }
      expect(readdirSync(source.root).sort()).toEqual(["bundle", "core", "source"]);
    });

    test("refuses a local source that belongs to another user", async () => {
      await source.commit({ a: "1" });
      // Only root can give a folder away; anybody else meets root's own folders.
      const isRoot = process.geteuid?.() === 0;
      if (isRoot) chownSync(join(source.folder, ".git"), 12345, 12345);
      const url = isRoot ? source.url : parseGitUrl("/usr", { allowSsh: false, allowLocal: true });
      await expect(fetch({ url })).rejects.toMatchObject({
        code: "install.clone_failed",
        message: expect.stringContaining("the local repository belongs to another user"),
      });
    });

    test("git's own check of a hostile tree is reported as an unsafe tree", async () => {
      const inner = await source.tree([{ mode: "100644", id: await source.blob("x"), name: "config" }]);
      await source.commitTree(await source.tree([{ mode: "40000", id: inner, name: ".GIT" }]));
      await expect(fetch()).rejects.toMatchObject({ code: "install.unsafe_tree", details: { reason: "hasDotgit" } });
      expect(existsSync(source.repoFolder)).toBe(false);
    });

    test("https is tried with https only and fails without an answer", async () => {
      const url = parseGitUrl("https://127.0.0.1:1/a.git", { allowSsh: false, allowLocal: false });
      await expect(fetch({ url })).rejects.toMatchObject({ code: "install.clone_failed" });
      expect(existsSync(source.repoFolder)).toBe(false);
    });
  });
});
