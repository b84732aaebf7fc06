import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runTool } from "../host/child-process.ts";
import { acquireLock, ftsQuery, Storage, type Tx } from "./storage.ts";

let folder = "";
let path = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "os-storage-"));
  path = join(folder, "core.sqlite3");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function withStorage<T>(act: (storage: Storage) => T): T {
  const storage = Storage.open(path);
  try {
    return act(storage);
  } finally {
    storage.close();
  }
}

async function withOpen(act: (storage: Storage) => Promise<void>): Promise<void> {
  const storage = Storage.open(path);
  try {
    await act(storage);
  } finally {
    storage.close();
  }
}

const INSERT_AGENT =
  "INSERT INTO agents (agent_id, name, version, description, manifest_json, discovered_at, last_seen_at, status) VALUES (?, 'n', '1.0.0', 'd', '{}', 't', 't', 'installed')";
const INSERT_EVENT = `INSERT INTO audit_events (seq, event_id, at, event_type, severity, outcome, observer, actor_type, actor_id, subject_type, subject_id, metadata_json, meta_salt, meta_digest, prev_hash, row_hash)
  VALUES (?, ?, 't', 'core.started', 'info', 'ok', 'o', 'system', 's', 'core', 'c', '{}', '00', 'd', 'p', 'r')`;

test("statements that read everything wait for each other, and one that fails is in nobody's way", async () => {
  await withOpen(async (storage) => {
    const good = storage.allBeside(["SELECT 1 AS one", "SELECT count(*) AS agents FROM agents"]);
    const bad = storage.allBeside(["SELECT * FROM nowhere"]);
    const late = storage.allBeside(["SELECT 2 AS two"]);
    await expect(bad).rejects.toThrow("no such table: nowhere");
    expect([await good, await late]).toEqual([[[{ one: 1 }], [{ agents: 0 }]], [[{ two: 2 }]]]);
    const write = storage.allBeside(["DELETE FROM agents"]);
    await expect(write).rejects.toThrow("readonly");
  });
});

describe("the lock of a home", () => {
  test("is held by one, released on demand, and free again", () => {
    const lock = acquireLock(join(folder, "lock"));
    expect(lock).toBeDefined();
    lock?.release();
    const again = acquireLock(join(folder, "lock"));
    expect(again).toBeDefined();
    again?.release();
  });

  test("is refused to another process while it is held, and free the moment its holder is killed", async () => {
    const program = `
      const { acquireLock } = await import(${JSON.stringify(join(import.meta.dirname, "lock.ts"))});
      const lock = acquireLock(process.argv[1]);
      process.stdout.write(lock === undefined ? "held" : "taken");
      if (lock !== undefined) process.kill(process.pid, "SIGKILL");`;
    const attempt = async (): Promise<string> => {
      const argv = [process.execPath, "--input-type=module", "-e", program, join(folder, "lock")];
      const { stdout } = await runTool(argv, { env: {}, timeoutMs: 20_000, maxBytes: 100 });
      return stdout.toString();
    };
    expect(await attempt()).toBe("taken");
    const lock = acquireLock(join(folder, "lock"));
    expect(lock).toBeDefined();
    expect(await attempt()).toBe("held");
    lock?.release();
    expect(await attempt()).toBe("taken");
  });
});

describe("opening", () => {
  test("makes a new database, private, with its version", () => {
    withStorage(() => undefined);
    const db = new DatabaseSync(path);
    expect(db.prepare("PRAGMA user_version").get()).toEqual({ user_version: 2 });
    db.close();
  });

  test("an existing database keeps what is in it", () => {
    withStorage((storage) => storage.transaction((tx) => storage.run(tx, INSERT_AGENT, "a.b")));
    expect(withStorage((storage) => storage.all("SELECT agent_id FROM agents"))).toEqual([{ agent_id: "a.b" }]);
  });

  test("refuses a database of a newer program and leaves every byte of it", () => {
    withStorage(() => undefined);
    const db = new DatabaseSync(path);
    db.exec("PRAGMA user_version = 999");
    db.close();
    const before = readFileSync(path);
    expect(() => Storage.open(path)).toThrow(
      expect.objectContaining({ code: "storage.too_new", details: { found: 999, known: 2 } }),
    );
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test.each([
    ["garbage", (bytes: Buffer) => bytes.fill(0x5a)],
    ["a header of something else", (bytes: Buffer) => bytes.fill(0, 0, 16)],
  ])("refuses %s and leaves every byte of it", (_what, damage) => {
    withStorage((storage) => storage.transaction((tx) => storage.run(tx, INSERT_AGENT, "a.b")));
    const bytes = damage(readFileSync(path));
    writeFileSync(path, bytes);
    expect(() => Storage.open(path)).toThrow(
      expect.objectContaining({ code: "storage.corrupt", details: { file: path } }),
    );
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });

  test("a folder in the place of the file is storage.unavailable", () => {
    expect(() => Storage.open(folder)).toThrow(expect.objectContaining({ code: "storage.unavailable" }));
  });

  test("makes no backup of a database that needs no migration", () => {
    withStorage(() => undefined);
    withStorage(() => undefined);
    expect(existsSync(`${path}.before-2`)).toBe(false);
    expect(statSync(path).isFile()).toBe(true);
  });
});

describe("a database of version 1", () => {
  test("keeps each audit row as it was, the erased too, and its rules", () => {
    const db = new DatabaseSync(path);
    db.exec(readFileSync(join(import.meta.dirname, "migrations/0001-initial.sql"), "utf8"));
    db.exec("PRAGMA user_version = 1");
    for (const seq of [1, 2]) db.prepare(INSERT_EVENT).run(seq, `evt_${seq}`);
    db.exec(`INSERT INTO audit_events SELECT 3, 'evt_3', at, 'audit.erased', severity, outcome, observer, actor_type, actor_id,
      'audit_event', '1', correlation_id, causation_id, '{"reason":"r"}', '01', 'e', 'r', 's' FROM audit_events WHERE seq = 2`);
    db.exec("UPDATE audit_events SET metadata_json = NULL, meta_salt = NULL WHERE seq = 1");
    const before = db.prepare("SELECT * FROM audit_events ORDER BY seq").all();
    db.close();
    withStorage((storage) => {
      expect(storage.all("SELECT * FROM audit_events ORDER BY seq")).toEqual(before);
      const act = (sql: string) => () => storage.transaction((tx) => storage.run(tx, sql));
      expect(act("DELETE FROM audit_events")).toThrow("append-only");
      expect(act("UPDATE audit_events SET metadata_json = NULL, meta_salt = NULL WHERE seq = 2")).toThrow(
        "append-only",
      );
      const again = (changed: string): string =>
        `INSERT INTO audit_events SELECT ${changed} FROM audit_events WHERE seq = 2`;
      const columns = (replaced: Record<string, string>): string =>
        Object.keys(before[1] ?? {})
          .map((name) => replaced[name] ?? name)
          .join(", ");
      expect(act(again(columns({ seq: "5", event_id: "'evt_5'" })))).toThrow("dense");
      for (const [column, word] of [
        ["severity", "'loud'"],
        ["outcome", "'fine'"],
        ["actor_type", "'cat'"],
      ] as const) {
        expect(act(again(columns({ seq: "4", event_id: "'evt_4'", [column]: word })))).toThrow("CHECK");
      }
      act(again(columns({ seq: "4", event_id: "'evt_4'" })))();
    });
    expect(existsSync(`${path}.before-2`)).toBe(true);
  });
});

describe("a transaction", () => {
  test("is all or nothing", () => {
    withStorage((storage) => {
      expect(() =>
        storage.transaction((tx) => {
          storage.run(tx, INSERT_AGENT, "a.b");
          throw new Error("no");
        }),
      ).toThrow("no");
      expect(storage.all("SELECT * FROM agents")).toEqual([]);
      storage.transaction((tx) => storage.run(tx, INSERT_AGENT, "a.b"));
      expect(storage.all("SELECT agent_id FROM agents")).toEqual([{ agent_id: "a.b" }]);
    });
  });

  test("does not nest, and the outer one is undone", () => {
    withStorage((storage) => {
      expect(() =>
        storage.transaction((tx: Tx) => {
          storage.run(tx, INSERT_AGENT, "a.b");
          storage.transaction(() => undefined);
        }),
      ).toThrow("do not nest");
      expect(storage.all("SELECT * FROM agents")).toEqual([]);
    });
  });
});

describe("the audit table itself", () => {
  function withEvents(act: (storage: Storage) => void): void {
    withStorage((storage) => {
      storage.transaction((tx) => {
        for (const seq of [1, 2, 3]) storage.run(tx, INSERT_EVENT, seq, `e${seq}`);
      });
      act(storage);
      expect(storage.all("SELECT seq, event_id FROM audit_events")).toEqual(
        [1, 2, 3].map((seq) => ({ seq, event_id: `e${seq}` })),
      );
    });
  }

  test.each([
    ["UPDATE audit_events SET outcome = 'failed' WHERE seq = 2"],
    ["UPDATE audit_events SET metadata_json = NULL, meta_salt = NULL WHERE seq = 2"],
    ["UPDATE audit_events SET seq = 9 WHERE seq = 3"],
    ["UPDATE OR REPLACE audit_events SET seq = 2 WHERE seq = 3"],
    ["DELETE FROM audit_events WHERE seq = 3"],
    ["DELETE FROM audit_events"],
    [INSERT_EVENT.replace("INSERT", "INSERT OR REPLACE").replace("?, ?", "2, 'x'")],
    [INSERT_EVENT.replace("INSERT", "INSERT OR REPLACE").replace("?, ?", "4, 'e2'")],
    [INSERT_EVENT.replace("?, ?", "5, 'gap'")],
    [INSERT_EVENT.replace("?, ?", "0, 'before'")],
    [`${INSERT_EVENT.replace("?, ?", "2, 'x'")} ON CONFLICT (seq) DO UPDATE SET outcome = 'failed'`],
  ])("refuses to change, delete or replace an audit row: %s", (sql) => {
    withEvents((storage) => expect(() => storage.prepare(sql).run()).toThrow(/append-only/));
  });
});

describe("enumerations and rules held by the database", () => {
  test.each([
    ["an unknown status of an agent", "UPDATE agents SET status = 'flying'"],
    [
      "a second live run",
      "INSERT INTO runs (run_id, agent_id, started_at, status, manifest_hash, approval_id, sandbox_json) VALUES ('r2', 'a.b', 't', 'running', 'h', 'p', '{}')",
    ],
    [
      "a run without its approval",
      "INSERT INTO runs (run_id, agent_id, started_at, status, manifest_hash, approval_id, sandbox_json) VALUES ('r3', 'a.b', 't', 'stopped', 'h', 'none', '{}')",
    ],
    [
      "a second active approval",
      "INSERT INTO permission_approvals (id, agent_id, approved_permissions_json, approved_at, approved_by, requested_permissions_hash, manifest_hash, manifest_json, entrypoint_json, status) VALUES ('p2', 'a.b', '[]', 't', 'me', 'h', 'h', '{}', '{}', 'active')",
    ],
    [
      "an approval of an unknown agent",
      "INSERT INTO permission_approvals (id, agent_id, approved_permissions_json, approved_at, approved_by, requested_permissions_hash, manifest_hash, manifest_json, entrypoint_json, status) VALUES ('p3', 'x.y', '[]', 't', 'me', 'h', 'h', '{}', '{}', 'active')",
    ],
  ])("%s is refused", (_what, sql) => {
    withStorage((storage) => {
      storage.transaction((tx) => {
        storage.run(tx, INSERT_AGENT, "a.b");
        storage.run(
          tx,
          "INSERT INTO permission_approvals (id, agent_id, approved_permissions_json, approved_at, approved_by, requested_permissions_hash, manifest_hash, manifest_json, entrypoint_json, status) VALUES ('p', 'a.b', '[]', 't', 'me', 'h', 'h', '{}', '{}', 'active')",
        );
        storage.run(
          tx,
          "INSERT INTO runs (run_id, agent_id, started_at, status, manifest_hash, approval_id, sandbox_json) VALUES ('r', 'a.b', 't', 'running', 'h', 'p', '{}')",
        );
      });
      expect(() => storage.prepare(sql).run()).toThrow(/constraint failed/);
    });
  });
});

test("words of a search reach no operator of the query language", () => {
  expect(ftsQuery('a OR "b" NEAR(c) col:x -d*')).toBe('"a"* "OR"* "b"* "NEAR"* "c"* "col"* "x"* "d"*');
  expect(ftsQuery("  -- \"'* ")).toBe("");
  expect(ftsQuery(Array.from({ length: 50 }, (_, index) => `w${index}`).join(" ")).split(" ")).toHaveLength(20);
});
