/**
 * Starting an agent: from the command to the first instruction of the program, beside the same program under PM2. Both
 * daemons run already. PM2 is no dependency of ours: it is installed into the temporary folder for the measurement,
 * and where that fails the figure fails too and says so.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { networkVariables } from "../network-environment.ts";
import { type BenchHome, benchHome, output, PINNED_NODE } from "./bench-home.ts";
import { type Figure, ratioOf, sideBySide } from "./figure.ts";

const AGENT = "com.example.probe";
const PM2 = "pm2@7.0.4";
const WAIT_MS = 10_000;

/** The first thing it does is to write down when. Under Core its home is the agent's data folder. */
const PROGRAM = `#!/bin/sh
date +%s%N > "$HOME/first"
exec sleep 1000
`;

export const figure: Figure = {
  name: "start-agent",
  subject: "From `opensentience agents run ID` to the first instruction of the agent, Core running.",
  floor: "`pm2 start` of the same program, its daemon running",
  target: 0.5,
  async measure(rounds) {
    const home = benchHome();
    try {
      const pm2 = await installPm2(home);
      if (typeof pm2 === "string") {
        return { floor: null, subject: Infinity, ratio: Infinity, unit: "ms", notes: [`Not measured: ${pm2}`] };
      }
      try {
        return ratioOf(await sideBySide(rounds, pm2.start, await enableAgent(home)));
      } finally {
        await pm2.kill();
      }
    } finally {
      await home.dispose();
    }
  },
};

/** Installs, builds and approves the program as an agent; what starts it and answers how long that took. */
async function enableAgent(home: BenchHome): Promise<() => Promise<number>> {
  const source = join(home.root, "probe");
  mkdirSync(join(source, "bin"), { recursive: true });
  writeFileSync(join(source, "bin/agent"), PROGRAM, { mode: 0o755 });
  const manifest = {
    id: AGENT,
    name: "Probe",
    version: "1.0.0",
    description: "Writes down when it starts.",
    source: { git_url: "https://example.com/probe.git" },
    entrypoint: { type: "command", value: "./bin/agent" },
    permissions: [],
    capabilities: [],
  };
  writeFileSync(join(source, "opensentience.agent.json"), JSON.stringify(manifest));
  const git = (...args: string[]): Promise<string> =>
    output(["git", "-c", "user.name=Bench", "-c", "user.email=bench@example.invalid", ...args], home.env, source);
  await git("init", "--quiet", "--template=", "--initial-branch=main");
  await git("add", "--all");
  await git("commit", "--quiet", "--message=first");
  await home.cli("agents", "install", source, "--allow-local");
  await home.cli("agents", "build", AGENT, "--yes");
  await home.cli("agents", "enable", AGENT, "--all");
  const first = join(home.folder, "agents", AGENT, "data/first");
  return async () => {
    const tookMs = await untilFirst(first, () => home.cli("agents", "run", AGENT));
    await home.cli("agents", "stop", AGENT);
    return tookMs;
  };
}

/** PM2 beside it, or why there is none. */
async function installPm2(
  home: BenchHome,
): Promise<{ start: () => Promise<number>; kill: () => Promise<unknown> } | string> {
  const folder = join(home.root, "pm2");
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
  const env = { ...home.env, ...networkVariables(), PM2_HOME: join(folder, "home") };
  try {
    // The operator's own settings of npm count here: they say how this machine reaches packages.
    const npmEnv = { ...env, HOME: process.env["HOME"] ?? home.root };
    await output(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", PM2], npmEnv, folder);
  } catch (error) {
    return `PM2 could not be installed (${error instanceof Error ? error.message.slice(0, 200) : "unknown reason"}).`;
  }
  const program = join(folder, "probe");
  writeFileSync(program, PROGRAM, { mode: 0o755 });
  const pm2 = (...args: string[]): Promise<string> =>
    output([PINNED_NODE, join(folder, "node_modules/pm2/bin/pm2"), ...args], env, folder);
  await pm2("ping");
  const first = join(home.env["HOME"] ?? "", "first");
  const start = async (): Promise<number> => {
    const tookMs = await untilFirst(first, () => pm2("start", program, "--name", "probe", "--interpreter", "none"));
    await pm2("delete", "probe");
    return tookMs;
  };
  return { start, kill: () => pm2("kill") };
}

/** From now to the moment that the program writes down, in ms. */
async function untilFirst(file: string, start: () => Promise<unknown>): Promise<number> {
  rmSync(file, { force: true });
  const startedAtMs = performance.timeOrigin + performance.now();
  await start();
  return Number(await textOf(file)) / 1e6 - startedAtMs;
}

async function textOf(file: string): Promise<string> {
  for (let waitedMs = 0; waitedMs < WAIT_MS; waitedMs += 5) {
    try {
      const text = readFileSync(file, "utf8").trim();
      if (text !== "") return text;
    } catch {
      // Not written yet.
    }
    await delay(5);
  }
  throw new Error(`${file} was never written`);
}
