import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runTool } from "../host/child-process.ts";
import { confirmSwap, guessJournal, interruptedSwap, readPrevious, swapBack, swapIn, undoSwap } from "./swap.ts";
import { removeTrash } from "../host/trash.ts";

let folder = "";
let root = "";
let staged = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "swap-"));
  root = join(folder, "agent");
  staged = join(folder, "staged");
  mkdirSync(root);
  stage("new");
});
afterEach(() => removeTrash(folder));

const STATE = { gitUrl: null, ref: null, commit: "old", treeHash: "", builtTreeHash: null };

function tree(place: string, text: string): void {
  for (const part of ["src", "repo.git"]) mkdirSync(join(place, part), { recursive: true });
  for (const file of ["tracked.json", "src/a", "repo.git/HEAD"]) writeFileSync(join(place, file), text);
}

function stage(text: string): void {
  mkdirSync(staged, { recursive: true });
  tree(staged, text);
}

function textOf(...place: string[]): string[] {
  return ["tracked.json", "src/a", "repo.git/HEAD"].map((file) => {
    const path = join(...place, file);
    return existsSync(path) ? readFileSync(path, "utf8") : "-";
  });
}

describe("a swap", () => {
  test("that fails before its journal leaves the installed agent alone", async () => {
    tree(root, "old");
    tree(join(root, "previous"), "older");
    // The journal cannot be written: its name is taken by a folder.
    mkdirSync(join(root, "installing.json"));
    await expect(swapIn(root, staged, "new", STATE)).rejects.toThrow();
    await undoSwap(root, staged);
    expect(textOf(root)).toEqual(["old", "old", "old"]);
    expect(textOf(root, "previous")).toEqual(["older", "older", "older"]);
  });

  test("undone without a journal changes nothing", async () => {
    tree(root, "old");
    await undoSwap(root, staged);
    expect(textOf(root)).toEqual(["old", "old", "old"]);
  });

  test("undone after its last step brings back both trees from before", async () => {
    tree(root, "old");
    tree(join(root, "previous"), "older");
    await swapIn(root, staged, "new", STATE);
    expect(textOf(root)).toEqual(["new", "new", "new"]);
    await undoSwap(root, staged);
    expect(textOf(root)).toEqual(["old", "old", "old"]);
    expect(textOf(root, "previous")).toEqual(["older", "older", "older"]);
    expect(interruptedSwap(root)).toBeUndefined();
  });

  test("of a rollback that fails leaves both trees where they were", async () => {
    tree(root, "new");
    await removeTrash(staged);
    stage("newer");
    await swapIn(root, staged, "newer", STATE);
    await confirmSwap(root, staged);
    await removeTrash(staged);
    expect(readPrevious(root)?.commit).toBe("old");
    await swapBack(root, staged, "old", { ...STATE, commit: "newer" });
    expect(textOf(root)).toEqual(["new", "new", "new"]);
    await undoSwap(root, staged);
    expect(textOf(root)).toEqual(["newer", "newer", "newer"]);
    expect(textOf(root, "previous")).toEqual(["new", "new", "new"]);
    expect(readPrevious(root)?.commit).toBe("old");
  });

  test("whose staging folder was emptied by the next start still brings back both trees from before", async () => {
    tree(root, "old");
    tree(join(root, "previous"), "older");
    await swapIn(root, staged, "new", STATE);
    await removeTrash(staged);
    await undoSwap(root, join(folder, "aside"));
    expect(textOf(root)).toEqual(["old", "old", "old"]);
    expect(textOf(root, "previous")).toEqual(["older", "older", "older"]);
  });

  test.each(["", "{", "null", '{"commit":1}', "[]"])("with a damaged journal is known as one: %s", async (text) => {
    writeFileSync(join(root, "installing.json"), text);
    expect(interruptedSwap(root)).toBe("damaged");
    tree(root, "new");
    tree(join(root, "previous"), "old");
    await undoSwap(root, join(folder, "aside"), guessJournal(root, true));
    expect(textOf(root)).toEqual(["old", "old", "old"]);
    expect(interruptedSwap(root)).toBeUndefined();
  });
});

describe("trash", () => {
  test("deletes read-only folders and paths that are too long", async () => {
    const trash = join(folder, "trash");
    mkdirSync(join(trash, "a/b"), { recursive: true });
    writeFileSync(join(trash, "a/b/file"), "");
    writeFileSync(join(folder, "kept"), "");
    symlinkSync(join(folder, "kept"), join(trash, "a/link"));
    const dig =
      'i=0; while [ $i -lt 40 ]; do d=$(printf "%0200d" $i); mkdir $d && cd -P $d || exit 1; i=$((i+1)); done; : > end';
    const dug = await runTool(["/bin/sh", "-c", dig], { cwd: trash, env: {}, timeoutMs: 10_000, maxBytes: 1000 });
    expect([dug.exitCode, dug.stderr.toString()]).toEqual([0, ""]);
    for (const name of ["a/b", "a"]) chmodSync(join(trash, name), 0o500);
    await removeTrash(trash);
    expect(existsSync(trash)).toBe(false);
    expect(existsSync(join(folder, "kept"))).toBe(true);
    await removeTrash(trash);
  });

  test("deletes a file and a link as they are", async () => {
    symlinkSync("/etc", join(folder, "link"));
    await removeTrash(join(folder, "link"));
    expect(existsSync("/etc")).toBe(true);
  });
});
