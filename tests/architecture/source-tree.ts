/**
 * Reads TypeScript sources into facts the rules of the house can be checked on: imports, capabilities, SQL text.
 * Everything is parsed with oxc-parser; nothing is guessed from text. Type-only imports are facts like any other.
 */
import { readdirSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join } from "node:path";
import { parseSync, Visitor, type Node } from "oxc-parser";

export type ImportFact = { specifier: string; line: number; typeOnly: boolean; dynamic: boolean };
/** Something a file does that the capability table speaks about, e.g. `process.env`, `sql`, `node:net`. */
export type UseFact = { capability: string; line: number };

export type SourceFile = {
  /** Path below the root that was read, with forward slashes. */
  path: string;
  lines: number;
  imports: ImportFact[];
  uses: UseFact[];
};

const SKIPPED_FOLDERS = new Set(["node_modules", "dist", "_build", "deps", ".git"]);

/** All .ts and .tsx files below `folders` of `root`, in order of path. A folder that is missing has no files. */
export function readSources(root: string, folders: string[]): SourceFile[] {
  return folders
    .flatMap((folder) => listFiles(root, folder))
    .filter((path) => /\.tsx?$/.test(path) && !path.endsWith(".d.ts"))
    .map((path) => readSource(path, readFileSync(join(root, path), "utf8")));
}

function listFiles(root: string, folder: string): string[] {
  const entries = readdirSync(join(root, folder), { withFileTypes: true, recursive: false });
  return entries
    .sort((left, right) => (left.name < right.name ? -1 : 1))
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) return SKIPPED_FOLDERS.has(entry.name) ? [] : listFiles(root, path);
      return entry.isFile() ? [path] : [];
    });
}

function readSource(path: string, text: string): SourceFile {
  const { program, errors } = parseSync(path, text);
  if (errors[0] !== undefined) throw new Error(`${path} does not parse: ${errors[0].message}`);
  const lineOf = (node: Node): number => text.slice(0, node.start).split("\n").length;
  const imports = readImports(program, lineOf);
  return {
    path,
    lines: text.trimEnd().split("\n").length,
    imports,
    uses: [
      ...imports
        .filter((fact) => isBuiltin(fact.specifier) && !fact.typeOnly)
        .map((fact) => ({ capability: builtinName(fact.specifier), line: fact.line })),
      ...readUses(program, lineOf),
    ],
  };
}

/** `child_process` and `node:child_process` are the same door. */
function builtinName(specifier: string): string {
  return specifier.startsWith("node:") ? specifier : `node:${specifier}`;
}

type Program = ReturnType<typeof parseSync>["program"];
type LineOf = (node: Node) => number;

function readImports(program: Program, lineOf: LineOf): ImportFact[] {
  const facts: ImportFact[] = [];
  const add = (node: Node, specifier: string, typeOnly: boolean, dynamic = false): void => {
    facts.push({ specifier, line: lineOf(node), typeOnly, dynamic });
  };
  new Visitor({
    ImportDeclaration: (node) => {
      const inline = node.specifiers.every((one) => one.type === "ImportSpecifier" && one.importKind === "type");
      add(node, node.source.value, node.importKind === "type" || (node.specifiers.length > 0 && inline));
    },
    ExportAllDeclaration: (node) => add(node, node.source.value, node.exportKind === "type"),
    ExportNamedDeclaration: (node) => {
      if (node.source !== null) add(node, node.source.value, node.exportKind === "type");
    },
    TSImportType: (node) => add(node, String(node.source.value), true),
    ImportExpression: (node) => {
      const literal = node.source.type === "Literal" && typeof node.source.value === "string";
      add(node, literal ? String((node.source as { value: unknown }).value) : "<computed>", false, true);
    },
  }).visit(program);
  return facts;
}

/** Starts of SQL statements. Keywords alone must be upper case, so that prose ("Select an agent") is not SQL. */
const SQL_TEXT = [
  /^\s*(SELECT|PRAGMA|SAVEPOINT|RELEASE|VACUUM|ATTACH|COMMIT|ROLLBACK|BEGIN)\b(?![.:'-])/,
  /^\s*(insert (or \w+ )?into|update \w+ set|delete from|pragma \w+|with \w+ as)\b/i,
  /^\s*(create (temp |unique |virtual )*|drop |alter )(table|index|trigger|view)\b/i,
];

function isSql(text: string): boolean {
  return SQL_TEXT.some((pattern) => pattern.test(text));
}

function readUses(program: Program, lineOf: LineOf): UseFact[] {
  const facts: UseFact[] = [];
  const add = (node: Node, capability: string): void => {
    facts.push({ capability, line: lineOf(node) });
  };
  new Visitor({
    Literal: (node) => {
      if (typeof node.value === "string" && isSql(node.value)) add(node, "sql");
    },
    TemplateLiteral: (node) => {
      if (isSql(node.quasis[0]?.value.cooked ?? "")) add(node, "sql");
    },
    MemberExpression: (node) => {
      const member = memberName(node);
      if (isNamed(node.object, "process") && PROCESS_MEMBERS.has(member)) add(node, `process.${member}`);
      if (isNamed(node.object, "globalThis") && GLOBALS.has(member)) add(node, member);
    },
    VariableDeclarator: (node) => {
      if (node.init === null || !isNamed(node.init, "process") || node.id.type !== "ObjectPattern") return;
      for (const property of node.id.properties) {
        const name = property.type === "Property" ? keyName(property.key) : "env";
        if (PROCESS_MEMBERS.has(name)) add(node, `process.${name}`);
      }
    },
    ImportDeclaration: (node) => {
      if (builtinName(node.source.value) !== "node:process") return;
      for (const one of node.specifiers) {
        const name = one.type === "ImportSpecifier" ? keyName(one.imported) : "";
        if (PROCESS_MEMBERS.has(name)) add(node, `process.${name}`);
      }
    },
    CallExpression: (node) => {
      if (node.callee.type === "Identifier" && GLOBALS.has(node.callee.name)) add(node, node.callee.name);
      if (node.callee.type === "MemberExpression" && memberName(node.callee) === "transaction")
        add(node, ".transaction()");
    },
    NewExpression: (node) => {
      if (node.callee.type === "Identifier" && GLOBALS.has(node.callee.name)) add(node, node.callee.name);
    },
    ImportExpression: (node) => {
      if (node.source.type !== "Literal") add(node, "computed import()");
    },
  }).visit(program);
  return facts;
}

const PROCESS_MEMBERS = new Set(["env", "getBuiltinModule", "binding", "dlopen"]);
const GLOBALS = new Set(["fetch", "WebSocket", "EventSource", "eval", "Function", "require"]);

function isNamed(node: Node, name: string): boolean {
  if (node.type === "Identifier") return node.name === name;
  return node.type === "MemberExpression" && isNamed(node.object, "globalThis") && memberName(node) === name;
}

function memberName(node: Extract<Node, { type: "MemberExpression" }>): string {
  return keyName(node.property);
}

function keyName(node: Node): string {
  if (node.type === "Identifier" || node.type === "PrivateIdentifier") return node.name;
  return node.type === "Literal" ? String(node.value) : "";
}
