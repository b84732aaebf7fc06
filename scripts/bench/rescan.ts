/**
 * What a scan of 20 000 folders costs, against `find` for the same name with the same pruned folders. The scan is a
 * request to the bundled Core over its socket, from a process that is already running: walking, reading and hashing the
 * manifests and writing the catalog are in it, the start of the command line is not.
 *
 * Cold is the first scan of a Core that has just started and knows nothing of the tree; warm is a rescan of a tree in
 * which nothing changed. The kernel has the tree in its cache either way, for `find` too.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { ControlClient } from "../../packages/core/src/cli/control-client.ts";
import { pathsOf } from "../../packages/core/src/host/paths.ts";
import { type Figure, type Measured, ratioOf, sideBySide, timed } from "./figure.ts";

const BINARY = resolve(import.meta.dirname, "../../packages/core/bin/opensentience");
const MANIFEST = "opensentience.agent.json";
const PRUNED = [".git", "node_modules", "_build", "deps", ".venv", "target"];
const FOLDERS = 20_000;
const AGENTS = 200;
/** Long enough for Core to believe the times of folders that were just made. */
const SETTLED_MS = 3_000;

type Bench = { tree: string; find: () => Promise<number>; scan: (body: { paths?: string[] }) => Promise<number> };

/** A tree, and a Core whose only scan root is `root` of it; both are gone afterwards. */
async function withCore(
  root: string,
  act: (bench: Bench, restart: () => void) => Promise<Measured>,
): Promise<Measured> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "bench-rescan-")));
  const tree = join(folder, "tree");
  const home = join(folder, "h");
  mkdirSync(join(folder, "empty"));
  plant(tree);
  await new Promise((settled) => setTimeout(settled, SETTLED_MS));
  const env = {
    PATH: process.env["PATH"],
    HOME: folder,
    OPENSENTIENCE_HOME: home,
    OPENSENTIENCE_WEB_PORT: "0",
    OPENSENTIENCE_SCAN_ROOTS: join(folder, root),
    OPENSENTIENCE_SCAN_INTERVAL_MS: "0",
  };
  const core = (verb: string): void => void execFileSync(BINARY, ["core", verb], { env, stdio: "ignore" });
  const uid = process.geteuid?.() ?? 0;
  const signal = new AbortController().signal;
  const client = new ControlClient({ paths: await pathsOf(home, undefined, uid), uid, signal });
  const scan = async (body: { paths?: string[] }): Promise<number> => {
    let found = 0;
    const cost = await timed(async () => ({ found } = await client.call("scan", { body })));
    if (found !== AGENTS) throw new Error(`the scan found ${found} agents instead of ${AGENTS}`);
    return cost;
  };
  const restart = (): void => {
    core("stop");
    core("start");
  };
  try {
    core("start");
    return await act({ tree, scan, find: () => timed(() => find(tree)) }, restart);
  } finally {
    core("stop");
    rmSync(folder, { recursive: true, force: true });
  }
}

function find(tree: string): void {
  const pruned = PRUNED.flatMap((name) => ["-o", "-name", name]).slice(1);
  const lines = execFileSync("find", [tree, "(", ...pruned, ")", "-prune", "-o", "-name", MANIFEST, "-print"]);
  const count = lines.toString().split("\n").length - 1;
  if (count !== AGENTS) throw new Error(`find saw ${count} manifests instead of ${AGENTS}`);
}

/** Projects of 86 folders with four to seven files each, what package managers leave in them, and agents in some. */
function plant(tree: string): void {
  let folders = 0;
  const make = (path: string, files: number): string => {
    mkdirSync(path);
    folders++;
    for (let index = 0; index < files; index++) writeFileSync(join(path, `file-${index}.ts`), "");
    return path;
  };
  make(tree, 0);
  for (let project = 0; folders < FOLDERS; project++) {
    const top = make(join(tree, `project-${project}`), 6);
    for (const pruned of [".git", "node_modules"])
      for (let index = 0; index < 10; index++) mkdirSync(join(top, pruned, `package-${index}`), { recursive: true });
    for (const part of ["src", "lib", "test", "docs", "assets"]) {
      const middle = make(join(top, part), 5);
      for (let module = 0; module < 4; module++) {
        const inner = make(join(middle, `module-${module}`), 7);
        for (const leaf of ["internal", "components", "handlers"]) make(join(inner, leaf), 4);
      }
    }
    if (project < AGENTS) plantAgent(make(join(top, "agent"), 3), project);
    if (project < AGENTS) for (const part of ["src", "test"]) make(join(top, "agent", part), 4);
  }
}

function plantAgent(folder: string, index: number): void {
  const manifest = {
    id: `org.example.agent-${index}`,
    name: `Agent ${index}`,
    version: "1.0.0",
    description: "One of many",
    source: { git_url: "https://example.com/agent.git" },
    entrypoint: { type: "command", value: "./run" },
    permissions: ["network:egress:example.com:443", "filesystem:read:~/notes/**"],
    capabilities: ["tools"],
  };
  writeFileSync(join(folder, MANIFEST), JSON.stringify(manifest));
}

const FLOOR = "`find` for the manifest's name with the same pruned folders";

export const rescanWarm: Figure = {
  name: "rescan-warm",
  subject: "A scan request to Core over 20 000 folders with 200 agents, of which nothing changed since its last scan.",
  floor: FLOOR,
  target: 0.5,
  measure: (rounds) =>
    withCore("tree", async ({ find, scan }) => ratioOf(await sideBySide(rounds, find, () => scan({})))),
};

export const rescanCold: Figure = {
  name: "rescan-cold",
  subject: "The first scan of 20 000 folders with 200 agents by a Core that has just started.",
  floor: FLOOR,
  target: 1,
  measure: (rounds) =>
    withCore("empty", async ({ tree, find, scan }, restart) => {
      const first = (): Promise<number> => {
        restart();
        return scan({ paths: [tree] });
      };
      return ratioOf(await sideBySide(rounds, find, first));
    }),
};
