import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Manifest } from "@opensentience/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AuditLog, Checkpoints, Redactor, SYSTEM_ACT } from "../audit-log/audit-log.ts";
import { JournalFile } from "../host/journal-file.ts";
import { Storage } from "../storage/storage.ts";
import { Catalog, reinstallCommand, type Sighting } from "./catalog.ts";

let folder = "";
let storage: Storage;
let audit: AuditLog;
let catalog: Catalog;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "os-catalog-"));
  storage = Storage.open(":memory:");
  const checkpoints = await Checkpoints.open(join(folder, "key"), join(folder, "checkpoints"));
  audit = new AuditLog({
    storage,
    redactor: new Redactor(),
    checkpoints,
    journal: new JournalFile(join(folder, "audit.journal")),
    observer: "core_test",
    checkpointEvents: 1_000,
    checkpointIntervalMs: 3_600_000,
    onCheckpointError: () => {},
  });
  catalog = new Catalog({ storage, audit });
});
afterEach(async () => {
  await audit.close();
  storage.close();
  rmSync(folder, { recursive: true, force: true });
});

function sighting(id: string, change: Partial<Manifest> = {}, place: Partial<Sighting> = {}): Sighting {
  const manifest: Manifest = {
    id,
    name: `Agent ${id}`,
    version: "1.0.0",
    description: "watches the disk",
    source: { git_url: "https://example.invalid/a.git" },
    entrypoint: { type: "command", value: "bin/a" },
    permissions: [],
    capabilities: [],
    ...change,
  } as Manifest;
  return {
    folder: `/p/${id}`,
    path: `/p/${id}/opensentience.agent.json`,
    manifest,
    manifestHash: `hash-of-${JSON.stringify(manifest).length}`,
    ...place,
  };
}
const observe = (...seen: Sighting[]) =>
  catalog.observe(
    seen.map((kept) => ({ kept, other: null })),
    SYSTEM_ACT,
  );
const events = (): string[] => audit.after({}, 0).map((event) => `${event.event_type} ${event.subject_id}`);

function install(from: Sighting, commit = "c1"): void {
  audit.transact((tx, record) => {
    catalog.recordInstall(tx, from, { gitUrl: "https://example.invalid/a.git", ref: "main", commit, treeHash: "t" });
    record({ type: "agent.installed", act: SYSTEM_ACT, subject: { type: "agent", id: from.manifest.id } });
  });
}

/** Rows of other folders' tables, as they would write them; the status is derived from these facts. */
function facts(agentId: string, change: { build?: "built" | "failed"; approved?: boolean; run?: string }): void {
  audit.transact((tx, record) => {
    if (change.build !== undefined) catalog.recordBuild(tx, agentId, { status: change.build, commit: "c1" });
    if (change.approved === true)
      storage.run(
        tx,
        "INSERT INTO permission_approvals (id, agent_id, approved_permissions_json, approved_at, approved_by, requested_permissions_hash, manifest_hash, manifest_json, entrypoint_json, status, source_commit) SELECT 'apr', agent_id, '[]', 't', 'me', 'h', 'h', '{}', '{}', 'active', source_commit FROM agents WHERE agent_id = ?",
        agentId,
      );
    if (change.approved === false) storage.run(tx, "UPDATE permission_approvals SET status = 'revoked'");
    if (change.run !== undefined)
      storage.run(
        tx,
        "INSERT INTO runs (run_id, agent_id, started_at, status, manifest_hash, approval_id, sandbox_json) VALUES ('run', ?, '9999', ?, 'h', 'apr', '{}') ON CONFLICT DO UPDATE SET status = excluded.status",
        agentId,
        change.run,
      );
    catalog.refresh(tx, agentId);
    record({ type: "core.started", act: SYSTEM_ACT, subject: { type: "core", id: "c" } });
  });
}

describe("what a scan saw", () => {
  test("new, unchanged, updated: each is told once and recorded when something changed", () => {
    expect(observe(sighting("a.one"), sighting("a.two"))).toEqual(["new", "new"]);
    expect(observe(sighting("a.one"), sighting("a.two"))).toEqual(["unchanged", "unchanged"]);
    expect(observe(sighting("a.one", { version: "1.10.0" }), sighting("a.two"))).toEqual(["updated", "unchanged"]);
    expect(catalog.get("a.one").version).toBe("1.10.0");
    expect(events()).toEqual(["agent.discovered a.one", "agent.discovered a.two", "agent.updated a.one"]);
  });

  test("an agent that moved is updated", () => {
    observe(sighting("a.one"));
    expect(observe(sighting("a.one", {}, { folder: "/q", path: "/q/opensentience.agent.json" }))).toEqual(["updated"]);
    expect(catalog.get("a.one").manifestPath).toBe("/q/opensentience.agent.json");
  });

  test("another copy of an installed agent never changes what the catalog says of the installed one", () => {
    const installed = sighting("a.one", {}, { folder: "/home/agents/a.one/src" });
    observe(sighting("a.one"));
    install(installed);
    const seen = events().length;
    expect(observe(sighting("a.one", { version: "6.6.6", permissions: ["filesystem:write:/**"] }))).toEqual([
      "unchanged",
    ]);
    expect(catalog.get("a.one")).toMatchObject({
      version: "1.0.0",
      manifest: installed.manifest,
      installPath: "/home/agents/a.one/src",
      discoveredPath: "/p/a.one",
    });
    expect(events()).toHaveLength(seen);
  });

  test("what vanished is kept and marked with the first moment, and unmarked when it is back", () => {
    observe(sighting("a.one"));
    catalog.markVanished(["a.one"]);
    const { missingSince } = catalog.get("a.one");
    expect(missingSince).not.toBeNull();
    catalog.markVanished(["a.one"]);
    expect(catalog.get("a.one").missingSince).toBe(missingSince);
    observe(sighting("a.one"));
    expect(catalog.get("a.one").missingSince).toBeNull();
  });
});

describe("the status is derived: running > error > stopped > enabled > installed > local", () => {
  const status = (): string => catalog.get("a.one").status;

  test("step by step along a lifecycle", () => {
    observe(sighting("a.one"));
    expect(status()).toBe("local_uninstalled");
    install(sighting("a.one"));
    expect(status()).toBe("installed");
    facts("a.one", { build: "built" });
    expect(status()).toBe("installed");
    facts("a.one", { approved: true });
    expect(status()).toBe("enabled");
    for (const live of ["starting", "running", "stopping"]) {
      facts("a.one", { run: live });
      expect(status()).toBe("running");
    }
    facts("a.one", { run: "stopped" });
    expect(status()).toBe("stopped");
    facts("a.one", { run: "crashed" });
    expect(status()).toBe("error");
    facts("a.one", { run: "stopped", approved: false });
    expect(status()).toBe("installed");
  });

  test("a failed build is an error until the next good one", () => {
    observe(sighting("a.one"));
    install(sighting("a.one"));
    facts("a.one", { build: "failed", approved: true });
    expect(status()).toBe("error");
    facts("a.one", { build: "built" });
    expect(status()).toBe("enabled");
  });

  test("a new install forgets the build and its error", () => {
    observe(sighting("a.one"));
    install(sighting("a.one"));
    facts("a.one", { build: "failed" });
    install(sighting("a.one"), "c2");
    expect(catalog.get("a.one")).toMatchObject({
      status: "installed",
      buildStatus: "not_built",
      buildCommit: null,
      lastError: null,
      commit: "c2",
    });
  });
});

describe("one act at a time", () => {
  test("a second claim is refused at once, another agent is free, and letting go frees it", () => {
    const release = catalog.claim("a.one");
    expect(() => catalog.claim("a.one")).toThrow(
      expect.objectContaining({ code: "install.busy", nextStep: expect.any(String) }),
    );
    catalog.claim("a.two")();
    release();
    catalog.claim("a.one")();
  });
});

describe("reading", () => {
  test("an unknown agent is agent.not_found, with a bounded id", () => {
    expect(() => catalog.get("x".repeat(5_000))).toThrow(
      expect.objectContaining({ code: "agent.not_found", details: { agent_id: "x".repeat(200) } }),
    );
    expect(catalog.find("a.none")).toBeUndefined();
  });

  test("pages by key: every agent once, in order of id, also when one is added meanwhile", () => {
    observe(...["a.5", "a.1", "a.3", "a.2", "a.4"].map((id) => sighting(id)));
    const first = catalog.list({ limit: 2 });
    expect([first.items.map((agent) => agent.agentId), first.next]).toEqual([["a.1", "a.2"], "a.2"]);
    observe(sighting("a.0"));
    const second = catalog.list({ limit: 2, cursor: "a.2" });
    const last = catalog.list({ limit: 2, cursor: "a.4" });
    expect([...second.items, ...last.items].map((agent) => agent.agentId)).toEqual(["a.3", "a.4", "a.5"]);
    expect(last.next).toBeNull();
    expect(catalog.count()).toBe(6);
  });

  test("searches id, name, description and keywords by beginnings of words, updated texts included", () => {
    observe(
      sighting("a.one", { name: "Disk watcher", keywords: ["storage"] }),
      sighting("a.two", { description: "checks links", keywords: ["web"] }),
    );
    const found = (q: string): string[] => catalog.list({ q, limit: 10 }).items.map((agent) => agent.agentId);
    expect(found("disk")).toEqual(["a.one"]);
    expect(found("stor")).toEqual(["a.one"]);
    expect(found("links web")).toEqual(["a.two"]);
    expect(found("two")).toEqual(["a.two"]);
    expect(found("nothing")).toEqual([]);
    expect(found('" OR 1=1 --')).toEqual([]);
    observe(sighting("a.two", { description: "paints pictures" }));
    expect(found("links")).toEqual([]);
    expect(found("pictures")).toEqual(["a.two"]);
  });
});

test("the command that fetches an agent again allows its local source", () => {
  observe(sighting("a.one"));
  expect(reinstallCommand(catalog.get("a.one"))).toBe("opensentience agents install a.one");
  const record = { ...catalog.get("a.one"), gitUrl: "/srv/repo" };
  expect(reinstallCommand(record)).toBe("opensentience agents install a.one --allow-local");
});
