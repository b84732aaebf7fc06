/**
 * Makes sure the programs that Core and its agents run are installed: by apt-get where that is allowed (root on a
 * Debian system), otherwise by saying the one line to type. They are looked for on the path that Core itself gives to
 * agents and builds by default, not on the caller's: a shim in somebody's home does not count.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { join } from "node:path";

const TOOL_FOLDERS = ["/usr/local/bin", "/usr/bin", "/bin"];

/** Debian packages by the name of the tool, and how to see that the tool is there. */
const TOOLS = {
  git: { packages: ["git"], isPresent: () => hasProgram("git") },
  bwrap: { packages: ["bubblewrap"], isPresent: () => hasProgram("bwrap") },
  mix: { packages: ["elixir"], isPresent: () => hasProgram("mix") },
  // The tests of the page look at it as a person does.
  chromium: { packages: ["chromium"], isPresent: () => hasProgram("chromium") },
  // git reaches its ssh remotes with it.
  ssh: { packages: ["openssh-client"], isPresent: () => hasProgram("ssh") },
  // The tests make a certificate for a git server of their own.
  openssl: { packages: ["openssl"], isPresent: () => hasProgram("openssl") },
  python3: { packages: ["python3", "python3-venv"], isPresent: () => hasPythonModules("venv", "ensurepip") },
} as const;

export type Tool = keyof typeof TOOLS;
export const ALL_TOOLS = Object.keys(TOOLS) as Tool[];

/** Installs what is missing of `wanted` where it may; answers what is still missing afterwards. */
export function ensureTools(wanted: readonly Tool[] = ALL_TOOLS): Tool[] {
  const missing = wanted.filter((tool) => !TOOLS[tool].isPresent());
  if (missing.length === 0) return [];
  const packages = missing.flatMap((tool) => TOOLS[tool].packages);
  const mayInstall = process.getuid?.() === 0 && hasProgram("apt-get");
  if (!mayInstall) {
    console.log(`missing: ${missing.join(", ")}`);
    console.log(`  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${packages.join(" ")}`);
    return missing;
  }
  console.log(`installing ${packages.join(" ")} (apt-get)`);
  // A stale or partly unreachable package list is no reason to give up: the install itself decides.
  aptGet(["update", "-qq"]);
  aptGet(["install", "-y", "-qq", "--no-install-recommends", ...packages]);
  const left = missing.filter((tool) => !TOOLS[tool].isPresent());
  if (left.length > 0) console.log(`still missing: ${left.join(", ")}`);
  return left;
}

function aptGet(args: string[]): void {
  const { status, stdout, stderr } = spawnSync("apt-get", args, {
    encoding: "utf8",
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status !== 0) console.log(`apt-get ${args.join(" ")} ended with ${status}\n${stdout}${stderr}`);
}

function hasProgram(name: string): boolean {
  return TOOL_FOLDERS.some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function hasPythonModules(...modules: string[]): boolean {
  if (!hasProgram("python3")) return false;
  try {
    execFileSync("python3", ["-c", `import ${modules.join(", ")}`], {
      env: { PATH: TOOL_FOLDERS.join(":") },
      stdio: "ignore",
    });
    return true;
  } catch {
    return false;
  }
}

if (process.argv[1] === import.meta.filename) {
  const unknown = process.argv.slice(2).filter((name) => !(name in TOOLS));
  if (unknown.length > 0) throw new Error(`unknown tool ${unknown.join(", ")}; known: ${ALL_TOOLS.join(", ")}`);
  const wanted = process.argv.slice(2) as Tool[];
  const missing = ensureTools(wanted.length > 0 ? wanted : ALL_TOOLS);
  process.exitCode = missing.length > 0 ? 1 : 0;
}
