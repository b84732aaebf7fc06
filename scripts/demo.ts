/**
 * The main job on a real agent, with the real command line and a real Core in a temporary home: from a git URL to a
 * running, logged, stoppable process with just the approved permissions, and the record of it all afterwards.
 * Every step prints the command a person would type. `--keep` leaves the home for looking around.
 */
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ensureTools } from "./ensure-tools.ts";
import { networkEnvironment } from "./network-environment.ts";

const ROOT = join(import.meta.dirname, "..");
const OPENSENTIENCE = join(ROOT, "packages", "core", "bin", "opensentience");
const ID = "org.opensentience.examples.link-checker";
const bold = (text: string): string =>
  process.stdout.isTTY && !process.env["NO_COLOR"] ? `\u001b[1m${text}\u001b[0m` : text;

const home = mkdtempSync(join(tmpdir(), "os-demo-"));
const projects = join(home, "projects");
const checkout = join(projects, "link-checker");
const gitUrl = `file://${checkout}`;
const environment: NodeJS.ProcessEnv = {
  ...process.env,
  ...networkEnvironment(),
  OPENSENTIENCE_HOME: join(home, "home"),
  OPENSENTIENCE_WEB_PORT: "0",
  OPENSENTIENCE_SCAN_ROOTS: projects,
};

type Expected = number | "any";

async function main(): Promise<void> {
  ensureTools(["git", "bwrap"]);
  say("Somebody published an agent. Here is its repository, and a folder that holds a copy of it.");
  cpSync(join(ROOT, "examples", "agents", "link-checker"), checkout, {
    recursive: true,
    filter: (path) => !path.includes("node_modules"),
  });
  await git("init", "--quiet", "--initial-branch=main");
  await commit("the first version");

  say("1. Find agents by their manifest. Nothing of them runs.");
  await os(0, "agents", "scan");
  await os(0, "agents", "list");

  say("2. Install it from git: fetched and checked, not run.");
  await os(0, "agents", "install", ID, "--git-url", gitUrl, "--allow-local");

  say("3. A build executes third-party code, so look at the plan first.");
  await os(0, "agents", "build", ID, "--plan");
  await os(0, "agents", "build", ID, "--yes");

  say("4. Review what it asks for. Nothing is approved yet, so a run is refused.");
  await os(0, "agents", "info", ID);
  await os(4, "agents", "run", ID);

  say("5. Approve a part of it, and run it under that part.");
  await os(0, "agents", "enable", ID, "--approve", "filesystem:read:~/Projects/**");
  await os(0, "agents", "run", ID);
  await os(0, "agents", "ps");
  await waitForLine("round 1");
  await os(0, "agents", "logs", ID, "--tail", "10");
  await os(0, "agents", "stop", ID);

  say("6. The author publishes a version that asks for more. What you approved no longer fits, so it does not run.");
  askForMore();
  await commit("ask for the whole home and any host");
  await os(0, "agents", "install", ID, "--allow-local");
  await os(0, "agents", "build", ID, "--yes");
  await os(4, "agents", "run", ID);
  await os(0, "agents", "diff", ID);

  say("7. Decide again: here the old, narrow permission is all it gets.");
  await os(0, "agents", "enable", ID, "--approve", "filesystem:read:~/Projects/**");
  await os(0, "agents", "run", ID);
  await os(0, "agents", "stop", ID);

  say("8. Everything that happened is in the audit log, and nobody changed it.");
  await os(0, "audit", "list", "--agent", ID);
  await os(0, "audit", "verify");
  await os(0, "core", "stop");
  await finish();
}

async function finish(): Promise<void> {
  const keep = process.argv.includes("--keep");
  if (!keep) rmSync(home, { recursive: true, force: true });
  say(keep ? `The demo's home is ${environment["OPENSENTIENCE_HOME"]}.` : "The demo's home was removed again.");
  process.stdout
    .write(`Now with an agent of your own (it needs an opensentience.agent.json at its root; see docs/manifest.md):

  npx opensentience agents install https://your.host/you/agent.git
  npx opensentience agents build  <its id>       executes third-party code, asks first
  npx opensentience agents enable <its id>       shows each permission, approves what you say yes to
  npx opensentience agents run    <its id>
  npx opensentience agents logs   <its id> -f
  npx opensentience agents stop   <its id>
  npx opensentience audit list
`);
}

function askForMore(): void {
  const path = join(checkout, "opensentience.agent.json");
  const manifest = JSON.parse(readFileSync(path, "utf8")) as { version: string; permissions: string[] };
  manifest.version = "1.1.0";
  manifest.permissions = manifest.permissions
    .map((permission) => (permission.startsWith("filesystem:write:") ? "filesystem:write:~/**" : permission))
    .concat("network:egress:*");
  writeFileSync(path, `${JSON.stringify(manifest, null, 2)}\n`);
}

/** Waits until the agent printed `text`, on the log itself. */
async function waitForLine(text: string): Promise<void> {
  const follow = spawn(OPENSENTIENCE, ["agents", "logs", ID, "-f", "--json"], {
    env: environment,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const timer = setTimeout(() => follow.kill(), 30_000);
  let seen = "";
  for await (const chunk of follow.stdout) {
    seen += String(chunk);
    if (seen.includes(text)) break;
  }
  clearTimeout(timer);
  follow.kill();
  if (!seen.includes(text)) throw new Error(`the agent did not print "${text}" within 30 s`);
}

/** Runs one command as a person would, and fails when its exit code is not the expected one. */
async function os(expected: Expected, ...args: string[]): Promise<void> {
  const shown = args.map((arg) => (/[^\w@%+=:,./-]/.test(arg) ? `'${arg}'` : arg)).join(" ");
  process.stdout.write(`\n${bold(`$ opensentience ${shown}`)}\n`);
  const code = await run(OPENSENTIENCE, args, { stdio: ["ignore", "inherit", "inherit"] });
  if (expected !== "any" && code !== expected) throw new Error(`expected exit code ${expected}, got ${code}`);
  if (code !== 0) process.stdout.write(`(exit code ${code}: refused, as it should be)\n`);
}

async function git(...args: string[]): Promise<void> {
  const identity = ["-c", "user.name=An Author", "-c", "user.email=author@example.com", "-c", "commit.gpgsign=false"];
  if ((await run("git", ["-C", checkout, ...identity, ...args], { stdio: "inherit" })) !== 0)
    throw new Error(`git ${args[0]} failed`);
}

async function commit(message: string): Promise<void> {
  await git("add", "--all");
  await git("commit", "--quiet", "--message", message);
}

function run(
  program: string,
  args: string[],
  options: { stdio: "inherit" | ["ignore", "inherit", "inherit"] },
): Promise<number> {
  const child = spawn(program, args, { env: environment, ...options });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? 1));
  });
}

function say(text: string): void {
  process.stdout.write(`\n${bold(text)}\n`);
}

if (!existsSync(join(ROOT, "packages", "core", "dist")))
  throw new Error("run `npm ci` first: it builds what the demo starts");
process.once("SIGINT", () => process.exit(130));
process.once("exit", (code) => {
  if (code !== 0) process.stdout.write(`\nThe demo stopped early; its home is ${dirname(join(home, "home"))}\n`);
});
main().catch(async (error: unknown) => {
  process.stderr.write(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}\n`);
  await run(OPENSENTIENCE, ["core", "stop"], { stdio: ["ignore", "inherit", "inherit"] });
  process.exitCode = 1;
});
