/** What the web page's door has to do on every kind of route, and a home whose page is one of our own making. */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect } from "vitest";
import { BINARY, type CoreHome, newHome } from "./core-home.ts";
import { PAGE_POLICY, proof, type RawAnswer, type SignedIn } from "./page-client.ts";

export const INDEX = "<!doctype html><title>page</title>";
export const ASSET = "export const built = true;\n";

/** A Core with that page, in a copy of the bundle: what the files of the real one are called changes with each build. */
export async function homeWithPage(): Promise<{ home: CoreHome; dispose: () => Promise<void> }> {
  const copy = mkdtempSync(join(tmpdir(), "os-page-"));
  const core = dirname(dirname(BINARY));
  for (const part of ["bin", "dist", "package.json"]) cpSync(join(core, part), join(copy, part), { recursive: true });
  rmSync(join(copy, "dist/page"), { recursive: true, force: true });
  mkdirSync(join(copy, "dist/page/assets"), { recursive: true });
  writeFileSync(join(copy, "dist/page/index.html"), INDEX);
  writeFileSync(join(copy, "dist/page/assets/index-1a2B_3c.js"), ASSET);
  writeFileSync(join(copy, "dist/secret.txt"), "not of the page");
  const home = await newHome({ binary: join(copy, "bin/opensentience") });
  return {
    home,
    dispose: async () => {
      await home.dispose();
      rmSync(copy, { recursive: true, force: true });
    },
  };
}

/** What every answer of this door carries, whatever it is. */
export function expectPolicy(answer: RawAnswer): void {
  for (const [name, value] of Object.entries(PAGE_POLICY)) expect(answer.headers.get(name), name).toBe(value);
  expect([...answer.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
}

export function expectRefusal(answer: RawAnswer, status: number, code: string): void {
  expect(answer.status, answer.text).toBe(status);
  expectPolicy(answer);
  expect(answer.headers.get("cache-control")).toBe("no-store");
  expect(answer.headers.get("x-request-id")).toMatch(/^call_/);
  expect(answer.headers.get("set-cookie")).toBeUndefined();
  if (code === "") {
    expect(answer.text).toBe("");
    return;
  }
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  expect(JSON.parse(answer.text)).toMatchObject({ status, code, detail: expect.any(String) });
}

/** One request of each kind that there is: the same rules hold for all of them. */
export const KINDS: [string, string, string][] = [
  ["the page", "GET", "/"],
  ["a file", "GET", "/assets/index-1a2B_3c.js"],
  ["a file that is none", "GET", "/assets/none.js"],
  ["the health probe", "GET", "/healthz"],
  ["a read", "GET", "/api/v1/agents"],
  ["the metrics", "GET", "/metrics"],
  ["an event stream", "GET", "/api/v1/events"],
  ["a state change", "POST", "/api/v1/discovery/scan"],
  ["the sign-in", "POST", "/sign-in"],
  ["nothing", "GET", "/nothing"],
];

export function asSignedIn(me: SignedIn, method: string): Record<string, string> {
  return { ...proof(me), ...(method === "POST" ? { "content-type": "application/json" } : {}) };
}
