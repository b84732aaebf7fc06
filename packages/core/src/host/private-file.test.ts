import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runTool } from "./child-process.ts";
import { appendPrivateFile, ensurePrivateFolder, readPrivateFile, writePrivateFile } from "./private-file.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "private-file-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});
const mode = (path: string) => lstatSync(path).mode & 0o7777;

describe("writePrivateFile", () => {
  test("writes with mode 0600, narrows an older file and leaves no temporary file", async () => {
    const path = join(folder, "token");
    writeFileSync(path, "old", { mode: 0o644 });
    await writePrivateFile(path, "new");
    expect(readFileSync(path, "utf8")).toBe("new");
    expect(mode(path)).toBe(0o600);
    expect(readdirSync(folder)).toEqual(["token"]);
  });

  test("replaces a symlink instead of writing through it", async () => {
    const victim = join(folder, "victim");
    writeFileSync(victim, "untouched");
    symlinkSync(victim, join(folder, "token"));
    await writePrivateFile(join(folder, "token"), "secret");
    expect(readFileSync(victim, "utf8")).toBe("untouched");
    expect(lstatSync(join(folder, "token")).isFile()).toBe(true);
  });

  test("removes its temporary file when the target is a folder", async () => {
    mkdirSync(join(folder, "token"));
    await expect(writePrivateFile(join(folder, "token"), "x")).rejects.toThrow();
    expect(readdirSync(folder)).toEqual(["token"]);
  });
});

describe("appendPrivateFile", () => {
  test("creates with mode 0600 and appends", async () => {
    const path = join(folder, "checkpoints");
    await appendPrivateFile(path, "a\n");
    await appendPrivateFile(path, "b\n");
    expect(readFileSync(path, "utf8")).toBe("a\nb\n");
    expect(mode(path)).toBe(0o600);
  });

  test("refuses to append through a symlink", async () => {
    writeFileSync(join(folder, "victim"), "");
    symlinkSync("victim", join(folder, "link"));
    await expect(appendPrivateFile(join(folder, "link"), "x")).rejects.toMatchObject({ code: "ELOOP" });
    expect(readFileSync(join(folder, "victim"), "utf8")).toBe("");
  });
});

describe("readPrivateFile", () => {
  test("reads up to its limit", () => {
    const path = join(folder, "file");
    writeFileSync(path, "grüße");
    expect(readPrivateFile(path, 7)).toBe("grüße");
    expect(() => readPrivateFile(path, 6)).toThrow("it has 7 bytes, and at most 6 are read");
    expect(() => readPrivateFile(join(folder, "none"), 6)).toThrow(expect.objectContaining({ code: "ENOENT" }));
  });

  test("refuses a FIFO, a link, a folder, a hole and a file of another user at once", async () => {
    await runTool(["mkfifo", join(folder, "fifo")], { cwd: folder, env: {}, timeoutMs: 10_000, maxBytes: 1_000 });
    writeFileSync(join(folder, "real"), "x");
    symlinkSync("real", join(folder, "link"));
    writeFileSync(join(folder, "hole"), "");
    truncateSync(join(folder, "hole"), 10 * 1024 ** 3);
    expect(() => readPrivateFile(join(folder, "fifo"), 10)).toThrow("it is not a regular file");
    expect(() => readPrivateFile(folder, 10)).toThrow("it is not a regular file");
    expect(() => readPrivateFile(join(folder, "link"), 10)).toThrow(expect.objectContaining({ code: "ELOOP" }));
    expect(() => readPrivateFile(join(folder, "hole"), 10)).toThrow("at most 10 are read");
    const foreign = process.geteuid?.() === 0 ? join(foreignFolder(), "file") : "/etc/passwd";
    if (process.geteuid?.() === 0) {
      writeFileSync(foreign, "");
      chownSync(foreign, 12345, 12345);
    }
    expect(() => readPrivateFile(foreign, 100_000)).toThrow("it belongs to another user");
    await expect(appendPrivateFile(join(folder, "fifo"), "x")).rejects.toMatchObject({ code: "ENXIO" });
  });
});

describe("ensurePrivateFolder", () => {
  test("creates the folder and its parents with mode 0700", async () => {
    await ensurePrivateFolder(join(folder, "a/b"));
    await ensurePrivateFolder(join(folder, "a/b"));
    expect([mode(join(folder, "a")), mode(join(folder, "a/b"))]).toEqual([0o700, 0o700]);
  });

  test("narrows a folder that others can enter", async () => {
    mkdirSync(join(folder, "open"));
    chmodSync(join(folder, "open"), 0o777);
    await ensurePrivateFolder(join(folder, "open"));
    expect(mode(join(folder, "open"))).toBe(0o700);
  });

  test("refuses a symlink, a file and a folder of another user", async () => {
    mkdirSync(join(folder, "real"));
    symlinkSync("real", join(folder, "link"));
    writeFileSync(join(folder, "file"), "");
    const foreign = process.geteuid?.() === 0 ? foreignFolder() : "/";
    for (const path of [join(folder, "link"), join(folder, "file"), foreign])
      await expect(ensurePrivateFolder(path)).rejects.toMatchObject({ code: "core.unsafe_folder" });
  });
});

/** Only root can give a folder away; anybody else meets root's own folders. */
function foreignFolder(): string {
  const path = join(folder, "foreign");
  mkdirSync(path);
  chownSync(path, 12345, 12345);
  return path;
}
