/** Secrets planted wherever Core passes: none of them may be in any file that Core writes, nor in anything it shows. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import type { LogRecordJson } from "@opensentience/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CoreHome, eventually, newHome } from "../support/core-home.ts";
import { refuse } from "../support/refuse.ts";
import { program } from "../support/run-trees.ts";
import { smallAgentAt } from "../support/small-agent.ts";

/** Approved as env:read; with characters that every encoding writes in another way. */
const APPROVED = 'Kx7/qP+m2"Zr=9&Wt?4 Vb%8';
/** In Core's environment as well, approved by nobody, printed by nobody. */
const NOT_APPROVED = "Hj5Nn2Xw8Lc3Rt6Yb1Qd";
const IN_URL = "Gf4Zs9Mk2Pv7Tx3Lq8Wn";
const AS_ARGUMENT = "Bc6Dm1Hr8Jt4Kw9Sx2Vz";
/** So many characters of a secret in a row are a leak. */
const LEAK = 12;

type Corpus = { go: { name: string; parts: string[]; secret: number[] }[] };
const corpus = JSON.parse(
  readFileSync(join(import.meta.dirname, "../../packages/core/src/audit-log/redaction-corpus.json"), "utf8"),
) as Corpus;
const SHAPES = corpus.go.map(({ parts }) => parts.join("")).join("\n");
/** What of each credential is secret, as one word. */
const SHAPE_SECRETS = corpus.go.flatMap(({ parts, secret }) =>
  secret.flatMap((index) => (parts[index] ?? "").match(/\S{10,}/)?.[0] ?? []),
);

/** Prints each secret in many ways, in one write and in two; its own token goes to its data folder, for the test. */
const PRINTER = `#!/usr/bin/env node
const { readFileSync, writeFileSync, writeSync } = require("node:fs");
const secrets = { approved: process.env.PLANTED_VALUE, session: process.env.OPENSENTIENCE_SESSION_TOKEN };
writeFileSync("../data/token", secrets.session);
function say(text, fd = 1) { writeSync(fd, text); }
const pause = () => new Promise((resolve) => setTimeout(resolve, 150));
(async () => {
  for (const [name, value] of Object.entries(secrets)) {
    const bytes = Buffer.from(value);
    const forms = {
      raw: value,
      base64: bytes.toString("base64"),
      base64url: bytes.toString("base64url"),
      hex: bytes.toString("hex"),
      HEX: bytes.toString("hex").toUpperCase(),
      url: encodeURIComponent(value),
      json: JSON.stringify({ value }),
      inside64: Buffer.from("user:" + value + "@host").toString("base64"),
      escaped: value.slice(0, 7) + "\\x1b[1m" + value.slice(7),
    };
    for (const [form, text] of Object.entries(forms)) {
      say(name + " " + form + " <" + text + "> end\\n");
      say(name + " " + form + " err <" + text + "> end\\n", 2);
      say(name + " " + form + " split <" + text.slice(0, 9));
      await pause();
      say(text.slice(9) + "> end\\n");
    }
    say(name + " cut " + "x".repeat(8192 - name.length - 15) + value + " end\\n");
    say(name + " unfinished " + value);
    await pause();
    say("\\n");
  }
  say(readFileSync("shapes.txt", "utf8") + "\\nall said\\n");
  setInterval(() => {}, 1000);
})();
`;

let home: CoreHome;
/** Everything that a command printed. */
const shown: string[] = [];
let token = "";

beforeAll(async () => {
  home = await newHome({
    env: { PLANTED_VALUE: APPROVED, OTHER_VALUE: NOT_APPROVED, OPENSENTIENCE_STOP_GRACE_MS: "500" },
    settings: { "restart.initial_ms": 20, "restart.max_attempts": 1 },
  });
});
afterAll(() => home.dispose());

async function show(...args: string[]): Promise<string> {
  const { stdout, stderr } = await home.cli(args);
  shown.push(stdout, stderr);
  return stdout;
}

/** Files that Core wrote: not the agents' own source and data, nor the keys that are secret themselves. */
function filesOfCore(folder = home.folder): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    const name = relative(home.folder, path);
    if (/^agents\/[^/]+\/(src|data|previous)$/.test(name) || /^state\/.*\.(key|token)$/.test(name)) return [];
    return entry.isDirectory() ? filesOfCore(path) : entry.isFile() ? [path] : [];
  });
}

function encodings(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const forms = [
    secret,
    encodeURIComponent(secret),
    JSON.stringify(secret).slice(1, -1),
    bytes.toString("hex"),
    bytes.toString("hex").toUpperCase(),
  ];
  for (const offset of [0, 1, 2]) {
    // What stays of a secret in the base64 of a longer text, whatever stands before it.
    const core = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString("base64")
      .slice(Math.ceil((offset * 8) / 6), -4);
    forms.push(core, core.replaceAll("+", "-").replaceAll("/", "_"));
  }
  return [...new Set(forms)];
}

/** Where any of the secrets is, in whole or in a part long enough to matter. */
function leaks(texts: [string, string][], secrets: string[], whole: string[]): string[] {
  const parts = secrets.flatMap((secret) =>
    encodings(secret).flatMap((form) =>
      Array.from({ length: form.length - LEAK + 1 }, (_, at) => form.slice(at, at + LEAK)),
    ),
  );
  return texts.flatMap(([name, text]) =>
    [...parts, ...whole].filter((part) => text.includes(part)).map((part) => `${name}: ${part}`),
  );
}

test("an agent that prints its secrets in many ways", async () => {
  const permissions = ["env:read:PLANTED_VALUE", "env:read:OTHER_VALUE"];
  const files = { ...program(PRINTER), "shapes.txt": SHAPES };
  await smallAgentAt(home, "secret.printer", "built", { permissions }, files);
  await home.json(["agents", "enable", "secret.printer", "--approve", "env:read:PLANTED_VALUE"]);
  await show("agents", "run", "secret.printer", "--", `--password=${AS_ARGUMENT}`);
  await eventually(
    async () => (await show("agents", "logs", "secret.printer", "--tail", "3")).includes("all said"),
    "everything to be said",
    30_000,
  );
  token = readFileSync(join(home.folder, "agents/secret.printer/data/token"), "utf8");
  expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/);
  const records = await home.jsonLines<LogRecordJson>(["agents", "logs", "secret.printer"]);
  const lines = records.map(({ line }) => line);
  shown.push(JSON.stringify(records));
  // Nothing but the secrets is gone: each line is there, and says what it lost.
  for (const [name, label] of [
    ["approved", "env_PLANTED_VALUE"],
    ["session", "session_token"],
  ]) {
    for (const form of ["raw", "base64", "base64url", "hex", "HEX", "url", "json", "inside64", "escaped"])
      for (const way of ["", " err", " split"]) {
        const line = lines.find((one) => one.startsWith(`${name} ${form}${way} <`));
        expect(line, `${name} ${form}${way}`).toContain(`[redacted:${label}]`);
        expect(line).toMatch(/> end$/);
      }
    expect(lines.find((line) => line.startsWith(`${name} unfinished`))).toBe(`${name} unfinished [redacted:${label}]`);
  }
});

test("a secret as the last words of an agent that crashes", async () => {
  const text = '#!/bin/sh\necho "cannot log in with $PLANTED_VALUE"\nexit 3\n';
  await smallAgentAt(home, "secret.crash", "enabled", { permissions: ["env:read:PLANTED_VALUE"] }, program(text));
  const error = await refuse(home, ["agents", "run", "secret.crash", "--restart", "always"], {
    code: "launcher.exited_early",
    exit: 1,
  });
  expect(error.details["last_lines"]).toEqual(["cannot log in with [redacted:env_PLANTED_VALUE]"]);
  shown.push(JSON.stringify(error));
  const gaveUp = async (): Promise<boolean> => (await show("agents", "info", "secret.crash")).includes("gave up");
  await eventually(gaveUp, "Core to give up");
  expect(await show("agents", "info", "secret.crash", "--json")).toContain("last end: exited with code 3");
});

test("a build that prints credentials", async () => {
  const build = { build: { steps: [{ phase: "compile", argv: ["cat", "shapes.txt"] }] } };
  await smallAgentAt(home, "secret.build", "installed", build, { "shapes.txt": SHAPES });
  await show("agents", "build", "secret.build", "--yes");
  const folder = join(home.folder, "logs/secret.build");
  const log = readdirSync(folder).find((name) => name.startsWith("build-"));
  expect(readFileSync(join(folder, log ?? ""), "utf8").split("[redacted:").length).toBeGreaterThan(corpus.go.length);
});

test("credentials in a URL to install from", async () => {
  for (const url of [
    `https://someone:${IN_URL}@127.0.0.1:1/x.git`,
    `https://${IN_URL}@127.0.0.1:1/x.git`,
    `https://127.0.0.1:1/x.git?token=${IN_URL}`,
  ]) {
    await show("agents", "install", url);
    const { code, error } = await home.fails(["agents", "install", "secret.build", "--git-url", url]);
    expect([code, error.code]).toEqual(
      url.includes("@") ? [4, "install.credentials_in_url"] : [2, "install.invalid_url"],
    );
    shown.push(JSON.stringify(error));
  }
});

test("are in no file of Core, while it runs and after it stopped, and in nothing it showed", async () => {
  await home.json(["audit", "checkpoint"]);
  await home.json(["agents", "stop", "secret.printer"]);
  for (const args of [
    ["audit", "export"],
    ["audit", "list", "--json"],
    ["agents", "logs", "secret.printer"],
    ["agents", "logs", "secret.crash"],
    ["agents", "info", "secret.printer"],
    ["agents", "ps", "--all", "--json"],
    ["core", "status", "--json"],
    ["core", "status"],
  ])
    await show(...args);
  const look = (): string[] => {
    const files = filesOfCore().map((path): [string, string] => [
      relative(home.folder, path),
      readFileSync(path, "utf8"),
    ]);
    return leaks(files, [APPROVED, NOT_APPROVED, IN_URL, AS_ARGUMENT, token], SHAPE_SECRETS);
  };
  // The search itself finds what is there.
  expect(
    leaks([["x", `a ${Buffer.from(`12${APPROVED}34`).toString("base64")} b`]], [APPROVED], []).length,
  ).toBeGreaterThan(0);
  const names = filesOfCore().map((path) => relative(home.folder, path));
  for (const name of ["state/core.sqlite3", "state/core.sqlite3-wal", "state/audit.checkpoints", "logs/core.log"])
    expect(names).toContain(name);
  expect(names.filter((name) => name.startsWith("logs/secret.")).length).toBeGreaterThanOrEqual(4);
  expect(statSync(join(home.folder, "state/core.sqlite3-wal")).size).toBeGreaterThan(0);
  expect(look()).toEqual([]);
  expect(
    leaks(
      shown.map((text, index) => [`shown ${index}`, text]),
      [APPROVED, NOT_APPROVED, IN_URL, AS_ARGUMENT, token],
      SHAPE_SECRETS,
    ),
  ).toEqual([]);
  expect((await home.cli(["core", "stop"])).code).toBe(0);
  expect(look()).toEqual([]);
});
