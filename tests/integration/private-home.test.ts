/** The home itself: private, of one user, at a place that fits a socket, and with a database that may be damaged. */
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { CoreStatusJson } from "@opensentience/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isAlive, readProcess, type ProcessInfo } from "../../packages/core/src/host/process-tree.ts";
import { type CoreHome, eventually, newHome } from "../support/core-home.ts";
import { smallAgentAt } from "../support/small-agent.ts";

let home: CoreHome;
beforeEach(async () => {
  home = await newHome();
});
afterEach(() => home.dispose());

const at = (...path: string[]): string => join(home.folder, ...path);
const status = (...args: string[]): Promise<CoreStatusJson> => home.json<CoreStatusJson>(["core", "status", ...args]);

async function killCore(): Promise<void> {
  const core = readProcess(await home.corePid()) as ProcessInfo;
  process.kill(core.pid, "SIGKILL");
  await eventually(() => !isAlive(core), "Core to be dead");
}

/** Everything below a folder: [path, "folder" | "file" | "socket", mode]. */
function* everything(folder: string): Generator<[string, string, number]> {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const found = lstatSync(path);
    yield [path, found.isDirectory() ? "folder" : found.isSocket() ? "socket" : "file", found.mode & 0o7777];
    if (found.isDirectory()) yield* everything(path);
  }
}

describe("what Core writes", () => {
  test("is for its user alone: folders 0700, files and sockets 0600", async () => {
    await smallAgentAt(home, "home.modes", "running");
    await home.json(["audit", "checkpoint"]);
    const wrong: string[] = [];
    for (const [path, kind, mode] of everything(home.folder)) {
      // The agent's own source keeps its executable bits; nobody else may read it either.
      const isSource = path.startsWith(at("agents/home.modes/src/"));
      const allowed = kind === "folder" || isSource ? 0o700 : 0o600;
      if ((mode & ~allowed) !== 0) wrong.push(`${kind} ${path} ${mode.toString(8)}`);
    }
    expect(wrong).toEqual([]);
    expect(lstatSync(home.folder).mode & 0o777).toBe(0o700);
    const kinds = [...everything(home.folder)];
    for (const path of [
      "run/core.sock",
      "state/core.sqlite3",
      "state/audit.key",
      "state/audit.checkpoints",
      "state/core.lock",
      "logs/core.log",
    ])
      expect(kinds.map(([found]) => found)).toContain(at(path));
  });

  test("stays so when the home was open to others before", async () => {
    for (const folder of ["run", "state", "logs"]) {
      mkdirSync(at(folder));
      chmodSync(at(folder), 0o755);
    }
    chmodSync(home.folder, 0o755);
    await home.json(["core", "start"]);
    for (const folder of ["", "run", "state", "logs"]) expect(lstatSync(at(folder)).mode & 0o777).toBe(0o700);
  });
});

describe("a socket that others could have a hand in", () => {
  async function expectUnsafe(path: string): Promise<void> {
    const { code, error } = await home.fails(["agents", "list"]);
    expect([code, error.code, error.details["path"], error.next_step]).toEqual([
      4,
      "core.unsafe_socket",
      path,
      `ls -ld ${path}`,
    ]);
  }

  test("in a folder that others can write is refused, and no longer once the folder is closed", async () => {
    await home.json(["core", "start"]);
    for (const mode of [0o777, 0o720, 0o702]) {
      chmodSync(at("run"), mode);
      await expectUnsafe(at("run"));
    }
    chmodSync(at("run"), 0o700);
    await home.json(["agents", "list"]);
  });

  test("that others can write itself is refused", async () => {
    await home.json(["core", "start"]);
    chmodSync(at("run/core.sock"), 0o666);
    await expectUnsafe(at("run/core.sock"));
    chmodSync(at("run/core.sock"), 0o600);
  });

  test("in a folder that is a link is refused, by the command and by Core", async () => {
    mkdirSync(join(home.projects, "elsewhere"), { mode: 0o700 });
    symlinkSync(join(home.projects, "elsewhere"), at("run"));
    await expectUnsafe(at("run"));
    const { code, error } = await home.fails(["serve"]);
    rmSync(at("run"));
    expect([code, error.code, error.details["path"], error.next_step]).toEqual([
      4,
      "core.unsafe_folder",
      at("run"),
      `ls -ld ${at("run")}`,
    ]);
  });
});

describe("a stale socket", () => {
  test("is removed and replaced", async () => {
    await home.json(["core", "start"]);
    await killCore();
    const stale = lstatSync(at("run/core.sock"));
    expect(stale.isSocket()).toBe(true);
    expect((await home.cli(["core", "status"])).code).toBe(5);
    await home.json(["core", "start"]);
    expect((await status()).running).toBe(true);
  });

  test("is left alone when it is anything but a socket, and Core says what to do", async () => {
    mkdirSync(at("run"), { mode: 0o700 });
    writeFileSync(at("run/core.sock"), "precious", { mode: 0o600 });
    const asked = await home.fails(["agents", "list"]);
    expect([asked.code, asked.error.code, asked.error.message]).toEqual([
      4,
      "core.unsafe_socket",
      `${at("run/core.sock")} is not a socket`,
    ]);
    const { code, error } = await home.fails(["serve"]);
    expect([code, error.code, error.next_step]).toEqual([
      5,
      "core.start_failed",
      `mv ${at("run/core.sock")} ${at("run/core.sock")}.aside`,
    ]);
    expect(readFileSync(at("run/core.sock"), "utf8")).toBe("precious");
    rmSync(at("run/core.sock"));
    await home.json(["agents", "list"]);
  });
});

describe("a home that is too deep for a socket", () => {
  test.each([
    ["without a runtime folder", (): Record<string, string> => ({}), `/tmp/opensentience-${process.getuid?.()}/`],
    ["with one", (): Record<string, string> => ({ XDG_RUNTIME_DIR: home.operatorHome }), "/opensentience/"],
  ])("%s keeps its sockets elsewhere and says so; agents run", async (_what, environment, place) => {
    const deep = join(home.projects, "d".repeat(100));
    const env = environment();
    const own = ["--home", deep];
    try {
      const started = await home.json<CoreStatusJson>(["core", "start", ...own], { env });
      expect(started).toMatchObject({ running: true, home: deep, socket_fallback: true });
      expect(started.socket_path).toContain(place);
      expect(lstatSync(started.socket_path).mode & 0o777).toBe(0o600);
      expect(lstatSync(dirname(started.socket_path)).mode & 0o777).toBe(0o700);
      const shown = await home.cli(["core", "status", ...own], { env });
      expect(shown.stdout).toMatch(/too (deep|long)/);
      expect(existsSync(join(deep, "run/core.sock"))).toBe(false);
      expect(await home.json(["agents", "list", ...own], { env })).toEqual({ items: [], next: null });
      expect(await home.json(["core", "stop", ...own], { env })).toMatchObject({ was_running: true });
      expect(existsSync(started.socket_path)).toBe(false);
    } finally {
      await home.cli(["core", "stop", ...own], { env });
      rmSync(dirname((await home.json<CoreStatusJson>(["core", "status", ...own], { env, codes: [5] })).socket_path), {
        recursive: true,
        force: true,
      });
    }
  });
});

describe("a database that Core cannot use", () => {
  const database = (): string => at("state/core.sqlite3");
  const fingerprint = (): string => createHash("sha256").update(readFileSync(database())).digest("hex");

  /** Core runs all the same, says what it found, does nothing else, and leaves every byte of the file. */
  async function expectDegraded(code: string): Promise<void> {
    const before = fingerprint();
    const started = await home.json<CoreStatusJson>(["core", "start"]);
    expect(started.degraded).toMatch(new RegExp(`^${code}: `));
    expect(started).toMatchObject({ running: true, agents: null, runs_live: null });
    for (const args of [
      ["agents", "list"],
      ["agents", "scan"],
      ["audit", "verify"],
    ]) {
      const { code: exit, error } = await home.fails(args);
      expect([exit, error.code, error.details["code"], error.next_step]).toEqual([
        1,
        "core.degraded",
        code,
        "opensentience core status",
      ]);
    }
    expect((await home.cli(["core", "status"])).stdout).toContain(code);
    expect((await home.cli(["core", "stop"])).code).toBe(0);
    expect(fingerprint()).toBe(before);
  }

  beforeEach(async () => {
    await home.json(["core", "start"]);
    await home.json(["core", "stop"]);
  });

  test.each([
    ["garbage from beginning to end", (bytes: Buffer): Buffer => bytes.fill(0x5a)],
    [
      "another header",
      (bytes: Buffer): Buffer => Buffer.concat([Buffer.from("not a database at all"), bytes.subarray(21)]),
    ],
    ["garbage behind a sound first page", (bytes: Buffer): Buffer => bytes.fill(0x5a, 4096)],
    ["half of the file missing", (bytes: Buffer): Buffer => bytes.subarray(0, Math.floor(bytes.length / 8192) * 4096)],
  ])("damaged: %s", async (_what, damage) => {
    writeFileSync(database(), damage(readFileSync(database())));
    await expectDegraded("storage.corrupt");
  });

  test("of a newer program", async () => {
    const db = new DatabaseSync(database());
    db.exec("PRAGMA user_version = 4242");
    db.close();
    await expectDegraded("storage.too_new");
    // Put back, everything is there.
    const again = new DatabaseSync(database());
    again.exec("PRAGMA user_version = 2");
    again.close();
    expect(await home.json(["audit", "verify"])).toMatchObject({ status: "intact", events: 3 });
  });

  test("because a folder stands in its place", async () => {
    rmSync(database());
    mkdirSync(database());
    expect((await home.json<CoreStatusJson>(["core", "start"])).degraded).toMatch(/^storage\.unavailable: /);
    expect((await home.cli(["core", "stop"])).code).toBe(0);
    rmSync(database(), { recursive: true });
  });
});

describe("a configuration that Core cannot use", () => {
  test("keeps it from starting, and every command says where the fault is", async () => {
    writeFileSync(at("config.toml"), "[launcher]\nstop_grace_milliseconds = 3\n");
    const { code, error } = await home.fails(["agents", "list"]);
    expect([code, error.code]).toEqual([1, "config.invalid"]);
    expect(error.message).toContain('did you mean "launcher.stop_grace_ms"?');
    const down = await home.json<CoreStatusJson>(["core", "status"], { codes: [5] });
    expect([down.running, down.degraded]).toEqual([false, expect.stringContaining("config.invalid")]);
    rmSync(at("config.toml"));
    await home.json(["agents", "list"]);
  });

  test("a setting given on the command line comes first, and status shows where each came from", async () => {
    writeFileSync(at("config.toml"), "[launcher]\nstop_grace_ms = 2000\n\n[logs]\nkeep_runs = 3\n");
    const { config } = await home.json<CoreStatusJson>(["core", "start", "--set", "launcher.stop_grace_ms=700"]);
    const origins = Object.fromEntries(config.map(({ key, value, origin }) => [key, [value, origin]]));
    expect(origins).toMatchObject({
      "launcher.stop_grace_ms": [700, "flag"],
      "logs.keep_runs": [3, "file"],
      scan_roots: [home.env["OPENSENTIENCE_SCAN_ROOTS"]?.split(":"), "environment"],
      "build.timeout_ms": [900_000, "default"],
    });
  });
});
