/**
 * The one SQLite database of Core, its migrations and its transactions.
 *
 * Core is the only writer: the exclusive lock (lock.ts) is taken before the file is opened. WAL mode with
 * synchronous=FULL, so a committed act survives a power cut. Stores prepare their statements here and get a `Tx`
 * for every write: only `transaction` makes one, and only the audit log calls `transaction` (an architecture test
 * holds that), which is how "no state change without its record" is kept by construction.
 *
 * Migrations are numbered SQL files, applied in one transaction each after a backup of the file. A database newer
 * than this program is refused (`storage.too_new`), a damaged one too (`storage.corrupt`); both leave the file alone
 * and let Core start degraded.
 */
import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
} from "node:fs";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { CoreError } from "@opensentience/protocol";
import { killPoint } from "../host/kill-point.ts";
import { readInThread } from "./reading-thread.ts";

export { acquireLock, type Lock } from "./lock.ts";

declare const txBrand: unique symbol;
/** Proof of being inside a transaction; every write method of a store asks for one. */
export type Tx = { readonly [txBrand]: true };
export type Row = Record<string, SQLInputValue>;

/** No other thread sees it. */
const IN_MEMORY = ":memory:";

export class Storage {
  readonly #db: DatabaseSync;
  readonly #path: string;
  readonly #statements = new Map<string, StatementSync>();
  #inTransaction = false;
  /** Whether a commit waits for the disk now. */
  #waitsForDisk = true;

  private constructor(db: DatabaseSync, path: string) {
    this.#db = db;
    this.#path = path;
  }

  /** Opens and migrates. Throws storage.too_new, storage.corrupt or storage.unavailable; never deletes or repairs. */
  static open(path: string): Storage {
    let db: DatabaseSync | undefined;
    try {
      db = new DatabaseSync(path, { timeout: 5_000 });
      db.exec(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA recursive_triggers = ON; PRAGMA secure_delete = ON;",
      );
      migrate(db, path);
      return new Storage(db, path);
    } catch (error) {
      db?.close();
      throw error instanceof CoreError ? error : storageError(error, path);
    }
  }

  prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#db.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  all<T>(sql: string, ...values: SQLInputValue[]): T[] {
    return this.prepare(sql).all(...values) as T[];
  }

  /** As `all`, each row an array of its columns: half the time for those who read everything. */
  allArrays<T extends unknown[]>(sql: string, ...values: SQLInputValue[]): T[] {
    const statement = this.prepare(sql);
    statement.setReturnArrays(true);
    return statement.all(...values) as unknown[] as T[];
  }

  get<T>(sql: string, ...values: SQLInputValue[]): T | undefined {
    return this.prepare(sql).get(...values) as T | undefined;
  }

  /** A write outside any governed state needs a Tx as well; there is no other way to write. */
  run(_tx: Tx, sql: string, ...values: SQLInputValue[]): number {
    return Number(this.prepare(sql).run(...values).changes);
  }

  /** As `transaction`, but the last of them may be lost with the power (never torn, never reordered): it waits for no disk. */
  quickTransaction<T>(change: (tx: Tx) => T): T {
    return this.#transaction(change, false);
  }

  /** All or nothing, synchronous, on the disk when it returns. Not re-entrant: an act is one transaction. */
  transaction<T>(change: (tx: Tx) => T): T {
    return this.#transaction(change, true);
  }

  #transaction<T>(change: (tx: Tx) => T, waitsForDisk: boolean): T {
    if (this.#inTransaction) throw new Error("transactions do not nest");
    this.#inTransaction = true;
    try {
      if (waitsForDisk !== this.#waitsForDisk) {
        this.#db.exec(`PRAGMA synchronous = ${waitsForDisk ? "FULL" : "NORMAL"}`);
        this.#waitsForDisk = waitsForDisk;
      }
      this.prepare("BEGIN IMMEDIATE").run();
      try {
        const result = change({} as Tx);
        this.prepare("COMMIT").run();
        return result;
      } catch (error) {
        // After SQLITE_FULL or SQLITE_IOERR SQLite may have rolled back already.
        if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
        throw error;
      }
    } finally {
      this.#inTransaction = false;
    }
  }

  /** As `all`, of each statement, in a thread of its own: for those that read everything. */
  async allBeside(statements: readonly string[]): Promise<unknown[][]> {
    return this.#path === IN_MEMORY ? statements.map((sql) => this.all(sql)) : readInThread(this.#path, statements);
  }

  /** Moves everything from the journal into the database and empties it: what was erased is in neither then. */
  flushJournal(): void {
    this.#db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  }

  close(): void {
    this.#statements.clear();
    this.#db.close();
  }
}

/** Escapes LIKE and quotes each word for FTS5, so that no operator of the query language is reached from outside. */
export function ftsQuery(words: string): string {
  return words
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== "")
    .slice(0, 20)
    .map((word) => `"${word}"*`)
    .join(" ");
}

function migrations(): { version: number; sql: string }[] {
  // The same folder name stands beside this file in the source tree and beside the bundle.
  const folder = new URL("./migrations/", import.meta.url);
  return readdirSync(folder)
    .filter((name) => /^\d{4}-[a-z0-9-]+\.sql$/.test(name))
    .sort()
    .map((name) => ({ version: Number(name.slice(0, 4)), sql: readFileSync(new URL(name, folder), "utf8") }));
}

function migrate(db: DatabaseSync, path: string): void {
  const known = migrations();
  const newest = known.at(-1)?.version ?? 0;
  const { user_version: current } = db.prepare("PRAGMA user_version").get() as { user_version: number };
  if (current > newest) {
    throw new CoreError(
      "storage.too_new",
      `the database has version ${current}, this program knows ${newest}: install the newer opensentience that wrote it`,
      {
        details: { found: current, known: newest },
        nextStep: "opensentience core status",
      },
    );
  }
  for (const { version, sql } of known) {
    if (version <= current) continue;
    if (current > 0) backup(db, path, `${path}.before-${version}`);
    db.exec(`BEGIN IMMEDIATE; ${sql}; PRAGMA user_version = ${version}; COMMIT;`);
    killPoint("storage.migrated");
  }
}

function backup(db: DatabaseSync, path: string, target: string): void {
  if (existsSync(target)) return;
  // A byte copy, not VACUUM INTO: that would renumber rowids, which the full-text index refers to.
  db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  // Under another name until it is whole and on the disk: half a copy would be taken for the backup after a crash.
  const copying = `${target}.copying`;
  copyFileSync(path, copying);
  const file = openSync(copying, "r");
  fsyncSync(file);
  closeSync(file);
  killPoint("storage.backup_copied");
  renameSync(copying, target);
  killPoint("storage.backup_in_place");
}

function corrupt(path: string, cause?: unknown): CoreError {
  return new CoreError("storage.corrupt", "the database file is damaged", {
    details: { file: path },
    nextStep: "opensentience core status",
    ...(cause === undefined ? {} : { cause }),
  });
}

function storageError(error: unknown, path: string): CoreError {
  // SQLITE_CORRUPT and SQLITE_NOTADB (sqlite.org/rescode.html)
  const code = (error as { errcode?: number }).errcode;
  if (code !== undefined && [11, 26].includes(code & 0xff)) return corrupt(path, error);
  return new CoreError("storage.unavailable", "the database cannot be opened", {
    details: { file: path },
    nextStep: "opensentience core status",
    cause: error,
  });
}
