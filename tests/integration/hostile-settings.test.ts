/**
 * What is typed and what stands in config.toml may be anything. It never costs anybody more than two seconds beyond
 * what a harmless command takes at that moment, and ends in one error with a stable code, never in a stack trace.
 */
import { existsSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { runTool } from "../../packages/core/src/host/child-process.ts";
import { type CoreHome, newHome } from "../support/core-home.ts";

const MOST_MS = 2_000;
/** The machine may be busy: what a harmless start of Core takes is not the input's doing. */
const STARTS_OF_GRACE = 2;

let home: CoreHome;
let folder = "";
let graceMs = 0;
beforeAll(async () => {
  home = await newHome();
  folder = join(home.folder, "..", "hostile");
  mkdirSync(folder, { mode: 0o700 });
  graceMs = STARTS_OF_GRACE * (await timedMs(() => home.json(["core", "start"])));
});

async function timedMs(act: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await act();
  return performance.now() - startedAt;
}

async function refused(args: string[]): Promise<{ code: string; message: string }> {
  let error = { code: "", message: "" };
  const tookMs = await timedMs(async () => ({ error } = await home.fails(args)));
  expect(tookMs).toBeLessThan(MOST_MS + graceMs);
  expect(error.message).not.toMatch(/\n\s+at |node:|\.cjs/);
  return error;
}

async function fifo(path: string): Promise<void> {
  const made = await runTool(["mkfifo", path], { cwd: folder, env: home.env, timeoutMs: 5_000, maxBytes: 1_000 });
  if (made.exitCode !== 0) throw new Error(made.stderr.toString());
}

describe("arguments", () => {
  test("of the greatest length that the system passes on are refused in a short message", async () => {
    const long = "b".repeat(130_000);
    for (const args of [["agents", "info", long], [long], ["agents", long], ["agents", "list", `--${long}`]]) {
      const { code, message } = await refused(args);
      expect(code).toMatch(/^(usage\.invalid|agent\.not_found)$/);
      expect(message.length).toBeLessThan(500);
    }
  });

  test("ten thousand at once are refused like one", async () => {
    const many = (flag: string): string[] => Array.from({ length: 10_000 }, () => flag);
    expect(await refused(["agents", "list", ...many("--nope")])).toMatchObject({ code: "usage.invalid" });
    expect(await refused(["agents", "list", ...many("word")])).toMatchObject({ code: "usage.invalid" });
    const other = join(folder, "other");
    const start = ["core", "start", "--home", other, ...many("--set=a.b=1")];
    expect(await refused(start)).toMatchObject({ code: "config.invalid" });
  });

  test("that are no valid UTF-8 are refused", async () => {
    const script = 'exec "$0" agents info "$(printf "\\377\\376\\200")" --json';
    const program = join(import.meta.dirname, "../../packages/core/bin/opensentience");
    const result = await runTool(["sh", "-c", script, program], {
      cwd: folder,
      env: home.env,
      timeoutMs: 30_000,
      maxBytes: 100_000,
    });
    expect(JSON.parse(result.stderr.toString())).toMatchObject({ error: { code: "agent.not_found" } });
  });
});

describe("a home", () => {
  test.each(["fifo", "file", "loop", "long"])("that is a %s is refused, and nothing is started", async (kind) => {
    const path = kind === "long" ? `/${"a".repeat(4_000)}` : join(folder, `home-${kind}`);
    if (kind === "fifo") await fifo(path);
    if (kind === "file") writeFileSync(path, "x");
    if (kind === "loop") symlinkSync(path, path);
    for (const command of [
      ["agents", "list", "--no-start"],
      ["core", "start"],
    ]) {
      const { code } = await refused([...command, "--home", path]);
      expect(code).toMatch(/^core\.(unsafe_socket|unreachable|start_failed)$/);
    }
  });
});

test("a home whose folder does not exist is refused, and nothing is made", async () => {
  const parent = join(folder, "typing-error");
  for (const args of [["agents", "list"], ["core", "start"], ["serve"]])
    expect(await home.fails([...args, "--home", join(parent, "x")])).toMatchObject({
      error: { code: "core.unsafe_folder", next_step: `mkdir -p ${parent}` },
    });
  expect(existsSync(parent)).toBe(false);
});

describe("config.toml", () => {
  async function startWith(name: string, write: (path: string) => unknown): Promise<{ code: string; message: string }> {
    const path = join(folder, name);
    mkdirSync(path, { mode: 0o700 });
    await write(join(path, "config.toml"));
    return refused(["core", "start", "--home", path]);
  }

  test("a settings file that is no file, or far too large, is refused at once", async () => {
    const invalid = { code: "config.invalid" };
    expect(await startWith("c-fifo", fifo)).toMatchObject(invalid);
    expect(await startWith("c-folder", (path) => mkdirSync(path))).toMatchObject(invalid);
    expect(await startWith("c-loop", (path) => symlinkSync(path, path))).toMatchObject(invalid);
    const large = (path: string): void => {
      writeFileSync(path, 'a = "');
      truncateSync(path, 100_000_000);
    };
    const { code, message } = await startWith("c-large", large);
    expect(code).toBe("config.invalid");
    expect(message).toContain("is over 256 KiB");
  });

  test.each([
    ["random bytes", Buffer.from(Array.from({ length: 5_000 }, (_, at) => (at * 7_919) % 256))],
    ["lists in lists", `a = ${"[".repeat(100_000)}`],
    ["a key of a hundred thousand parts", `${"x.".repeat(100_000)}y = 1`],
    ["tables in tables", `a = ${"{a=".repeat(50_000)}`],
    ["NUL bytes", "\0".repeat(200_000)],
  ])("with %s is refused", async (name, content) => {
    const { code } = await startWith(`c-${name.replaceAll(" ", "-")}`, (path) => writeFileSync(path, content));
    expect(code).toBe("config.invalid");
  });
});
