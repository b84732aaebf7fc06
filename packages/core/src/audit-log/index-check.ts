/**
 * Whether what lists are read from is the table: its indexes hold exactly its rows, and its schema is the one that Core made.
 *
 * SECURITY: a program with the file open can put another index in the place of one (`PRAGMA writable_schema`), and a list that is
 * read through it leaves out what it shall, while every row is in the table and every hash fits. Pinned by "finds an index
 * that hides rows" and "finds a schema that was changed".
 */
import { Storage } from "../storage/storage.ts";
import { integrity, schemaOf } from "./store.ts";

export type IndexProblem = { at: number | null; message: string };

/** Never rejects. Takes about as long as the verification beside which it runs. */
export async function indexProblem(storage: Storage): Promise<IndexProblem | undefined> {
  try {
    const changed = changedInSchema(storage);
    // What an index is compared with is its own definition.
    if (changed !== undefined)
      return { at: null, message: `the schema of the audit log was changed: ${changed} is not what Core made` };
    return problemIn(await integrity(storage));
  } catch {
    return { at: null, message: "the table of the audit log or an index of it cannot be read" };
  }
}

/** Rows are counted by SQLite from the first; verification, which finds gaps, has the same numbers. */
const MISSING = /^row (\d+) missing from index (\S+)$/;
const SURPLUS = /^wrong # of entries in index (\S+)$/;

function problemIn(lines: readonly string[]): IndexProblem | undefined {
  const first = (pattern: RegExp): RegExpExecArray | undefined =>
    lines.map((line) => pattern.exec(line)).find(Boolean) ?? undefined;
  const [, at, name] = first(MISSING) ?? [];
  if (at !== undefined) return { at: Number(at), message: `the index ${name} hides event ${at} from lists` };
  const [, larger] = first(SURPLUS) ?? [];
  if (larger !== undefined) return { at: null, message: `the index ${larger} has entries for which there are no rows` };
  return lines[0] === undefined ? undefined : { at: null, message: `the audit log's table is damaged: ${lines[0]}` };
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
