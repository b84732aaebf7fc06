/**
 * A row of the audit log as a line of the journal: the fields that its hash covers, as they were hashed, then the others,
 * separated by tabs. None of them holds a tab or a line end: they are JSON or hexadecimal. So nothing is serialised twice.
 */
import { digestMetadata, HASHED_COLUMNS, hashRow, type AuditRow } from "./chain.ts";
import type { NewRow } from "./new-row.ts";

export function journalLine({ row, fieldsJson }: NewRow): string {
  return `${fieldsJson}\t${row.metadata_json}\t${row.meta_salt}\t${row.prev_hash}\t${row.row_hash}\n`;
}

/** The row of a line; undefined for a line that is none, is cut, or whose hashes are not those of what it holds. */
export function rowOfLine(line: string): AuditRow | undefined {
  const [fieldsJson = "", metadata_json = "", meta_salt = "", prev_hash = "", row_hash = ""] = line.split("\t");
  const fields = listOf(fieldsJson);
  if (fields?.length !== HASHED_COLUMNS.length) return undefined;
  const hashed = Object.fromEntries(HASHED_COLUMNS.map((column, index) => [column, fields[index]]));
  const row = { ...hashed, metadata_json, meta_salt, prev_hash, row_hash } as AuditRow;
  return digestMetadata(meta_salt, metadata_json) === row.meta_digest && hashRow(row) === row_hash ? row : undefined;
}

function listOf(json: string): unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
