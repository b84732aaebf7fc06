/** Words that no file of the repository may hold: paths of somebody's machine, and where packages were fetched from. */
import { execFileSync } from "node:child_process";
import { existsSync, lstatSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Finding } from "./rules.ts";

/** Pattern → why it is banned. Written in pieces, so that this file does not hold what it bans. */
const BANNED_WORDS: [RegExp, string][] = [
  [new RegExp(["/wo", "rk/"].join("")), "path of one machine"],
  [new RegExp(["(HOU", "SE|LES", "SONS)\\.md"].join("")), "document outside the repository"],
  [new RegExp(["\\.\\./sha", "red\\b"].join("")), "folder outside the repository"],
];
const RESOLVED = /"resolved":\s*"https?:/;

/** Files that git tracks or would track, read as text; links and vanished files are passed over. */
export function listTrackedFiles(root: string): string[] {
  const output = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  return output
    .split("\0")
    .filter((path) => path !== "" && existsSync(join(root, path)) && lstatSync(join(root, path)).isFile());
}

export function checkWords(root: string, paths: string[]): Finding[] {
  return paths.flatMap((path) => {
    const text = readFileSync(join(root, path), "utf8");
    const patterns: [RegExp, string][] =
      basename(path) === "package-lock.json" ? [...BANNED_WORDS, [RESOLVED, "registry address"]] : BANNED_WORDS;
    return patterns
      .filter(([pattern]) => pattern.test(text))
      .map(([, what]) => ({ rule: "banned word", where: path, what }));
  });
}
