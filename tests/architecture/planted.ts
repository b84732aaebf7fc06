/**
 * A small tree that breaks every rule once, and what must be found in it. Written to a temporary folder by the test,
 * so that the reader of files is proven along with the rules. Keys are paths, values sources.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const CORE = "packages/core/src";

export const PLANTED_FILES: Record<string, string> = {
  [`${CORE}/catalog/catalog.ts`]: `
import { list } from "./store.ts";
import { install } from "../install/install.ts";
import type { Row } from "../storage/rooms.ts";
import { gone } from "../storage/gone.ts";
import { words } from "../../../protocol/src/index.ts";
import { execFile } from "child_process";
import pad from "left-pad";
export const catalog = [list, install, gone, words, execFile, pad] as unknown as Row[];
export type Hidden = import("../install/install.ts").Hidden;
export { install as again } from "../install/install.ts";
export const name = process.env["HOME"];
const { env } = process;
export const later = (path: string): Promise<unknown> => import(path);
export const all = "SELECT id FROM agents";
export const some = (table: string): string => \`\n  insert into \${table} values (1)\`;
export const page = (): Promise<Response> => fetch("https://example.com");
export const act = (storage: { transaction(): void }): void => storage.transaction();
export const home = env;
export const door = process.getBuiltinModule("net");
export { version } from "../../package.json" with { type: "json" };
import type { Socket } from "node:net";
import { cors } from "hono/cors";
import { deep } from "@opensentience/protocol/src/errors.ts";
export const more = [cors, deep] as unknown as Socket[];
`,
  [`${CORE}/catalog/store.ts`]: `export const list = "SELECT id FROM agents"; export type Hidden = 1;\n`,
  [`${CORE}/catalog/catalog.test.ts`]: `
import { execFile } from "node:child_process";
import { install } from "../install/install.ts";
import { rooms } from "../storage/rooms.ts";
import "../../../../scripts/check.ts";
export const used = [execFile, install, rooms];
`,
  [`${CORE}/install/install.ts`]: `import { run } from "../host/child-process.ts";\nexport const install = run;\n`,
  [`${CORE}/host/child-process.ts`]: `import { spawn } from "node:child_process";\nexport const run = spawn;\n`,
  [`${CORE}/host/config.ts`]: `export const settings = process.env;\nexport type Config = object;\n`,
  [`${CORE}/storage/storage.ts`]: `import "../host/child-process.ts";\n`,
  [`${CORE}/storage/rooms.ts`]: `export type Row = object; export const rooms = 1;\n`,
  [`${CORE}/web/web.ts`]: `
import type { Config } from "../host/config.ts";
import { settings } from "../host/config.ts";
import { list } from "../catalog/store.ts";
export const web = [settings as Config, list];
`,
  [`${CORE}/extra/extra.ts`]: `import "../install/install.ts";\n`,
  [`${CORE}/bin.ts`]: `
import "./daemon.ts";
export const start = (): Promise<unknown> => import("./daemon.ts");
`,
  [`${CORE}/daemon.ts`]: `import "./install/install.ts";\n`,
  [`${CORE}/host/utils.ts`]: `export {};\n`,
  [`${CORE}/host/index.ts`]: `export {};\n`,
  [`${CORE}/host/long.ts`]: `export {};\n${"// one more line\n".repeat(450)}`,
  "packages/protocol/src/index.ts": `import "node:fs";\nimport "zod";\n`,
  "packages/other/src/index.ts": `import "zod";\n`,
};

/** `rule where what` of every finding that must be reported, and no other may be. */
export const PLANTED_FINDINGS = [
  `too few files packages saw 17, expected at least 1000`,
  `too long ${CORE}/host/long.ts:1 451 lines`,
  `banned name ${CORE}/host/utils.ts:1 utils`,
  `banned name ${CORE}/host/index.ts:1 index`,
  `forbidden arrow ${CORE}/catalog/catalog.ts:3 catalog -> install/install`,
  `not a door ${CORE}/catalog/catalog.ts:4 ../storage/rooms.ts`,
  `unknown target ${CORE}/catalog/catalog.ts:5 ../storage/gone.ts`,
  `leaves its package ${CORE}/catalog/catalog.ts:6 ../../../protocol/src/index.ts`,
  `outside import ${CORE}/catalog/catalog.ts:7 child_process`,
  `capability ${CORE}/catalog/catalog.ts:7 node:child_process`,
  `outside import ${CORE}/catalog/catalog.ts:8 left-pad`,
  `forbidden arrow ${CORE}/catalog/catalog.ts:10 catalog -> install/install`,
  `forbidden arrow ${CORE}/catalog/catalog.ts:11 catalog -> install/install`,
  `capability ${CORE}/catalog/catalog.ts:12 process.env`,
  `capability ${CORE}/catalog/catalog.ts:13 process.env`,
  `capability ${CORE}/catalog/catalog.ts:14 computed import()`,
  `capability ${CORE}/catalog/catalog.ts:15 sql`,
  `capability ${CORE}/catalog/catalog.ts:16 sql`,
  `capability ${CORE}/catalog/catalog.ts:18 fetch`,
  `capability ${CORE}/catalog/catalog.ts:19 .transaction()`,
  `capability ${CORE}/catalog/catalog.ts:21 process.getBuiltinModule`,
  `capability ${CORE}/catalog/catalog.ts:24 hono`,
  `outside import ${CORE}/catalog/catalog.ts:25 @opensentience/protocol/src/errors.ts`,
  `leaves its package ${CORE}/catalog/catalog.test.ts:5 ../../../../scripts/check.ts`,
  `not a door ${CORE}/catalog/catalog.test.ts:4 ../storage/rooms.ts`,
  `forbidden arrow ${CORE}/web/web.ts:3 web -> host/config`,
  `not a door ${CORE}/web/web.ts:4 ../catalog/store.ts`,
  `no row ${CORE}/extra/extra.ts:1 extra`,
  `forbidden arrow ${CORE}/bin.ts:2 bin -> daemon`,
  `outside import packages/protocol/src/index.ts:1 node:fs`,
  `unknown package packages/other/src/index.ts:1 packages/other`,
];

export const PLANTED_WORDS: Record<string, string> = {
  "notes.txt": ["see /wo", "rk/main"].join(""),
  "example/package-lock.json": `{ "resolved": "https://registry.example.com/a.tgz" }`,
  "fine.txt": "a network/workspace path",
};

export function plant(root: string, files: Record<string, string>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}
