import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AuditLog, Checkpoints, Redactor, SYSTEM_ACT } from "../audit-log/audit-log.ts";
import { JournalFile } from "../host/journal-file.ts";
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
    journal: new JournalFile(join(home, "audit.journal")),
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

function intent(type: "agent.installed" | "agent.removed", id: string, commit?: string): string {
  const act = { ...SYSTEM_ACT, correlationId: `of ${id}` };
  const metadata = { path: "/p", phase: "intent", commit };
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

const FORGED = { commit: "0", parts: [], hadPrevious: false, isRollback: false };

test.each([
  ["forged", JSON.stringify(FORGED)],
  ["damaged", "{"],
])("a %s journal that no install wrote removes nothing, and is told", async (_, journal) => {
  const root = join(home, "agents/x.y");
  mkdirSync(join(root, "src"), { recursive: true });
  writeFileSync(join(root, "installing.json"), journal);
  // Of another agent, and of an install that was recorded: neither is this journal's.
  const done = intent("agent.installed", "x.y", "0");
  const act = { ...SYSTEM_ACT, causationId: done };
  audit.record({ type: "agent.installed", act, subject: { type: "agent", id: "x.y" }, metadata: { commit: "1" } });
  const { seq } = audit.head;
  expect(await reconcile()).toBe(0);
  expect(existsSync(join(root, "src"))).toBe(true);
  expect(existsSync(join(root, "installing.json"))).toBe(false);
  expect(faults).toEqual(["x.y"]);
  expect(audit.after({}, seq)).toMatchObject([
    { event_type: "security.denied", subject_id: "x.y", metadata: { code: "no_intent" } },
  ]);
});

test("an intent of another commit does not make a journal count", async () => {
  const root = join(home, "agents/x.y");
  mkdirSync(join(root, "src"), { recursive: true });
  writeFileSync(join(root, "installing.json"), JSON.stringify(FORGED));
  intent("agent.installed", "x.y", "1");
  await reconcile();
  expect(existsSync(join(root, "src"))).toBe(true);
});

test("a swap whose undoing failed, too, is undone at the next start", async () => {
  const root = join(home, "agents/x.y");
  mkdirSync(join(root, "src"), { recursive: true });
  writeFileSync(join(root, "installing.json"), JSON.stringify(FORGED));
  const began = intent("agent.installed", "x.y", "0");
  const act = { ...SYSTEM_ACT, causationId: began };
  audit.record({ type: "agent.install_failed", act, subject: { type: "agent", id: "x.y" }, outcome: "failed" });
  expect(await reconcile()).toBe(0);
  expect(existsSync(join(root, "src"))).toBe(false);
});
