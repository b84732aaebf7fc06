/**
 * The walls of the house as checks: facts of source files in, findings out. The tables themselves stand in
 * tests/architecture.test.ts; here is only what their words mean.
 *
 * A row of `arrows` names who imports (a folder of packages/core/src, or a file there) and what it may import:
 *   "catalog"            the door of that folder, catalog/catalog.ts
 *   "host/paths"         that one file (folders of `manyDoors` are named file by file, or whole: "host")
 *   "type:host/config"   that one file, for types only
 *   "dynamic:daemon"     that file at the root of src, by import() only
 *   "*"                  every door
 * Type-only imports count as arrows; they open no capability, since nothing of them is left at run time.
 * Tests beside the code compose real parts, so they may import every door and tests/support, yet no folder's rooms.
 */
import { posix } from "node:path";
import type { ImportFact, SourceFile } from "./source-tree.ts";

export type Rules = {
  arrows: Record<string, readonly string[]>;
  /** Folders of which every file is a door. */
  manyDoors: readonly string[];
  /** Capability or npm package → who may use it: a file, a folder with a slash at its end, or "*" inside a name. */
  capabilities: Record<string, readonly string[]>;
  /** Package folder → the only specifiers from outside that it may import. */
  packages: Record<string, readonly string[]>;
  bannedNames: readonly string[];
  maxLines: number;
  minFiles: number;
};

export type Finding = { rule: string; where: string; what: string };

const CORE = "packages/core/src/";

export function checkRules(files: SourceFile[], rules: Rules): Finding[] {
  const known = new Set(files.map((file) => file.path));
  const production = files.filter((file) => !isTest(file.path));
  return [
    ...checkSize(files, rules),
    ...files.flatMap((file) => checkName(file, rules)),
    ...files.flatMap((file) => file.imports.flatMap((fact) => checkImport(file, fact, rules, known))),
    ...production.flatMap((file) => checkCapabilities(file, rules)),
    ...checkUnusedRows(production, rules),
  ];
}

function checkSize(files: SourceFile[], rules: Rules): Finding[] {
  const findings: Finding[] = [];
  const count = files.filter((file) => file.path.startsWith("packages/")).length;
  if (count < rules.minFiles) {
    findings.push({
      rule: "too few files",
      where: "packages",
      what: `saw ${count}, expected at least ${rules.minFiles}`,
    });
  }
  for (const file of files) {
    if (file.lines > rules.maxLines) findings.push(found("too long", file, 1, `${file.lines} lines`));
  }
  return findings;
}

function checkName(file: SourceFile, rules: Rules): Finding[] {
  const names = file.path.split("/").map((part) => part.replace(/\..*$/, ""));
  const banned = names.filter((name) => rules.bannedNames.includes(name));
  const isPackageRoot = /^packages\/[^/]+\/src\/index\.ts$/.test(file.path);
  if (names.at(-1) === "index" && !isPackageRoot) banned.push("index");
  return banned.map((name) => found("banned name", file, 1, name));
}

function checkImport(file: SourceFile, fact: ImportFact, rules: Rules, known: Set<string>): Finding[] {
  if (!file.path.startsWith("packages/") || fact.specifier === "<computed>") return [];
  if (fact.specifier.startsWith(".")) return checkRelative(file, fact, rules, known);
  const home = file.path.split("/").slice(0, 2).join("/");
  const allowed = rules.packages[home];
  const name = packageOf(fact.specifier);
  if (allowed === undefined) return [found("unknown package", file, fact.line, home)];
  if (isTest(file.path) && !fact.specifier.startsWith("@opensentience/")) return [];
  if (allowed.includes(name) || (allowed.includes("node:") && fact.specifier.startsWith("node:"))) return [];
  return [found("outside import", file, fact.line, fact.specifier)];
}

function checkRelative(file: SourceFile, fact: ImportFact, rules: Rules, known: Set<string>): Finding[] {
  const target = posix.join(posix.dirname(file.path), fact.specifier);
  const home = file.path.split("/").slice(0, 3).join("/");
  if (target === posix.join(home, "../package.json")) return [];
  if (isTest(file.path) && target.startsWith("tests/support/") && known.has(target)) return [];
  if (!target.startsWith(`${home}/`)) return [found("leaves its package", file, fact.line, fact.specifier)];
  if (!known.has(target)) return [found("unknown target", file, fact.line, fact.specifier)];
  if (!file.path.startsWith(CORE)) return [];
  const from = placeOf(file.path);
  const to = placeOf(target);
  if (from.folder !== "" && from.folder === to.folder) return [];
  const isDoor = to.folder === "" || to.name === to.folder || rules.manyDoors.includes(to.folder);
  if (!isDoor) return [found("not a door", file, fact.line, fact.specifier)];
  if (isTest(file.path)) return [];
  const row = from.folder === "" ? from.name : from.folder;
  const allowed = rules.arrows[row];
  if (allowed === undefined) return [found("no row", file, fact.line, row)];
  return allowed.some((arrow) => permits(arrow, to, fact, rules))
    ? []
    : [
        found(
          "forbidden arrow",
          file,
          fact.line,
          `${row} -> ${to.folder === "" ? to.name : `${to.folder}/${to.name}`}`,
        ),
      ];
}

type Place = { folder: string; name: string };

/** Folder and file name (no ending) below packages/core/src; a file at the root of src has the folder "". */
function placeOf(path: string): Place {
  const parts = path
    .slice(CORE.length)
    .replace(/\.tsx?$/, "")
    .split("/");
  return parts.length === 1
    ? { folder: "", name: parts[0] ?? "" }
    : { folder: parts[0] ?? "", name: parts.slice(1).join("/") };
}

function permits(arrow: string, to: Place, fact: ImportFact, rules: Rules): boolean {
  if (arrow === "*") return to.folder !== "" || to.name !== "bin";
  if (arrow.startsWith("type:")) return fact.typeOnly && permits(arrow.slice(5), to, fact, rules);
  if (arrow.startsWith("dynamic:")) return fact.dynamic && permits(arrow.slice(8), to, fact, rules);
  if (to.folder === "") return arrow === to.name && fact.dynamic;
  return arrow === to.folder || (rules.manyDoors.includes(to.folder) && arrow === `${to.folder}/${to.name}`);
}

function checkCapabilities(file: SourceFile, rules: Rules): Finding[] {
  if (!file.path.startsWith("packages/")) return [];
  const imported = file.imports
    .filter((fact) => !fact.typeOnly)
    .map((fact) => ({ capability: packageOf(fact.specifier), line: fact.line }));
  const uses = [...file.uses, ...imported.filter((use) => !use.capability.startsWith("node:"))];
  return uses
    .filter((use) => !mayUse(file.path, rules.capabilities[use.capability]))
    .map((use) => found("capability", file, use.line, use.capability));
}

function mayUse(path: string, doors: readonly string[] | undefined): boolean {
  return doors === undefined || doors.some((door) => opens(door, path));
}

function opens(door: string, path: string): boolean {
  if (door.includes("*")) return new RegExp(`^${door.replaceAll(".", "\\.").replaceAll("*", "[^/]+")}$`).test(path);
  return door.endsWith("/") ? path.startsWith(door) : path === door;
}

/** A row that fits nothing hides a typing error or a wall that is gone: each must be held by the tree it speaks about. */
function checkUnusedRows(files: SourceFile[], rules: Rules): Finding[] {
  const unused = (table: string, row: string): Finding => ({ rule: "unused row", where: table, what: row });
  const rows = new Set(
    files.filter((file) => file.path.startsWith(CORE)).map(({ path }) => placeOf(path).folder || placeOf(path).name),
  );
  const arrows = Object.keys(rules.arrows).filter((row) => !rows.has(row));
  const packages = Object.keys(rules.packages).filter((row) => !files.some(({ path }) => path.startsWith(`${row}/`)));
  const doors = Object.entries(rules.capabilities).flatMap(([capability, list]) =>
    list
      .filter((door) => !files.some((file) => opens(door, file.path) && usesCapability(file, capability)))
      .map((door) => `${capability} in ${door}`),
  );
  return [
    ...arrows.map((row) => unused("arrows", row)),
    ...packages.map((row) => unused("packages", row)),
    ...doors.map((row) => unused("capabilities", row)),
  ];
}

/** `hono/cors` is a part of the package hono; parts of our own packages are nobody's business. */
function packageOf(specifier: string): string {
  if (specifier.startsWith("@opensentience/") || specifier.startsWith("node:")) return specifier;
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}

function usesCapability(file: SourceFile, capability: string): boolean {
  return (
    file.uses.some((use) => use.capability === capability) ||
    file.imports.some((fact) => packageOf(fact.specifier) === capability)
  );
}

function isTest(path: string): boolean {
  return path.endsWith(".test.ts");
}

function found(rule: string, file: SourceFile, line: number, what: string): Finding {
  return { rule, where: `${file.path}:${line}`, what };
}
