import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import type { Catalog } from "../catalog/catalog.ts";
import { Discovery } from "./discovery.ts";

const root = mkdtempSync(join(tmpdir(), "discovery-"));
afterEach(() => {
  vi.useRealTimers();
  rmSync(root, { recursive: true, force: true });
});

test("an interval shorter than a scan does not pile scans up", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  const markVanished = vi.fn<Catalog["markVanished"]>();
  const onFault = vi.fn<(what: string, error: unknown) => void>();
  const discovery = new Discovery({
    catalog: { places: () => [], find: () => undefined, markVanished, markPresent: () => {} } as unknown as Catalog,
    settings: { roots: [root], prune: [], intervalMs: 1 },
    agentsFolder: join(root, "agents"),
    systemAct: { actor: { type: "system", id: "core" }, correlationId: null },
    onUpdated: async () => {},
    onFault,
  });
  discovery.start();
  vi.advanceTimersByTime(10_000);
  await discovery.scan(undefined, { actor: { type: "system", id: "core" }, correlationId: null });
  // The first, which waited when the interval began to ask, and the one that was asked for.
  expect(markVanished).toHaveBeenCalledTimes(2);
  vi.advanceTimersByTime(10_000);
  await discovery.stop();
  expect(markVanished).toHaveBeenCalledTimes(3);
  expect(onFault).not.toHaveBeenCalled();
});
