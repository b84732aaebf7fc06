/**
 * Bundles the command line and the daemon into packages/core/dist, so that what `npm ci` leaves behind starts fast.
 *
 * dist/ is flat: bin.cjs (a guard against an old Node, in syntax that an old Node can read), main.cjs (the CLI), one
 * chunk per dynamic import (the daemon, heavy commands), and migrations/. Storage finds its SQL with
 * `new URL("./migrations/", import.meta.url)`, which is right beside the source file and beside every flat chunk.
 * CommonJS, because `import` of one name from node:http reads every export of it, and some of those load a whole web
 * client: twice the time of a short command. White space goes too, names stay: a stack in Core's log must be readable.
 * npm dependencies are bundled in: dist/ needs nothing but Node. Run by npm `prepare`.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { rolldown, type OutputOptions } from "rolldown";

const REPOSITORY = resolve(import.meta.dirname, "..");
const CORE = join(REPOSITORY, "packages/core");
/** One file without imports, which an agent carries with it: it has no registry to fetch it from. */
const SDK = join(REPOSITORY, "packages/sdk/src/index.ts");
const THREAD = join(CORE, "src/storage/reading-worker.ts");
const EXAMPLE = join(REPOSITORY, "examples/agents/hello-tools");
const MINIMUM_NODE = 24;

const GUARD = `// Read by any Node since 13: says what is missing instead of dying of newer syntax.
var major = Number(process.versions.node.split(".")[0]);
if (major < ${MINIMUM_NODE}) {
  process.stderr.write("opensentience: needs Node.js ${MINIMUM_NODE} or newer, this is " + process.version + "\\n");
  process.exitCode = 1;
} else {
  require("./main.cjs");
}
`;

/** One file instead of six: none of these imports anything of Node, and finding and compiling a file takes its time. */
const NEEDED_BY_EVERY_COMMAND =
  /protocol\/src\/(display|hidden-characters|errors|ids|words)\.ts$|core\/src\/cli\/(options|all-pages|problem|json-lines)\.ts$/;

/** Builds into dist/; answers false when there is no program yet. Throws what the bundler finds wrong. */
export async function buildBundle(): Promise<boolean> {
  const entry = join(CORE, "src/bin.ts");
  if (!existsSync(entry)) return false;
  const target = join(CORE, "dist");
  // Built beside and moved into place, so that a Core that starts meanwhile never sees half a bundle.
  const staging = join(CORE, `dist.${process.pid}.tmp`);
  rmSync(staging, { recursive: true, force: true });
  try {
    await bundle({ main: entry }, staging, {
      format: "cjs",
      entryFileNames: "[name].cjs",
      chunkFileNames: "[name]-[hash].cjs",
      codeSplitting: { groups: [{ name: "words", test: NEEDED_BY_EVERY_COMMAND }] },
    });
    // A thread of Core, from a file of its own.
    await bundle({ "reading-worker": THREAD }, staging, { format: "cjs", entryFileNames: "[name].cjs" });
    // An agent imports it, from a file of its own.
    await bundle({ sdk: SDK }, staging, { format: "esm", entryFileNames: "[name].js" });
    writeFileSync(join(staging, "bin.cjs"), GUARD);
    copyMigrations(staging);
    cpSync(join(staging, "sdk.js"), join(EXAMPLE, "opensentience-sdk.js"));
    // The page is built by a script of its own, into the same folder.
    if (existsSync(join(target, "page"))) renameSync(join(target, "page"), join(staging, "page"));
    rmSync(target, { recursive: true, force: true });
    renameSync(staging, target);
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
  return true;
}

async function bundle(input: Record<string, string>, directory: string, shape: OutputOptions): Promise<void> {
  const build = await rolldown({
    input,
    platform: "node",
    tsconfig: join(REPOSITORY, "tsconfig.json"),
    // The protocol package only defines things (its wall has it pure), so a chunk gets just what it uses of it: naming
    // an error code must not make the command line load every schema of the API.
    treeshake: { moduleSideEffects: [{ test: /packages\/protocol\/src\//, sideEffects: false }] },
    onLog(level, log, handler) {
      if (level === "warn") throw new Error(`bundling: ${log.message}`);
      handler(level, log);
    },
  });
  await build.write({
    dir: directory,
    minify: { compress: false, mangle: false, codegen: true },
    comments: false,
    ...shape,
  });
  await build.close();
}

function copyMigrations(directory: string): void {
  const migrations = join(CORE, "src/storage/migrations");
  mkdirSync(directory, { recursive: true });
  if (existsSync(migrations)) cpSync(migrations, join(directory, "migrations"), { recursive: true });
}

/** Name and version of the package that is bundled, for messages. */
function packageLabel(): string {
  const manifest = JSON.parse(readFileSync(join(CORE, "package.json"), "utf8")) as { name: string; version: string };
  return `${manifest.name} ${manifest.version}`;
}

if (process.argv[1] === import.meta.filename) {
  const startedAt = performance.now();
  const built = await buildBundle();
  const took = `${Math.round(performance.now() - startedAt)} ms`;
  console.log(built ? `bundled ${packageLabel()} into packages/core/dist in ${took}` : "nothing to bundle yet");
}
