import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AuditLog, Checkpoints, Redactor, SYSTEM_ACT } from "../audit-log/audit-log.ts";
import { Catalog } from "../catalog/catalog.ts";
import { agentFolders, pathsOf } from "../host/paths.ts";
import { Storage } from "../storage/storage.ts";
import { reconcileInstalls } from "./reconcile.ts";

let home = "";
let storage: Storage;
let audit: AuditLog;
let faults: string[] = [];
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), "os-reconcile-"));
  storage = Storage.open(":memory:");
  faults = [];
  audit = new AuditLog({
    storage,
    redactor: new Redactor(),
    checkpoints: await Checkpoints.open(join(home, "key"), join(home, "checkpoints")),
    observer: "core_test",
    checkpointEvents: 1_000,
    checkpointIntervalMs: 3_600_000,
    onCheckpointError: () => {},
  });
});
afterEach(async () => {
  await audit.close();
  storage.close();
  rmSync(home, { recursive: true, force: true });
});

async function reconcile(): Promise<number> {
  const paths = await pathsOf(home, undefined, 0);
  return reconcileInstalls({
    audit,
    catalog: new Catalog({ storage, audit }),
    folders: {
      agents: paths.agentsFolder,
      staging: paths.stagingFolder,
      agent: (agentId) => agentFolders(paths, agentId),
    },
    onFault: (what) => faults.push(what),
  });
}

function intent(type: "agent.installed" | "agent.removed", id: string): string {
  const act = { ...SYSTEM_ACT, correlationId: `of ${id}` };
  const metadata = { path: "/p", phase: "intent" };
  return audit.record({ type, act, subject: { type: "agent", id }, outcome: "unknown", metadata });
}

test("an intent that nothing followed is closed at the next start, once, each by its own event", async () => {
  const installed = intent("agent.installed", "a");
  const removed = intent("agent.removed", "b");
  const followed = intent("agent.installed", "c");
  const act = { ...SYSTEM_ACT, causationId: followed };
  audit.record({ type: "agent.installed", act, subject: { type: "agent", id: "c" } });
  expect(await reconcile()).toBe(2);
  const [second, first] = audit.list({}, { limit: 2 }).items;
  expect(first).toMatchObject({
    event_type: "agent.install_failed",
    outcome: "failed",
    subject_id: "a",
    causation_id: installed,
    correlation_id: "of a",
    metadata: { code: "core_lost" },
  });
  expect(second).toMatchObject({
    event_type: "agent.removed",
    outcome: "failed",
    subject_id: "b",
    causation_id: removed,
    metadata: { phase: "not carried out" },
  });
  expect(await reconcile()).toBe(0);
});

test("a first install with a damaged journal is taken back, and closes its intent", async () => {
  const root = join(home, "agents/x.y");
  mkdirSync(join(root, "src"), { recursive: true });
  writeFileSync(join(root, "installing.json"), "");
  const began = intent("agent.installed", "x.y");
  expect(await reconcile()).toBe(1);
  expect(existsSync(join(root, "src"))).toBe(false);
  expect(existsSync(join(home, "agents/.staging"))).toBe(false);
  expect(audit.list({ agent: "x.y" }, { limit: 1 }).items[0]?.causation_id).toBe(began);
  expect(faults).toEqual([]);
});
