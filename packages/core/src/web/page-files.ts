/**
 * The files of the web page: `page/index.html` and what lies flat in `page/assets/`. Only names that are in that folder
 * when it is first asked for one are ever opened, so no path from outside reaches the file system.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { extname } from "node:path";
import { plainPage } from "./plain-page.ts";

/** Beside the bundle; when Core runs from its source, in the bundle's folder. */
const PLACES = ["./page/", "../../dist/page/"];

const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".map": "application/json",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
  ".webp": "image/webp",
  ".woff2": "font/woff2",
};

export type PageFile = { bytes: Uint8Array<ArrayBuffer>; type: string; etag: string };

const NOT_BUILT = plainPage(
  "OpenSentience Core",
  `<h1>OpenSentience Core is running</h1>
<p>Its web page was not built. In the source folder run <code>npm run build:page</code>, then load this page again.</p>
<p>The command line works without it: <code>opensentience help</code></p>
`,
);

export class PageFiles {
  readonly #folder: URL | undefined;
  readonly #assets = new Map<string, PageFile>();

  constructor(places: readonly string[] = PLACES) {
    this.#folder = places.map((place) => new URL(place, import.meta.url)).find((place) => isBuilt(place));
  }

  /** Read each time: it names the assets, which may be built anew while Core runs. */
  index(): PageFile {
    const place = this.#folder;
    if (place === undefined || !isBuilt(place)) return asFile(Buffer.from(NOT_BUILT), ".html");
    return asFile(readFileSync(new URL("index.html", place)), ".html");
  }

  asset(name: string): PageFile | undefined {
    const known = this.#assets.get(name);
    if (known !== undefined || this.#folder === undefined) return known;
    const folder = new URL("assets/", this.#folder);
    if (!names(folder).includes(name)) return undefined;
    const file = asFile(readFileSync(new URL(encodeURIComponent(name), folder)), extname(name));
    this.#assets.set(name, file);
    return file;
  }
}

function isBuilt(place: URL): boolean {
  return existsSync(new URL("index.html", place));
}

function names(folder: URL): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isFile() ? [entry.name] : []));
  } catch {
    return [];
  }
}

function asFile(bytes: Buffer, extension: string): PageFile {
  return {
    bytes: new Uint8Array(bytes),
    type: TYPES[extension] ?? "application/octet-stream",
    etag: `"${createHash("sha256").update(bytes).digest("base64url").slice(0, 22)}"`,
  };
}
