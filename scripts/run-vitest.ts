/**
 * Runs Vitest projects in this process and counts what they did.
 *
 * A file that cannot be loaded and an error outside every test count as one failure each, and so does a project in
 * which no test ran. With CI set, a skipped test is a failure unless its reason (the note of `context.skip`) begins
 * with a name of ACCEPTED_SKIPS: a tool that can be installed is no reason.
 *
 * A test that loops without end cannot be timed out from inside its worker, so silence is watched from here: when no
 * test has ended for SILENCE_MS, the files under way are named and the process ends with a failure.
 */
import { relative } from "node:path";
import type { TestCase, TestModule } from "vitest/node";
import { startVitest } from "vitest/node";
import type { Tally } from "./tally.ts";

/** What a machine may lack altogether, by name. */
const ACCEPTED_SKIPS = ["delegated cgroup v2", "macOS"];

/** A test of a soak counts for long without a word. */
const SILENCE_MS = process.env["SOAK_REPORT"] === undefined ? 300_000 : 3_600_000;

export type VitestProject = "unit" | "architecture" | "integration" | "e2e" | "soak";

/** Runs the projects whole, or of them only the files whose path contains one of `filters`. */
export async function runVitest(
  projects: readonly VitestProject[],
  root: string,
  filters: readonly string[] = [],
): Promise<Tally> {
  const ended: { modules: readonly TestModule[]; errors: number } = { modules: [], errors: 0 };
  const watch = new SilenceWatch(root);
  const counter = {
    onTestModuleStart: (module: TestModule): void => watch.started(module),
    onTestCaseResult: (): void => watch.heard(),
    onTestModuleEnd: (module: TestModule): void => watch.ended(module),
    onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
      ended.modules = modules;
      ended.errors = errors.length;
    },
  };
  const vitest = await startVitest("test", [...filters], {
    root,
    project: [...projects],
    watch: false,
    reporters: ["default", counter],
  });
  await vitest.close();
  watch.stop();
  // Vitest sets it for its own failures; the closing line decides here.
  process.exitCode = 0;
  const tally: Tally = { passed: 0, failed: ended.errors, skipped: 0 };
  for (const module of ended.modules) countModule(module, tally);
  for (const project of projects) {
    if (ended.modules.some((module) => module.project.name === project)) continue;
    console.log(`FAILED no test of the project "${project}" ran`);
    tally.failed += 1;
  }
  return tally;
}

class SilenceWatch {
  readonly #root: string;
  readonly #underWay = new Set<string>();
  readonly #timer: NodeJS.Timeout;

  constructor(root: string) {
    this.#root = root;
    this.#timer = setTimeout(() => this.#giveUp(), SILENCE_MS);
  }

  started(module: TestModule): void {
    this.#underWay.add(relative(this.#root, module.moduleId));
    this.heard();
  }

  ended(module: TestModule): void {
    this.#underWay.delete(relative(this.#root, module.moduleId));
    this.heard();
  }

  heard(): void {
    this.#timer.refresh();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #giveUp(): never {
    console.log(
      `FAILED no test ended for ${SILENCE_MS / 1000} s; under way: ${[...this.#underWay].join(", ") || "none"}`,
    );
    console.log("\n0 passed, 1 failed");
    process.exit(1);
  }
}

function countModule(module: TestModule, tally: Tally): void {
  tally.failed += module.errors().length;
  for (const suite of module.children.allSuites()) tally.failed += suite.errors().length;
  for (const test of module.children.allTests()) {
    const { state } = test.result();
    if (state === "passed") tally.passed += 1;
    else if (state === "failed") tally.failed += 1;
    else if (isRefusedSkip(test)) tally.failed += 1;
    else tally.skipped += 1;
  }
}

function isRefusedSkip(test: TestCase): boolean {
  if (!process.env["CI"]) return false;
  const result = test.result();
  const reason = result.state === "skipped" ? (result.note ?? "") : "";
  if (ACCEPTED_SKIPS.some((name) => reason.startsWith(name))) return false;
  console.log(`FAILED skipped under CI: ${test.fullName} (${reason || "no reason given"})`);
  return true;
}
