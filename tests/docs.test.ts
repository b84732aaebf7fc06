/**
 * The documents say what the program does: tables of the code are compared with tables of the documents both ways, every
 * relative link leads somewhere, and every command line in a document is one that the command line would take.
 */
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { AUDIT_EVENTS } from "../packages/core/src/audit-log/events.ts";
import { parseLine } from "../packages/core/src/cli/arguments.ts";
import { exitCodeOf } from "../packages/core/src/cli/output.ts";
import { SETTINGS } from "../packages/core/src/host/config.ts";
import * as protocol from "../packages/protocol/src/index.ts";
import { ERROR_ADVICE } from "../packages/protocol/src/error-advice.ts";
import { CoreError, ERROR_CODES, ERROR_KINDS, type ErrorCode } from "../packages/protocol/src/errors.ts";
import { listTrackedFiles } from "./architecture/words.ts";
import { LOOKALIKES, mistakenLookalikes, missedShapes, redactedText, SHAPES } from "./support/redaction-corpus.ts";

const REPOSITORY = resolve(import.meta.dirname, "..");
/** Raise it when documents are added: a test that sees none must not pass. */
const MIN_DOCUMENTS = 25;

const read = (path: string): string => readFileSync(join(REPOSITORY, path), "utf8");
/** Sample data of an agent that looks for dead links. */
const isSample = (path: string): boolean => path.startsWith("examples/agents/link-checker/notes/");
const documents = listTrackedFiles(REPOSITORY).filter((path) => path.endsWith(".md") && !isSample(path));

/** Cells of the table rows whose first cell is one word in backticks, in order; code marks are taken off the cells. */
function tableRows(text: string, columns: number): string[][] {
  return text
    .split("\n")
    .filter((line) => /^\| `[^`]+` \|/.test(line))
    .map((line) =>
      line
        .slice(1, -1)
        .split("|")
        .map((cell) => cell.trim()),
    )
    .filter((cells) => cells.length === columns)
    .map((cells) => cells.map((cell) => cell.replace(/^`([^`]*)`$/, "$1")));
}

/** In one line of a table. */
function codeSpan(text: string): string {
  const ticks = text.includes("`") ? "``" : "`";
  return `${ticks}${text.replaceAll("\n", "\\n").replaceAll("|", String.raw`\|`)}${ticks}`;
}

/** The part of a document below one heading. */
function section(text: string, heading: string): string {
  return text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
}

describe("tables of the documents", () => {
  test("docs/errors.md has every error code with kind, exit code, meaning and advice", () => {
    const table = Object.entries(ERROR_CODES).map(([code, { kind, meaning }]) => [
      code,
      kind,
      String(exitCodeOf(new CoreError(code as ErrorCode, meaning))),
      meaning,
      ERROR_ADVICE[code as ErrorCode],
    ]);
    expect(tableRows(read("docs/errors.md"), 5)).toEqual(table);
  });

  test("advice names only commands and settings that exist", () => {
    const advice = Object.entries(ERROR_ADVICE);
    const lines = advice.flatMap(([code, text]) =>
      [...text.matchAll(/`(opensentience [^`]+)`/g)].map(([, line = ""]) => ({ code, line })),
    );
    expect(lines.length).toBeGreaterThanOrEqual(30);
    expect(lines.flatMap(({ code, line }) => refusal(code, line))).toEqual([]);
    const settings = advice.flatMap(
      ([, text]) => text.match(/\b(?:install|build|launcher|tools)\.[a-z_]+|\bscan_[a-z]+/g) ?? [],
    );
    expect(settings.length).toBeGreaterThanOrEqual(5);
    expect(settings.filter((key) => !Object.hasOwn(SETTINGS, key))).toEqual([]);
  });

  test("docs/errors.md has every kind with exit code and HTTP status", () => {
    const rows = [...section(read("docs/errors.md"), "Kinds").matchAll(/^\| (\w+) \| (\d+) \| (\d+) \|/gm)];
    const table = Object.entries(ERROR_KINDS).map(([kind, { exit, status }]) => [kind, String(exit), String(status)]);
    expect(rows.map(([, ...cells]) => cells)).toEqual(table);
  });

  test("docs/audit-events.md has every event with severity, meaning and metadata keys", () => {
    const table = Object.entries(AUDIT_EVENTS).map(([type, { severity, meaning, metadata }]) => [
      type,
      severity,
      meaning,
      [...metadata],
    ]);
    const rows = tableRows(read("docs/audit-events.md"), 4);
    expect(rows.map(([type, severity, meaning, keys = ""]) => [type, severity, meaning, keys.match(/\w+/g)])).toEqual(
      table,
    );
  });

  test("docs/redaction.md has the score of the corpus as it is, and every shape with what becomes of it", () => {
    const page = read("docs/redaction.md");
    const found = `${SHAPES.length - missedShapes().length} of ${SHAPES.length}`;
    expect(page).toContain(`| credentials redacted | ${found} |\n`);
    expect(page).toContain(
      `| look-alikes redacted by mistake | ${mistakenLookalikes().length} of ${LOOKALIKES.length} |\n`,
    );
    const table = SHAPES.map((shape) => `| ${shape.name} | ${codeSpan(redactedText(shape))} |`);
    const rows = page.split("| shape | becomes |\n|---|---|\n")[1]?.split("\n\n")[0]?.split("\n");
    expect(rows).toEqual(table);
    const secrets = SHAPES.flatMap((shape) => shape.secrets);
    expect(secrets.filter((secret) => page.includes(secret))).toEqual([]);
  });

  test("docs/operating.md has every setting with default, range and environment name", () => {
    const table = Object.entries(SETTINGS).map(([key, setting]) => [
      key,
      setting.default,
      "min" in setting ? `${setting.min} to ${setting.max}` : "",
      "environment" in setting ? setting.environment : "",
    ]);
    const rows = tableRows(section(read("docs/operating.md"), "Settings"), 5);
    expect(
      rows.map(([key, value = "", ...cells]) => [key, JSON.parse(value) as unknown, ...cells.slice(0, 2)]),
    ).toEqual(table);
  });
});

describe("docs/sdk.md", () => {
  const page = read("docs/sdk.md");
  const rowsOf = (heading: string, columns: number): string[] =>
    tableRows(section(page, heading), columns).map(([name = ""]) => name);
  /** Members of an exported type, in order. */
  const membersOf = (file: string, type: string): string[] => {
    const [, body = ""] =
      new RegExp(`^export type ${type} = \\{\\n([\\s\\S]*?)^\\};`, "m").exec(read(`packages/sdk/src/${file}.ts`)) ?? [];
    return [...body.matchAll(/^ {2}(\w+)\??:/gm)].map(([, name = ""]) => name);
  };

  test("has every export", () => {
    const exports = [...read("packages/sdk/src/index.ts").matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(
      ([, names = ""]) => names.split(",").map((name) => name.replace(/\btype\b/, "").trim()),
    );
    expect(exports.length).toBeGreaterThanOrEqual(10);
    expect(rowsOf("Exports", 2).toSorted()).toEqual(exports.toSorted());
  });

  test.each([
    ["defineAgent", 3, membersOf("agent", "AgentDefinition")],
    ["tool", 3, membersOf("tool", "Tool").filter((name) => name !== "handler")],
    ["The context of a call", 2, membersOf("call-context", "CallContext")],
    ["Calling other agents", 2, membersOf("outgoing-calls", "AskOptions")],
    [
      "Without tools",
      2,
      [...membersOf("agent-environment", "AgentEnvironment"), ...membersOf("on-stop", "StopOptions")],
    ],
  ])("has under %s every option", (heading, columns, members) => {
    expect(members.length).toBeGreaterThanOrEqual(3);
    expect(rowsOf(heading, columns)).toEqual(members);
  });

  test("has the limits as they are, and codes that there are", () => {
    const rows = tableRows(section(page, "Limits"), 2);
    expect(rows.length).toBeGreaterThanOrEqual(5);
    const limits: Record<string, unknown> = protocol;
    expect(rows.map(([name = "", value]) => [name, value])).toEqual(
      rows.map(([name = ""]) => [name, String(limits[name])]),
    );
    expect(rowsOf("Errors", 2).filter((code) => !Object.hasOwn(ERROR_CODES, code))).toEqual([]);
  });
});

describe("docs/hard-cases.md", () => {
  const page = read("docs/hard-cases.md");
  const cellsOf = (line: string): string[] =>
    line
      .slice(1, -1)
      .split(" | ")
      .map((cell) => cell.trim());

  test("lists exactly the tests that are named by a number, where they are", () => {
    const rows = page.split("\n").filter((line) => /^\| \d+ \|/.test(line));
    const listed = rows.map((row) => {
      const [number, name, , file] = cellsOf(row);
      return `${file?.replaceAll("`", "")}: ${number} ${name}`;
    });
    const files = listTrackedFiles(REPOSITORY).filter((path) => /^tests\/integration\/.*\.test\.ts$/.test(path));
    const tests = files.flatMap((path) =>
      [...read(path).matchAll(/(?:test\(|\[)\s*"(\d{1,2} [a-zA-Z][^"]*)",/g)].map(
        ([, name]) => `${basename(path)}: ${name}`,
      ),
    );
    expect(new Set(listed.map((one) => /: (\d+) /.exec(one)?.[1])).size).toBe(22);
    expect(listed.toSorted()).toEqual(tests.toSorted());
  });

  test("names only tests that there are", () => {
    const rows = page.split("\n").filter((line) => /^\| .* \| "/.test(line));
    expect(rows.length).toBeGreaterThanOrEqual(25);
    const absent = rows.filter((row) => {
      const [, name = "", path = ""] = /^"(.+)" in `([^`]+)`$/.exec(cellsOf(row).at(-1) ?? "") ?? [];
      return name === "" || !existsSync(join(REPOSITORY, path)) || !read(path).includes(`"${name}"`);
    });
    expect(absent).toEqual([]);
  });
});

describe("every document", () => {
  test("is seen here", () => {
    expect(documents.length).toBeGreaterThanOrEqual(MIN_DOCUMENTS);
    expect(documents).toContain("README.md");
  });

  test("links only to what is there, headings included", () => {
    expect(documents.flatMap((path) => deadLinks(path))).toEqual([]);
  });

  test("names only commands and options that exist", () => {
    const checked = documents.filter((path) => path !== "docs/cli.md").flatMap((path) => commandLines(path));
    expect(checked.length).toBeGreaterThanOrEqual(30);
    expect(checked.flatMap(({ path, line }) => refusal(path, line))).toEqual([]);
  });

  test("has the check notice a wrong link, command and option", () => {
    expect(refusal("x", "opensentience agents fly com.example.echo")).toHaveLength(1);
    expect(refusal("x", "opensentience audit verify --fast")).toHaveLength(1);
    expect(refusal("x", "npx opensentience audit verify --json # all of it")).toEqual([]);
    expect(linkFaults("x.md", "[a](nowhere.md) [b](README.md#no-such-heading) [c](https://example.com)")).toHaveLength(
      2,
    );
  });
});

function deadLinks(path: string): string[] {
  return linkFaults(path, withoutCode(read(path)));
}

function linkFaults(path: string, text: string): string[] {
  const targets = [...text.matchAll(/\]\(([^()\s]+)\)/g)].map(([, target = ""]) => target);
  const relative = targets.filter((target) => !/^[a-z][a-z+.-]*:/i.test(target));
  return relative.filter((target) => !leadsSomewhere(path, target)).map((target) => `${path} -> ${target}`);
}

function leadsSomewhere(path: string, target: string): boolean {
  const [file = "", anchor] = target.split("#");
  const found = file === "" ? path : join(dirname(path), file);
  if (found.startsWith("..") || !existsSync(join(REPOSITORY, found))) return false;
  return anchor === undefined || headings(read(found)).includes(anchor);
}

/** Anchors as git hosts make them of headings. */
function headings(text: string): string[] {
  return [...withoutCode(text).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

function withoutCode(text: string): string {
  return text.replaceAll(/^ *```[\s\S]*?^ *```/gm, "");
}

/** Command lines in fenced blocks (with or without a prompt), in indented blocks and in code spans. */
function commandLines(path: string): { path: string; line: string }[] {
  const text = read(path);
  const blocks = [...text.matchAll(/^ *```[a-z]*\n([\s\S]*?)^ *```/gm)].map(([, block = ""]) => block);
  const lines = [...blocks.join("\n").split("\n"), ...text.split("\n").filter((line) => line.startsWith("    "))];
  const typed = lines.map((line) => line.trim()).filter((line) => /^(\$ )?(npx )?opensentience /.test(line));
  const spans = [...withoutCode(text).matchAll(/`(opensentience [a-z][^`]*)`/g)].map(([, span = ""]) => span);
  return [...typed, ...spans].filter((line) => !line.includes("…")).map((line) => ({ path, line }));
}

function refusal(path: string, line: string): string[] {
  const command = line.replace(/^(\$ )?(npx )?opensentience /, "").replace(/ (?:#|\||>) ?.*$/, "");
  const words = command.match(/'[^']*'|"[^"]*"|[^ ]+/g)?.map((word) => word.replaceAll(/^['"]|['"]$/g, "")) ?? [];
  try {
    const parsed = parseLine(words);
    return parsed.kind === "command" ? [] : [`${path}: ${line}: shows only help`];
  } catch (error) {
    return [`${path}: ${line}: ${error instanceof Error ? error.message : String(error)}`];
  }
}
