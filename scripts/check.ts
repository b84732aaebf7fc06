/**
 * `npm run check`: everything that needs no running Core. Format, lint, types, unused code, then the tests beside the
 * code and the walls between folders. Prints each tool's result; exits non-zero when any of them failed.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { runVitest } from "./run-vitest.ts";
import { addTallies, closeWith, tallyStep, type Tally } from "./tally.ts";

const REPOSITORY = resolve(import.meta.dirname, "..");

/** Name → program of node_modules/.bin and its arguments. */
const TOOLS: Record<string, [string, ...string[]]> = {
  format: ["oxfmt", "--check", "."],
  lint: ["oxlint", "--type-aware", "--deny-warnings", "--report-unused-disable-directives", "."],
  types: ["tsc", "--noEmit"],
  "types of the page": ["tsc", "--noEmit", "--project", "packages/admin-ui"],
  unused: ["knip", "--no-progress", "--no-config-hints"],
};

/** All checks; the tools run side by side, the tests after them. */
export async function runChecks(): Promise<Tally> {
  const tools = Object.entries(TOOLS).map(([name, command]) => tallyStep(name, () => runTool(command)));
  const tally = addTallies(await Promise.all(tools));
  return addTallies([tally, await runVitest(["unit", "architecture"], REPOSITORY)]);
}

/** Resolves when the program ends with 0; otherwise throws what it printed. */
function runTool([program, ...args]: [string, ...string[]]): Promise<void> {
  const bin = join(REPOSITORY, "node_modules/.bin");
  if (!existsSync(join(bin, program))) throw new Error(`${program} is not installed; run npm ci`);
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env["PATH"] ?? ""}`, NO_COLOR: "1" };
  return new Promise((done, fail) => {
    const options = { cwd: REPOSITORY, env, maxBuffer: 64 * 1024 * 1024 };
    execFile(join(bin, program), args, options, (error, stdout, stderr) => {
      if (error === null) done();
      else fail(new Error(`${stdout}${stderr}`.trimEnd() || error.message));
    });
  });
}

if (process.argv[1] === import.meta.filename) closeWith(await runChecks());
