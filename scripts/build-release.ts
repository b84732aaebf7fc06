/**
 * `npm run build`: stages the package that is published, packs it, and tries what was packed.
 *
 * dist/release holds the bundle, the start script, licences and readme, and a package.json without dependencies: all of
 * them are in the bundle, and their licences in one file beside it. The tarball is installed offline into an empty folder and must answer there.
 */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { buildBundle } from "./build-bundle.ts";
import { buildPage } from "./build-page.ts";

const REPOSITORY = resolve(import.meta.dirname, "..");
const CORE = join(REPOSITORY, "packages/core");
const RELEASE = join(REPOSITORY, "dist/release");

const NOTICES = "THIRD-PARTY-LICENSES.txt";

type PackageJson = Record<string, unknown> & { name: string; version: string; dependencies: Record<string, string> };

/** Builds, packs and tries the release; answers the path of the tarball. Throws what went wrong. */
export async function buildRelease(): Promise<string> {
  if (!(await buildBundle())) throw new Error("there is no program to release");
  const { packages } = await buildPage();
  const version = stage(packages);
  const tarball = pack();
  smoke(tarball, version);
  return tarball;
}

/** `inPage`: the packages that the page was made of. */
function stage(inPage: string[]): string {
  rmSync(RELEASE, { recursive: true, force: true });
  mkdirSync(RELEASE, { recursive: true });
  const source = JSON.parse(readFileSync(join(CORE, "package.json"), "utf8")) as PackageJson;
  const { name, version, description, license, type, bin } = source;
  const manifest = {
    name,
    version,
    description,
    license,
    type,
    bin,
    engines: { node: ">=24" },
    files: ["bin", "dist", NOTICES],
  };
  writeFileSync(join(RELEASE, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  cpSync(join(CORE, "bin"), join(RELEASE, "bin"), { recursive: true });
  cpSync(join(CORE, "dist"), join(RELEASE, "dist"), { recursive: true });
  for (const file of ["LICENSE", "README.md"]) {
    if (existsSync(join(REPOSITORY, file))) cpSync(join(REPOSITORY, file), join(RELEASE, file));
  }
  writeFileSync(
    join(RELEASE, NOTICES),
    licencesOf([...Object.keys(source.dependencies).map((name) => join(REPOSITORY, "node_modules", name)), ...inPage]),
  );
  return version;
}

/**
 * The licence text of every package that went into the bundle or the page. A package that ships no such file is named
 * with the licence that it declares; one that declares none stops the release.
 */
function licencesOf(packages: string[]): string {
  const folders = [...new Set(packages)]
    .filter((folder) => !folder.includes("/node_modules/@opensentience/"))
    .toSorted();
  const texts = folders.map((folder) => {
    const { name, version, license, author } = JSON.parse(
      readFileSync(join(folder, "package.json"), "utf8"),
    ) as PackageJson;
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    if (file !== undefined) return `${name} ${version}\n\n${readFileSync(join(folder, file), "utf8").trim()}\n`;
    if (typeof license !== "string") throw new Error(`${name} has no licence`);
    return `${name} ${version}\n\n${license}, by ${authorOf(author)}\n`;
  });
  return texts.join("\n----\n\n");
}

function authorOf(author: unknown): string {
  if (typeof author === "string") return author;
  return (author as { name?: string } | undefined)?.name ?? "its authors";
}

function pack(): string {
  const target = join(REPOSITORY, "dist");
  const output = run("npm", ["pack", "--json", "--pack-destination", target], RELEASE);
  const [packed] = JSON.parse(output) as { filename: string }[];
  if (packed === undefined) throw new Error("npm pack made no tarball");
  return join(target, packed.filename);
}

function smoke(tarball: string, version: string): void {
  const folder = mkdtempSync(join(tmpdir(), "opensentience-release-"));
  try {
    writeFileSync(join(folder, "package.json"), `{ "private": true }\n`);
    run("npm", ["install", "--offline", "--no-audit", "--no-fund", tarball], folder);
    const program = join(folder, "node_modules/.bin/opensentience");
    const said = run(program, ["--version"], folder);
    if (!said.includes(version)) throw new Error(`the installed program says ${said.trim()}, expected ${version}`);
    if (!run(program, ["--help"], folder).includes("agents")) throw new Error("the installed program has no help");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Standard output of a program that must succeed. A home of its own: the operator's must not be touched. */
function run(program: string, args: string[], cwd: string): string {
  const env = { ...process.env, OPENSENTIENCE_HOME: join(cwd, "home"), OPENSENTIENCE_WEB_PORT: "0" };
  return execFileSync(program, args, {
    cwd,
    env,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 120_000,
  });
}

if (process.argv[1] === import.meta.filename) console.log(`packed and tried ${await buildRelease()}`);
