/**
 * Whether what lists are read from is the table: its indexes hold exactly its rows, and its schema is the one that Core made.
 *
 * SECURITY: a program with the file open can put another index in the place of one (`PRAGMA writable_schema`), and a list that is
 * read through it leaves out what it shall, while every row is in the table and every hash fits. Pinned by "finds an index
 * that hides rows" and "finds a schema that was changed".
 *
 * Each batch of rows is looked up in each index by its whole key, right after it was read and while it is in SQLite's memory; when all
 * were found, an index of as many entries has nothing else.
 */
import { Storage } from "../storage/storage.ts";
import { INDEX_NAMES, indexSize, rowNotIndexed, rowsIndexed, schemaOf, type AuditIndex } from "./store.ts";

export type IndexProblem = { at: number | null; message: string };

/** Those that have every row; the other has those of agents. */
const OF_ALL: readonly AuditIndex[] = INDEX_NAMES.filter((name) => name !== "audit_by_agent");

export class IndexCheck {
  readonly #storage: Storage;
  #agents = 0;
  #found: IndexProblem | undefined;

  constructor(storage: Storage) {
    this.#storage = storage;
    const changed = changedInSchema(storage);
    // An index that is not there any more cannot be asked.
    if (changed !== undefined)
      this.#found = { at: null, message: `the schema of the audit log was changed: ${changed} is not what Core made` };
  }

  /** The rows behind `from`, up to `to`: all of them are there. `agents`: how many of them are acts of agents. */
  batch(from: number, to: number, agents: number): void {
    this.#agents += agents;
    this.#look(() => {
      if (rowsIndexed(this.#storage, OF_ALL, from, to) < to - from) return this.#missing(OF_ALL, from, to);
      if (agents > 0 && rowsIndexed(this.#storage, ["audit_by_agent"], from, to) < agents)
        return this.#missing(["audit_by_agent"], from, to);
      return undefined;
    });
  }

  /** After the last row, in the turn of its batch; `rows`: how many there were. */
  end(rows: number): IndexProblem | undefined {
    for (const name of INDEX_NAMES) {
      this.#look(() => {
        const expected = name === "audit_by_agent" ? this.#agents : rows;
        return indexSize(this.#storage, name) === expected
          ? undefined
          : { at: null, message: `the index ${name} has entries for which there are no rows` };
      });
    }
    return this.#found;
  }

  #missing(names: readonly AuditIndex[], from: number, to: number): IndexProblem {
    for (const name of names) {
      const at = rowNotIndexed(this.#storage, name, from, to);
      if (at !== undefined) return { at, message: `the index ${name} hides event ${at} from lists` };
    }
    return { at: null, message: "the indexes of the audit log changed while they were read" };
  }

  /** The first find counts; an index that cannot be read is one. */
  #look(look: () => IndexProblem | undefined): void {
    if (this.#found !== undefined) return;
    try {
      this.#found = look();
    } catch {
      this.#found = { at: null, message: "an index of the audit log cannot be read" };
    }
  }
}

let made: Map<string, string> | undefined;

/** What of the log's tables, indexes and triggers is not as the migrations make it; undefined when all is. */
function changedInSchema(storage: Storage): string | undefined {
  made ??= schemaOfMigrations();
  const found = statements(storage);
  for (const [name, sql] of found) if (made.get(name) !== sql) return name;
  for (const name of made.keys()) if (!found.has(name)) return name;
  return undefined;
}

function schemaOfMigrations(): Map<string, string> {
  const fresh = Storage.open(":memory:");
  try {
    return statements(fresh);
  } finally {
    fresh.close();
  }
}

/** By kind and name; one that is there twice is like none that Core makes. */
function statements(storage: Storage): Map<string, string> {
  const found = new Map<string, string>();
  for (const { type, name, sql } of schemaOf(storage)) {
    const key = `${type} ${name}`;
    found.set(key, `${found.get(key) ?? ""}${sql ?? ""};`);
  }
  return found;
}
