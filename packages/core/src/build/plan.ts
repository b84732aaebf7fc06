/**
 * What a build would run, planned from the files that are there and shown before anything runs. Pure but for looking
 * which files exist. The manifest's own `build.steps` replace the detected plan.
 */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { BuildPlanJson, Manifest } from "@opensentience/protocol";

export type BuildStep = BuildPlanJson["steps"][number];

/** What each phase reaches of the network on this machine. */
export type PhaseReach = Record<BuildStep["phase"], BuildStep["reach"]>;

/** Names of variables that tell a program of a proxy. */
const PROXY_VARIABLE = /^(?:https?|all)_proxy$/i;

/**
 * A sandbox has the way out of Core's proxy in its fetch phase, and none when it compiles. Without one the compile phase
 * has no network where a namespace is to be had. The proxies of an operator who passes some on cannot be asked through
 * Core's, so then the fetch phase has what this machine has; the plan says what is true.
 */
export function phaseReach(held: {
  isSandboxed: boolean;
  hasNamespaces: boolean;
  passedVariables: readonly string[];
}): PhaseReach {
  const isOpen = !held.isSandboxed || held.passedVariables.some((name) => PROXY_VARIABLE.test(name));
  return { fetch: isOpen ? "machine" : "public_hosts", compile: held.hasNamespaces ? "none" : "machine" };
}

export async function planBuild(source: string, manifest: Manifest, reach: PhaseReach): Promise<BuildStep[]> {
  const step = (phase: BuildStep["phase"], ...argv: string[]): BuildStep => ({
    phase,
    argv,
    network: reach[phase] !== "none",
    reach: reach[phase],
  });
  if (manifest.build?.steps !== undefined) return manifest.build.steps.map((own) => step(own.phase, ...own.argv));
  const steps: BuildStep[] = [];
  if (await isFile(source, "mix.exs"))
    steps.push(
      step("fetch", "mix", "deps.get"),
      step("compile", "mix", "deps.compile"),
      step("compile", "mix", "compile"),
    );
  if (await isFile(source, "package-lock.json")) {
    steps.push(
      step("fetch", "npm", "ci", "--ignore-scripts"),
      step("compile", "npm", "rebuild"),
      step("compile", "npm", "run", "build", "--if-present"),
    );
  }
  if (await isFile(source, "uv.lock")) steps.push(step("fetch", "uv", "sync", "--frozen"));
  else if (await hasRequirements(source)) {
    steps.push(
      step("fetch", "python3", "-m", "venv", ".venv"),
      step(
        "fetch",
        ".venv/bin/pip",
        "install",
        "--only-binary=:all:",
        "--disable-pip-version-check",
        "-r",
        "requirements.txt",
      ),
    );
  }
  // All fetching first: after it nothing needs the network.
  return [...steps.filter((one) => one.phase === "fetch"), ...steps.filter((one) => one.phase === "compile")];
}

async function isFile(folder: string, name: string): Promise<boolean> {
  return stat(join(folder, name)).then(
    (found) => found.isFile(),
    () => false,
  );
}

const MAX_LIST_BYTES = 1024 * 1024;

/** A file without a requirement needs no virtual environment. */
async function hasRequirements(folder: string): Promise<boolean> {
  if (!(await isFile(folder, "requirements.txt"))) return false;
  // SECURITY: some compressed bytes of a repository become a file whose lines are more than Core's memory; pinned by "a
  // list of requirements without an end is a plan like any other".
  if ((await stat(join(folder, "requirements.txt"))).size > MAX_LIST_BYTES) return true;
  const text = await readFile(join(folder, "requirements.txt"), "utf8");
  return text.split("\n").some((line) => line.trim() !== "" && !line.trim().startsWith("#"));
}
