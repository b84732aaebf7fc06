import { describe, expect, test } from "vitest";
import { checkTreePath, isDotGit, staysInside, TreePaths } from "./tree-path.ts";

describe("checkTreePath", () => {
  test.each(["a", "a/b.c", ".gitignore", ".gitattributes", ".github/x", "git", "git~", "gita~1", "a\\x2db", "ü/中"])(
    "takes %s",
    (path) => {
      expect(() => checkTreePath(path)).not.toThrow();
    },
  );

  test.each([
    "",
    "/etc/passwd",
    "..",
    "a/../b",
    "./a",
    "a//b",
    "a/",
    "a\\..\\b",
    "a\nb",
    "a\u001b[2J",
    "a\u0085b",
    "a\ufffd",
    `${"a".repeat(256)}/b`,
    "a/".repeat(2_100) + "a",
  ])("refuses %j", (path) => {
    expect(() => checkTreePath(path)).toThrow(expect.objectContaining({ code: "install.unsafe_tree" }));
  });

  test.each([
    ".git",
    ".GIT",
    ".Git",
    "git~1",
    "GIT~2",
    ".g\u200cit",
    "\ufeff.git",
    ".git.",
    ".git ",
    ".git . .",
    ".git::$INDEX_ALLOCATION",
    ".git:x",
    "\uff0egit",
    "a\\.git",
  ])("refuses .git in every spelling: %j", (name) => {
    expect(isDotGit(name.split("\\").at(-1)!)).toBe(true);
    for (const path of [name, `${name}/config`, `deep/${name}/config`])
      expect(() => checkTreePath(path)).toThrow(expect.objectContaining({ code: "install.unsafe_tree" }));
  });

  test("shows the path without control characters", () => {
    let details: unknown;
    try {
      checkTreePath("a\u001b[31m\u202eb");
    } catch (error) {
      details = (error as { details: unknown }).details;
    }
    expect(details).toEqual({ path: "a\\x1b[31m\\u202eb", reason: "it holds control characters" });
  });
});

describe("TreePaths", () => {
  const add = (...paths: string[]) => {
    const known = new TreePaths();
    for (const path of paths) known.addFile(path);
  };

  test("takes many files in the same folders", () => {
    expect(() => add("a/b/c", "a/b/d", "a/e", "f")).not.toThrow();
  });

  test.each([
    ["README", "readme"],
    ["Src/a", "src/b"],
    ["stra\u00dfe", "STRASSE"],
    ["\u00e9", "e\u0301"],
    ["a", "a/b"],
    ["a/b", "a"],
    ["a", "a"],
  ])("refuses %s beside %s", (one, other) => {
    expect(() => add(one, other)).toThrow(expect.objectContaining({ code: "install.unsafe_tree" }));
  });
});

describe("staysInside", () => {
  test.each([
    ["a", "b"],
    ["a/b", "../c"],
    ["a/b/c", "../../d/../e"],
    ["a", "./b//c"],
    ["a/b", ".."],
  ])("%s -> %s stays", (path, text) => expect(staysInside(path, text)).toBe(true));

  test.each([
    ["a", "/etc/passwd"],
    ["a", ".."],
    ["a", "../b"],
    ["a/b", "../../c"],
    ["a/b", "c/../../../d/e/f"],
    ["a", ""],
    ["a", "C:/x"],
    ["a", "..\\x"],
    ["a", "b\0c"],
  ])("%s -> %j leaves", (path, text) => expect(staysInside(path, text)).toBe(false));
});
