/**
 * Builds the page into packages/core/dist/page: index.html and assets/ with hashed names, served by Core from there.
 *
 * No file of it holds an inline script or style and nothing is loaded from elsewhere: the page's Content-Security-Policy
 * forbids both. Built beside and moved into place, so that a Core that runs never serves half a page. Run by npm `prepare`.
 */
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { build, type Rolldown } from "vite";

const REPOSITORY = resolve(import.meta.dirname, "..");
const PAGE = join(REPOSITORY, "packages/admin-ui");
const TARGET = join(REPOSITORY, "packages/core/dist/page");

export type BuiltPage = {
  /** Compressed bytes of script that the first screen needs. */
  firstLoadBytes: number;
  /** Folders of the packages that went into it. */
  packages: string[];
};

/** Throws what the bundler finds wrong. */
export async function buildPage(): Promise<BuiltPage> {
  const staging = `${TARGET}.${process.pid}.tmp`;
  try {
    const output = (await build({
      root: PAGE,
      configFile: false,
      logLevel: "warn",
      build: {
        outDir: staging,
        emptyOutDir: true,
        target: "es2023",
        cssTarget: ["chrome123", "firefox120", "safari17.5"],
        // Each would be an inline script, or text in place of a file.
        modulePreload: { polyfill: false },
        assetsInlineLimit: 0,
        reportCompressedSize: false,
        chunkSizeWarningLimit: 1024,
        rolldownOptions: {
          // A busy machine is no fault of the page.
          checks: { bundlerTimings: false },
          onLog(level, log, handler) {
            // What packages say to servers that render components; here nothing does.
            if (log.code === "MODULE_LEVEL_DIRECTIVE") return;
            if (level === "warn") throw new Error(`bundling the page: ${log.message}`);
            handler(level, log);
          },
        },
      },
      worker: { format: "es" },
    })) as Rolldown.RolldownOutput;
    rmSync(TARGET, { recursive: true, force: true });
    mkdirSync(join(TARGET, ".."), { recursive: true });
    renameSync(staging, TARGET);
    return { firstLoadBytes: firstLoad(output.output), packages: packagesOf(output.output) };
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

type Output = Rolldown.RolldownOutput["output"];

function firstLoad(output: Output): number {
  const chunks = new Map(output.flatMap((one) => (one.type === "chunk" ? [[one.fileName, one] as const] : [])));
  const needed = new Set<string>();
  const need = (name: string): void => {
    const chunk = chunks.get(name);
    if (chunk === undefined || needed.has(name)) return;
    needed.add(name);
    chunk.imports.forEach(need);
  };
  for (const chunk of chunks.values()) if (chunk.isEntry) need(chunk.fileName);
  return [...needed].reduce((sum, name) => sum + gzipSync(chunks.get(name)?.code ?? "").byteLength, 0);
}

function packagesOf(output: Output): string[] {
  const modules = output.flatMap((one) => (one.type === "chunk" ? one.moduleIds : []));
  // Up to the last: a package may have its own version of another.
  const folders = modules.flatMap((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id)?.[0] ?? []);
  return [...new Set(folders)].toSorted();
}

if (process.argv[1] === import.meta.filename) {
  if (!existsSync(join(PAGE, "index.html"))) throw new Error("there is no page to build");
  const startedAt = performance.now();
  const { firstLoadBytes } = await buildPage();
  const took = `${Math.round(performance.now() - startedAt)} ms`;
  console.log(`built the page into packages/core/dist/page in ${took}; ${Math.round(firstLoadBytes / 1024)} KB first`);
}
