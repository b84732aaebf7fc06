/**
 * A home of Core for measuring: in a temporary folder, driven as a user drives it, by the command that `npm ci` links
 * and the Node it brings. Nothing of the operator's own is seen or touched; `dispose` stops Core and removes everything.
 */
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { networkEnvironment } from "../network-environment.ts";

const REPOSITORY: string = resolve(import.meta.dirname, "../..");
const LINKS = join(REPOSITORY, "node_modules/.bin");
export const OPENSENTIENCE: string = join(LINKS, "opensentience");
export const PINNED_NODE: string = join(LINKS, "node");

export type BenchHome = {
  /** Everything of the measurement lies below it. */
  root: string;
  /** What OPENSENTIENCE_HOME names. */
  folder: string;
  /** The one scan root beside Core's own agents. */
  projects: string;
  env: Record<string, string>;
  /** Standard output of a command that must succeed. */
  cli: (...args: string[]) => Promise<string>;
  /** The pid of the Core that runs. */
  corePid: () => Promise<number>;
  dispose: () => Promise<void>;
};

export function benchHome(): BenchHome {
  const root = mkdtempSync(join(tmpdir(), "os-bench-"));
  const [folder, projects, operator] = [join(root, "h"), join(root, "projects"), join(root, "operator")];
  for (const one of [folder, projects, operator]) mkdirSync(one, { mode: 0o700 });
  const env = {
    ...networkEnvironment(),
    PATH: `${LINKS}:${process.env["PATH"] ?? "/usr/bin:/bin"}`,
    LANG: "C.UTF-8",
    HOME: operator,
    OPENSENTIENCE_HOME: folder,
    OPENSENTIENCE_WEB_PORT: "0",
    OPENSENTIENCE_SCAN_ROOTS: `${projects}:${join(folder, "agents")}`,
  };
  const cli = (...args: string[]): Promise<string> => output([OPENSENTIENCE, ...args], env, root);
  return {
    root,
    folder,
    projects,
    env,
    cli,
    corePid: async () => (JSON.parse(await cli("core", "status", "--json")) as { pid: number }).pid,
    dispose: async () => {
      await cli("core", "stop");
      rmSync(root, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Standard output of a program that must succeed. */
export function output(argv: readonly string[], env: Record<string, string>, cwd: string): Promise<string> {
  const [program = "", ...args] = argv;
  const child = spawn(program, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  return new Promise((done, failed) => {
    child.once("error", failed);
    child.once("close", (code, signal) => {
      if (code === 0) done(stdout);
      else failed(new Error(`${argv.join(" ")} ended with ${code ?? signal}: ${stderr}${stdout}`));
    });
  });
}

const SDK = resolve(REPOSITORY, "packages/core/dist/sdk.js");

/** The folder of an agent with the SDK beside it, whose program is this text. */
export function plantAgent(home: BenchHome, agentId: string, program: string, permissions: readonly string[]): string {
  const folder = join(home.root, agentId);
  mkdirSync(folder);
  cpSync(SDK, join(folder, "opensentience-sdk.js"));
  writeFileSync(join(folder, "main.js"), program);
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  const manifest = {
    id: agentId,
    name: "Measured",
    version: "1.0.0",
    description: "Takes part in a measurement.",
    source: { git_url: "https://example.com/agent.git" },
    entrypoint: { type: "command", value: "node", args: ["main.js"] },
    permissions,
    capabilities: ["tools"],
  };
  writeFileSync(join(folder, "opensentience.agent.json"), JSON.stringify(manifest));
  return folder;
}

/** Installs what lies in that folder, approves all that it asks for, and runs it. */
export async function runAgent(home: BenchHome, agentId: string, source: string): Promise<void> {
  const identity = ["-c", "user.name=x", "-c", "user.email=x@example.com"];
  for (const args of [["init"], ["add", "--all"], [...identity, "commit", "--message=first"]])
    await output(["git", ...args, ...(args.includes("add") ? [] : ["--quiet"])], home.env, source);
  await home.cli("agents", "install", source, "--allow-local");
  await home.cli("agents", "build", agentId, "--yes");
  await home.cli("agents", "enable", agentId, "--all");
  await home.cli("agents", "run", agentId, "--yes");
}

/** So many projects with a manifest each, where the next scan finds them. */
export function plantManifests(home: BenchHome, count: number): void {
  for (let number = 1; number <= count; number += 1) {
    const folder = join(home.projects, `agent-${number}`);
    mkdirSync(folder);
    const manifest = {
      id: `com.example.agent${number}`,
      name: `Agent ${number}`,
      version: "1.0.0",
      description: "One of many.",
      source: { git_url: "https://example.com/agent.git" },
      entrypoint: { type: "command", value: "./bin/agent" },
      permissions: ["filesystem:read:~/notes/**", "network:egress:api.example.com"],
      capabilities: ["chat"],
    };
    writeFileSync(join(folder, "opensentience.agent.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  }
}

/** What a process holds of the machine's memory now, in bytes. */
export function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  if (kilobytes === undefined) throw new Error(`process ${pid} says nothing of its memory`);
  return Number(kilobytes) * 1024;
}
