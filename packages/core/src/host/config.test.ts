import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { homePaths, loadConfig, nearest, SETTINGS, type Config, type SettingKey } from "./config.ts";
import { pathsOf } from "./paths.ts";

let home = "";
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "os-config-"));
  for (const { environment } of Object.values(SETTINGS) as { environment?: string }[])
    if (environment !== undefined) vi.stubEnv(environment, undefined);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true, force: true });
});

async function load(file?: string, flags: Partial<Record<SettingKey, string>> = {}): Promise<Config> {
  if (file !== undefined) writeFileSync(join(home, "config.toml"), file);
  return loadConfig(await pathsOf(home, undefined, 0), flags);
}
const originOf = (config: Config, key: SettingKey) => config.list().find((setting) => setting.key === key)?.origin;

/** Each refusal carries its code, a message with these words, and something to do. */
async function refuse(loading: Promise<unknown>, words: string, details: Record<string, unknown> = {}): Promise<void> {
  await expect(loading).rejects.toMatchObject({
    code: "config.invalid",
    message: expect.stringContaining(words),
    nextStep: expect.any(String),
    details,
  });
}

describe("where a value comes from", () => {
  test("nothing given: the default, for every key", async () => {
    const config = await load();
    expect(config.list().map(({ key }) => key)).toEqual(Object.keys(SETTINGS));
    expect(config.list().every(({ origin }) => origin === "default")).toBe(true);
  });

  test("flag before environment before file before default", async () => {
    const key = "launcher.stop_grace_ms";
    expect((await load()).get(key)).toBe(5_000);
    const file = "[launcher]\nstop_grace_ms = 1000\n";
    expect([(await load(file)).get(key), originOf(await load(file), key)]).toEqual([1_000, "file"]);
    vi.stubEnv("OPENSENTIENCE_STOP_GRACE_MS", "2000");
    expect([(await load(file)).get(key), originOf(await load(file), key)]).toEqual([2_000, "environment"]);
    const flagged = await load(file, { [key]: "3000" });
    expect([flagged.get(key), originOf(flagged, key)]).toEqual([3_000, "flag"]);
  });

  test("an empty variable of the environment counts as not set", async () => {
    vi.stubEnv("OPENSENTIENCE_STOP_GRACE_MS", "");
    expect(originOf(await load(), "launcher.stop_grace_ms")).toBe("default");
  });

  test("top-level and nested keys of the file are the same keys", async () => {
    expect((await load('"launcher.stop_grace_ms" = 7')).get("launcher.stop_grace_ms")).toBe(7);
    expect((await load("launcher = { stop_grace_ms = 8 }")).get("launcher.stop_grace_ms")).toBe(8);
  });

  test("lists and switches can be given as text", async () => {
    const config = await load(undefined, {
      "build.pass_env": "A:B",
      "install.allow_ssh": "true",
      "install.allow_local": "0",
      "restart.policy": "always",
    });
    expect(config.get("build.pass_env")).toEqual(["A", "B"]);
    expect(config.get("install.allow_ssh")).toBe(true);
    expect(config.get("install.allow_local")).toBe(false);
    expect(config.get("restart.policy")).toBe("always");
  });

  test("~ in a scan root is the operator's home, and Core's own agents folder follows the home", async () => {
    vi.stubEnv("HOME", "/home/me");
    expect((await load()).get("scan_roots")).toEqual(["/home/me/Projects", join(home, "agents")]);
    expect((await load('scan_roots = ["~/src", "/srv/agents"]')).get("scan_roots")).toEqual([
      "/home/me/src",
      "/srv/agents",
    ]);
  });
});

describe("what is refused", () => {
  test.each([
    ["[launcher]\nstop_grace = 1", "launcher.stop_grace_ms"],
    ["scan_root = []", "scan_roots"],
    ["[logs]\nmax_line_byte = 1", "logs.max_line_bytes"],
    ["[restart]\npolice = 'always'", "restart.policy"],
  ])("an unknown key in %j names the nearest known one", async (file, near) => {
    await refuse(load(file), `did you mean "${near}"?`);
  });

  test.each([
    ["[launcher]\nstop_grace_ms = -1", "launcher.stop_grace_ms"],
    ["[launcher]\nstop_grace_ms = 1.5", "launcher.stop_grace_ms"],
    ["[launcher]\nstop_grace_ms = '1'", "launcher.stop_grace_ms"],
    ["[launcher]\nstop_grace_ms = inf", "launcher.stop_grace_ms"],
    ["[install]\nallow_ssh = 'yes'", "install.allow_ssh"],
    ["scan_roots = 'a'", "scan_roots"],
    ["scan_roots = ['relative']", "scan_roots"],
    ["scan_roots = ['']", "scan_roots"],
    ["scan_prune = [1]", "scan_prune"],
    ["[restart]\npolicy = 'sometimes'", "restart.policy"],
    ["[tools]\npath = ''", "tools.path"],
  ])("a value that is not allowed in %j names its key", async (file, key) => {
    await refuse(load(file), `"${key}"`, { key });
  });

  const counts = Object.entries(SETTINGS).flatMap(([key, setting]) =>
    setting.kind === "count" ? [{ key: key as SettingKey, ...setting }] : [],
  );
  test.each(counts)(
    "$key below $min or over $max is refused with that range",
    async ({ key, min, max, ...setting }) => {
      const range = `"${key}" must be a whole number from ${min} to ${max}`;
      expect([setting.default >= min, setting.default <= max]).toEqual([true, true]);
      for (const value of [min, max]) {
        expect((await load(`${key} = ${value}`)).get(key)).toBe(value);
        expect((await load("", { [key]: String(value) })).get(key)).toBe(value);
      }
      for (const value of [min - 1, max + 1]) await refuse(load(`${key} = ${value}`), range, { key });
      await refuse(load("", { [key]: String(max + 1) }), range, { key });
    },
  );

  test("no time is longer than a timer can be, and no line shorter than a character", () => {
    expect(counts.length).toBeGreaterThanOrEqual(24);
    expect(counts.filter(({ key, max }) => key.endsWith("_ms") && max > 2 ** 31 - 1)).toEqual([]);
    expect(SETTINGS["logs.max_line_bytes"].min).toBeGreaterThanOrEqual(256);
  });

  test.each([
    ["OPENSENTIENCE_STOP_GRACE_MS", "soon", "launcher.stop_grace_ms"],
    ["OPENSENTIENCE_STOP_GRACE_MS", "1e3", "launcher.stop_grace_ms"],
    ["OPENSENTIENCE_SCAN_ROOTS", "relative:/srv", "scan_roots"],
  ])("a bad value of %s (%s) names the setting", async (variable, value, key) => {
    vi.stubEnv(variable, value);
    await refuse(load(), `"${key}"`, { key });
  });

  test("each says where the value stands, the value, what is allowed, and what to edit", async () => {
    const file = join(home, "config.toml");
    const refusal = async (loading: Promise<unknown>): Promise<unknown[]> => {
      const { message, nextStep } = (await loading.then(
        () => undefined,
        (error: unknown) => error,
      )) as { message: string; nextStep: string };
      return [message, nextStep];
    };
    const must = 'setting "launcher.stop_grace_ms" must be a whole number from 0 to 2147483647';
    expect(await refusal(load("[launcher]\nstop_grace_ms = -1"))).toEqual([
      `${must}, not -1 (in ${file})`,
      `\${EDITOR:-vi} ${file}`,
    ]);
    expect(await refusal(load("", { "launcher.stop_grace_ms": "x" }))).toEqual([
      `${must}, not "x" (in --set launcher.stop_grace_ms=…)`,
      "opensentience help core start",
    ]);
    vi.stubEnv("OPENSENTIENCE_STOP_GRACE_MS", `\u001b[31m${"y".repeat(500)}`);
    const [message, nextStep] = await refusal(load());
    expect(message).toBe(
      `${must}, not "[31m${"y".repeat(55)}…" (in the environment variable OPENSENTIENCE_STOP_GRACE_MS)`,
    );
    expect(nextStep).toBe("unset OPENSENTIENCE_STOP_GRACE_MS");
  });

  test.each([
    ["inf", "Infinity"],
    ["nan", "NaN"],
    ["1979-05-27", "a date"],
    ['[["a", 1]]', '[["a", 1]]'],
    ["[{a = 1}]", "[a table]"],
  ])("a value of any kind that TOML knows is named: %s", async (value, named) => {
    await refuse(load(`[launcher]\nstop_grace_ms = ${value}`), `, not ${named} (in `, {
      key: "launcher.stop_grace_ms",
    });
  });

  test("a bad flag, even when the file is right", async () => {
    await refuse(load("[launcher]\nstop_grace_ms = 1", { "launcher.stop_grace_ms": "x" }), "launcher.stop_grace_ms");
  });

  test("a file that is not TOML, with the line", async () => {
    await refuse(load("a = 1\nb = = 2\n"), "line 2");
  });

  test("keys that every object has are unknown like any other", async () => {
    await refuse(load("constructor = 1"), "unknown setting");
    await refuse(load("toString = 1"), "unknown setting");
    await refuse(load("[__proto__]\nscan_interval_ms = 1"), "unknown setting");
  });
});

describe("the home", () => {
  test("is the flag, else OPENSENTIENCE_HOME, else below the operator's home", async () => {
    vi.stubEnv("OPENSENTIENCE_HOME", "/srv/os");
    expect((await homePaths("/tmp/x")).home).toBe("/tmp/x");
    expect((await homePaths()).home).toBe("/srv/os");
    vi.stubEnv("OPENSENTIENCE_HOME", "");
    expect((await homePaths()).home).toMatch(/\/\.opensentience$/);
  });

  test("is made absolute", async () => {
    expect((await homePaths("somewhere")).home).toBe(join(process.cwd(), "somewhere"));
  });
});

test("the environment is kept as Core was started with it", async () => {
  vi.stubEnv("SOME_APPROVED_NAME", "then");
  const config = await load();
  vi.stubEnv("SOME_APPROVED_NAME", "now");
  expect(config.environmentValue("SOME_APPROVED_NAME")).toBe("then");
});

test("the nearest word is the one with the fewest edits, if they are few", async () => {
  expect(nearest("lost", ["list", "logs", "install"])).toBe("list");
  expect(nearest("", ["list"])).toBeUndefined();
  expect(nearest("uninstall", ["list", "logs"])).toBeUndefined();
});
