/**
 * A home of Core in a temporary folder, driven only through the real command line, each command a process of its own.
 *
 * Core is the bundled one (packages/core/dist); it starts with the first command that needs it and sees nothing of
 * the operator's own: HOME, scan roots and settings lie in the temporary folder. `dispose` stops it, makes sure that no
 * process of the home is left, and removes everything; homes and repositories that a failed test left are cleared at
 * the end of the file.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { cp, mkdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll } from "vitest";
import { runTool } from "../../packages/core/src/host/child-process.ts";
import { readCoreMark } from "../../packages/core/src/host/core-mark.ts";
import { isAlive, readProcess, signalProcess } from "../../packages/core/src/host/process-tree.ts";
import { DEFAULT_TOOLS, networkEnvironment, networkVariables } from "../../scripts/network-environment.ts";

const REPOSITORY: string = resolve(import.meta.dirname, "../..");
export const BINARY: string = join(REPOSITORY, "packages/core/bin/opensentience");
export const EXAMPLES: string = join(REPOSITORY, "examples/agents");

export type CliResult = { code: number; stdout: string; stderr: string };
export type CliOptions = { input?: string; env?: Record<string, string>; timeoutMs?: number };
export type CliError = { code: string; message: string; details: Record<string, unknown>; next_step: string | null };

const CLI_TIMEOUT_MS = 60_000;
const SHORTEST_PAUSE_MS = 25;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

const openHomes = new Set<CoreHome>();
const folders = new Set<string>();

afterAll(async () => {
  for (const home of openHomes) await home.dispose();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

export class CoreHome {
  /** What OPENSENTIENCE_HOME names. */
  readonly folder: string;
  /** Scan root beside Core's own agents folder, unless a test sets others; exists and is empty. */
  readonly projects: string;
  /** HOME of the operator. */
  readonly operatorHome: string;
  /** Environment of every command, and so of the Core that the first one starts. */
  readonly env: Record<string, string>;
  readonly #root: string;
  readonly #binary: string;

  constructor(root: string, env: Record<string, string>, binary: string) {
    this.#root = root;
    this.#binary = binary;
    this.folder = join(root, "h");
    this.projects = join(root, "projects");
    this.operatorHome = join(root, "operator");
    this.env = {
      ...env,
      HOME: this.operatorHome,
      OPENSENTIENCE_HOME: this.folder,
      // Many homes at once, on a machine that may have a Core of its own.
      OPENSENTIENCE_WEB_PORT: env["OPENSENTIENCE_WEB_PORT"] ?? "0",
      OPENSENTIENCE_SCAN_ROOTS: env["OPENSENTIENCE_SCAN_ROOTS"] ?? `${this.projects}:${join(this.folder, "agents")}`,
    };
    openHomes.add(this);
  }

  async cli(args: string[], options: CliOptions = {}): Promise<CliResult> {
    const result = await runTool([this.#binary, ...args], {
      cwd: this.#root,
      env: { ...this.env, ...options.env },
      timeoutMs: options.timeoutMs ?? CLI_TIMEOUT_MS,
      maxBytes: MAX_OUTPUT_BYTES,
      ...(options.input === undefined ? {} : { input: options.input }),
    });
    const text = { stdout: result.stdout.toString("utf8"), stderr: result.stderr.toString("utf8") };
    if (result.exitCode !== null) return { code: result.exitCode, ...text };
    const end = result.timedOut ? "did not end in time" : `was ended by ${result.signal}`;
    throw new Error(`opensentience ${args.join(" ")} ${end}\n${text.stdout}\n${text.stderr}\n${this.coreLog()}`);
  }

  /** The one document of a command with --json; `codes` are the exit codes that may come with it. */
  async json<T = unknown>(args: string[], options: CliOptions & { codes?: number[] } = {}): Promise<T> {
    const result = await this.cli(withJson(args), options);
    if (!(options.codes ?? [0]).includes(result.code) || result.stderr !== "") {
      throw new Error(`opensentience ${args.join(" ")} ended with ${result.code}: ${result.stderr}\n${this.coreLog()}`);
    }
    return JSON.parse(result.stdout) as T;
  }

  /** Every line of a command that answers with JSON Lines. */
  async jsonLines<T = unknown>(args: string[], options: CliOptions = {}): Promise<T[]> {
    const result = await this.cli(withJson(args), options);
    if (result.code !== 0 || result.stderr !== "") {
      throw new Error(`opensentience ${args.join(" ")} ended with ${result.code}: ${result.stderr}`);
    }
    const lines = result.stdout.split("\n");
    if (lines.pop() !== "") throw new Error("the last line has no end");
    return lines.map((line) => JSON.parse(line) as T);
  }

  /** A command that must fail: its exit code and the one error document on its stderr; stdout must be empty. */
  async fails(args: string[], options: CliOptions = {}): Promise<{ code: number; error: CliError }> {
    const result = await this.cli(withJson(args), options);
    if (result.code === 0 || result.stdout !== "") {
      throw new Error(`opensentience ${args.join(" ")} was to fail, but (${result.code}) said ${result.stdout}`);
    }
    return { code: result.code, error: (JSON.parse(result.stderr) as { error: CliError }).error };
  }

  /** The pid of the Core that runs; fails when none does. */
  async corePid(): Promise<number> {
    return (await this.json<{ pid: number }>(["core", "status"])).pid;
  }

  /** Where the source of an installed agent stands. */
  sourceOf(agentId: string): string {
    return join(this.folder, "agents", agentId, "src");
  }

  /** Core's own log so far. */
  coreLog(): string {
    try {
      return readFileSync(join(this.folder, "logs/core.log"), "utf8");
    } catch {
      return "";
    }
  }

  /** Processes that belong to this home by their folder, arguments or environment; zombies do not count. */
  processes(): { pid: number; command: string }[] {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
      .flatMap((name) => {
        const command = procText(name, "cmdline");
        const traces = [command, procText(name, "environ"), procLink(name, "cwd")];
        if (!traces.some((text) => text.includes(this.#root))) return [];
        return [{ pid: Number(name), command: command.replaceAll("\0", " ").trim() }];
      });
  }

  /** Stops Core and removes the home; fails when anything of it is still alive afterwards. */
  async dispose(): Promise<void> {
    if (!openHomes.delete(this)) return;
    try {
      await this.#stopCore();
      await eventually(
        () => this.processes().length === 0,
        () => `processes of the home to be gone: ${JSON.stringify(this.processes())}`,
      );
    } finally {
      for (const { pid } of this.processes()) process.kill(pid, "SIGKILL");
      rmSync(this.#root, { recursive: true, force: true, maxRetries: 5 });
    }
  }

  /** By the signal that `core stop` itself is not needed for: a process for each home takes longer than the end. */
  async #stopCore(): Promise<void> {
    const mark = readCoreMark(join(this.folder, "run/core.pid"));
    const core = mark?.state === "running" ? readProcess(mark.pid) : undefined;
    if (core !== undefined) {
      signalProcess(core, "SIGTERM");
      await eventually(
        () => !isAlive(core),
        () => `Core to end\n${this.coreLog()}`,
        CLI_TIMEOUT_MS,
      );
      return;
    }
    // One that starts or ends is waited for by the command; a second signal would hurry it.
    if (this.processes().length === 0) return;
    const stopped = await this.cli(["core", "stop"]);
    if (stopped.code !== 0) throw new Error(`Core could not be stopped: ${stopped.stderr}\n${this.coreLog()}`);
  }
}

/**
 * A fresh home. `settings` become its config.toml: keys as in the documentation, values as in JSON. `binary` is the
 * program, where it is not the bundled one.
 */
export async function newHome(
  options: { env?: Record<string, string>; settings?: Record<string, unknown>; binary?: string } = {},
): Promise<CoreHome> {
  const root = mkdtempSync(join(tmpdir(), "os-"));
  const home = new CoreHome(root, { ...baseEnvironment(), ...options.env }, options.binary ?? BINARY);
  for (const folder of [home.folder, home.projects, home.operatorHome]) mkdirSync(folder, { mode: 0o700 });
  const settings = Object.entries(options.settings ?? {}).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
  if (settings.length > 0) writeFileSync(join(home.folder, "config.toml"), settings.join(""), { mode: 0o600 });
  return home;
}

/**
 * Looks again and again until `check` is true or has answered something; fails after `timeoutMs` naming `what`. Pauses as
 * long as a look takes: to look all the time keeps the machine too busy for what is waited for.
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  what: string | (() => string),
  timeoutMs = 15_000,
): Promise<NonNullable<Exclude<T, false>>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const lookedAt = performance.now();
    const answer = await check();
    if (answer !== undefined && answer !== null && answer !== false) return answer as NonNullable<Exclude<T, false>>;
    if (performance.now() > deadline) throw new Error(`waited in vain for ${typeof what === "string" ? what : what()}`);
    await delay(Math.max(SHORTEST_PAUSE_MS, performance.now() - lookedAt));
  }
}

/** Text of a file, with its mode where it is not 0644; null removes the file. */
export type Files = Record<string, string | { text: string; mode: number } | null>;
export type GitRepository = {
  /** What `agents install --allow-local` takes. */
  url: string;
  path: string;
  /** The newest commit. */
  readonly head: string;
  /** Changes files and commits everything; the new commit. */
  commit(files: Files, message?: string): Promise<string>;
  /** Any other git command in the repository; its trimmed output. */
  git(...args: string[]): Promise<string>;
};

/** A real git repository on branch `main` with one commit, gone at the end of the test file. */
export async function gitRepository(name: string, content: Files | { copyOf: string }): Promise<GitRepository> {
  const root = mkdtempSync(join(tmpdir(), "os-git-"));
  folders.add(root);
  const path = join(root, name);
  let head = "";
  const git = async (...args: string[]): Promise<string> => {
    const identity = ["-c", "user.name=Test", "-c", "user.email=test@example.invalid", "-c", "commit.gpgsign=false"];
    const result = await runTool(["git", ...identity, ...args], {
      cwd: path,
      env: { PATH: DEFAULT_TOOLS.join(":"), HOME: "/nonexistent", GIT_CONFIG_NOSYSTEM: "1", LC_ALL: "C" },
      timeoutMs: 30_000,
      maxBytes: 1024 * 1024,
    });
    if (result.exitCode !== 0) throw new Error(`git ${args.join(" ")}: ${result.stderr.toString()}`);
    return result.stdout.toString().trim();
  };
  const commit = async (files: Files, message = "change"): Promise<string> => {
    await writeFiles(path, files);
    await git("add", "--all");
    await git("commit", "--quiet", "--allow-empty", `--message=${message}`);
    head = await git("rev-parse", "HEAD");
    return head;
  };
  await mkdir(path);
  await git("init", "--quiet", "--template=", "--initial-branch=main");
  const isCopy = typeof content["copyOf"] === "string";
  if (isCopy) await copySources((content as { copyOf: string }).copyOf, path);
  await commit(isCopy ? {} : (content as Files), "first");
  return {
    url: path,
    path,
    get head() {
      return head;
    },
    commit,
    git,
  };
}

export async function writeFiles(folder: string, files: Files): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    if (content === null) {
      await rm(path, { force: true });
      continue;
    }
    const { text, mode } = typeof content === "string" ? { text: content, mode: 0o644 } : content;
    await mkdir(dirname(path), { recursive: true });
    await rm(path, { force: true });
    await writeFile(path, text, { mode });
  }
}

/** What a build may have left in an example is not part of it. */
async function copySources(from: string, to: string): Promise<void> {
  const built = new Set(["node_modules", "_build", "deps", ".venv", "__pycache__"]);
  await cp(from, to, { recursive: true, filter: (source) => !built.has(basename(source)) });
}

function baseEnvironment(): Record<string, string> {
  return {
    PATH: process.env["PATH"] ?? DEFAULT_TOOLS.join(":"),
    LANG: "C.UTF-8",
    ...networkVariables(),
    ...networkEnvironment(),
  };
}

/** Options stand before `--`, which begins the agent's own arguments. */
function withJson(args: string[]): string[] {
  const end = args.indexOf("--");
  return end === -1 ? [...args, "--json"] : [...args.slice(0, end), "--json", ...args.slice(end)];
}

function procText(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch {
    return "";
  }
}

function procLink(pid: string, file: string): string {
  try {
    return readlinkSync(`/proc/${pid}/${file}`);
  } catch {
    return "";
  }
}
