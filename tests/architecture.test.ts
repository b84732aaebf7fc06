/**
 * The walls of this codebase, as two tables: who may import whom, and who may reach the operating system.
 * An auditor reads CAPABILITIES to know which few files can do anything to the machine; a newcomer reads ARROWS to
 * know what a folder may rely on. The meaning of a row is told in architecture/rules.ts.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PLANTED_FILES, PLANTED_FINDINGS, PLANTED_WORDS, plant } from "./architecture/planted.ts";
import { checkRules, type Finding, type Rules } from "./architecture/rules.ts";
import { readSources } from "./architecture/source-tree.ts";
import { checkWords, listTrackedFiles } from "./architecture/words.ts";

const REPOSITORY = resolve(import.meta.dirname, "..");
const CORE = "packages/core/src";

/** Raise this when the tree grows: a check that sees too little must not pass. */
const MIN_FILES = 100;
const MIN_TRACKED_FILES = 120;

const ARROWS: Rules["arrows"] = {
  host: [],
  storage: ["host"],
  "audit-log": ["storage", "host"],
  logs: ["audit-log", "host"],
  catalog: ["storage", "audit-log"],
  manifest: ["host"],
  tree: ["host"],
  discovery: ["manifest", "catalog", "audit-log", "host"],
  sandbox: ["host"],
  egress: ["audit-log"],
  install: ["manifest", "tree", "catalog", "audit-log", "sandbox", "logs", "host"],
  build: ["manifest", "tree", "catalog", "audit-log", "sandbox", "logs", "host"],
  enablement: ["manifest", "tree", "catalog", "audit-log", "storage", "host"],
  doctor: ["sandbox", "audit-log", "host"],
  launcher: ["enablement", "catalog", "audit-log", "storage", "sandbox", "logs", "host"],
  // Judges what agents wrote: it needs nothing of Core's.
  schema: [],
  runtime: ["audit-log", "schema"],
  web: [
    "catalog",
    "discovery",
    "install",
    "build",
    "enablement",
    "launcher",
    "doctor",
    "audit-log",
    "logs",
    "manifest",
    "sandbox",
    "type:host/config",
    // Replacing the token of the page is an effect outside the database.
    "host/kill-point",
    // services.ts makes it; the API only calls and counts it.
    "runtime",
    // A tool's suggested call has an input that its schema takes.
    "schema",
  ],
  cli: [
    "host/paths",
    "host/config",
    "host/version",
    "host/core-mark",
    "host/child-process",
    "host/full-disk",
    "host/private-file",
    "host/random-bytes",
    // The suite is no act of Core's: it needs no Core and no home, so the command loads it instead of asking for it.
    "conformance",
    // Without a Core that answers the doctor still says what it sees of the machine.
    "dynamic:doctor",
  ],
  // Plays Core with any agent. It judges definitions with what judges them in Core, and reads manifests as Core does.
  conformance: ["runtime", "schema", "manifest", "host"],
  daemon: ["*"],
  services: ["*"],
  // The web page's door with its token and sessions, put together for the daemon.
  page: ["*"],
  bin: ["cli", "dynamic:daemon", "dynamic:host/memory"],
};

const NOBODY: readonly string[] = [];

const CAPABILITIES: Rules["capabilities"] = {
  "node:child_process": [`${CORE}/host/child-process.ts`],
  "node:sqlite": [`${CORE}/storage/`],
  sql: [`${CORE}/storage/`, `${CORE}/*/store.ts`],
  // The audit log is the only way to change governed state: a change without its record cannot be written.
  ".transaction()": [`${CORE}/audit-log/`, `${CORE}/storage/storage.ts`],
  "node:net": [
    `${CORE}/host/pipe.ts`,
    `${CORE}/runtime/runtime.ts`,
    `${CORE}/conformance/trial.ts`,
    `${CORE}/egress/`,
    "packages/sdk/src/connection.ts",
  ],
  "node:http": [`${CORE}/web/`, `${CORE}/cli/control-client.ts`],
  // Patterns come from agents: one file knows what the engine may be given.
  re2js: [`${CORE}/schema/linear-pattern.ts`],
  hono: [`${CORE}/web/`],
  "@hono/node-server": [`${CORE}/web/`],
  "smol-toml": [`${CORE}/host/config.ts`],
  "process.env": [`${CORE}/host/config.ts`, "packages/sdk/src/"],
  // Core never loads an agent's code into its own process, and opens no connection of its own to anywhere.
  "computed import()": NOBODY,
  eval: NOBODY,
  Function: NOBODY,
  require: NOBODY,
  "process.getBuiltinModule": NOBODY,
  "process.binding": NOBODY,
  "process.dlopen": NOBODY,
  "node:cluster": NOBODY,
  "node:inspector": NOBODY,
  "node:module": NOBODY,
  "node:vm": NOBODY,
  // Core's own statements beside Core, that read all of the database.
  "node:worker_threads": [`${CORE}/storage/reading-thread.ts`, `${CORE}/storage/reading-worker.ts`],
  // The page asks its own origin and nobody else, from one file, with the secret that neither of the others can send.
  fetch: ["packages/admin-ui/src/api/client.ts"],
  WebSocket: NOBODY,
  EventSource: NOBODY,
  "node:dgram": NOBODY,
  "node:dns": NOBODY,
  // For the hosts that an agent may reach; Core itself asks for nobody.
  "node:dns/promises": [`${CORE}/egress/name-lookup.ts`],
  "node:http2": NOBODY,
  "node:https": NOBODY,
  "node:tls": NOBODY,
};

const RULES: Rules = {
  arrows: ARROWS,
  manyDoors: ["host"],
  capabilities: CAPABILITIES,
  packages: {
    "packages/protocol": ["zod"],
    "packages/sdk": ["@opensentience/protocol", "node:net"],
    "packages/core": [
      "@opensentience/protocol",
      "@opensentience/protocol/conformance/agent-calls.json",
      "@opensentience/protocol/conformance/agent-frames.json",
      "@opensentience/protocol/conformance/agent-session.json",
      "node:",
      "zod",
      "hono",
      "@hono/node-server",
      "smol-toml",
      "re2js",
    ],
    // Runs in a browser: nothing of Node, and of zod its types alone.
    "packages/admin-ui": [
      "@opensentience/protocol",
      "zod",
      "react",
      "react-dom",
      "@base-ui/react",
      "@tanstack/react-query",
      "@tanstack/react-virtual",
      "wouter",
      "anser",
      "@rjsf/core",
      "@rjsf/utils",
      "@cfworker/json-schema",
    ],
  },
  bannedNames: ["utils", "helpers", "common", "shared", "misc", "types", "manager", "service"],
  maxLines: 400,
  minFiles: MIN_FILES,
};

describe("the repository", () => {
  const files = readSources(REPOSITORY, ["packages", "scripts", "tests"]);

  test("keeps every arrow, door, name and length of the tables", () => {
    expect(checkRules(files, RULES).map(asText)).toEqual([]);
  });

  test("holds no path of one machine and no registry address", () => {
    const tracked = listTrackedFiles(REPOSITORY);
    expect(tracked.length).toBeGreaterThanOrEqual(MIN_TRACKED_FILES);
    expect(checkWords(REPOSITORY, tracked).map(asText)).toEqual([]);
  });
});

describe("a planted tree that breaks every rule", () => {
  let root = "";
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), "architecture-"));
    plant(root, { ...PLANTED_FILES, ...PLANTED_WORDS });
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  test("is reported line by line", () => {
    const findings = checkRules(readSources(root, ["packages"]), { ...RULES, minFiles: 1000 }).map(asText);
    const unused = (text: string): boolean => text.startsWith("unused row");
    expect(findings.filter((text) => !unused(text)).sort()).toEqual([...PLANTED_FINDINGS].sort());
  });

  test("shows rows of the tables that nothing uses", () => {
    const findings = checkRules(readSources(root, ["packages"]), RULES).map(asText);
    expect(findings).toContain("unused row arrows launcher");
    expect(findings).toContain("unused row packages packages/sdk");
    expect(findings).toContain(`unused row capabilities node:net in ${CORE}/host/pipe.ts`);
    expect(findings).not.toContain("unused row arrows catalog");
    expect(findings).not.toContain(`unused row capabilities sql in ${CORE}/*/store.ts`);
  });

  test("is reported for its words", () => {
    expect(checkWords(root, Object.keys(PLANTED_WORDS)).map(asText)).toEqual([
      "banned word notes.txt path of one machine",
      "banned word example/package-lock.json registry address",
    ]);
  });
});

function asText(finding: Finding): string {
  return `${finding.rule} ${finding.where} ${finding.what}`;
}
