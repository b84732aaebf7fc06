/**
 * A row of the audit log as a line of the journal: the fields that its hash covers, as they were hashed, then the others,
 * separated by tabs. None of them holds a tab or a line end: they are JSON or hexadecimal. So nothing is serialised twice.
 */
import { OUTCOMES, SEVERITIES } from "@opensentience/protocol";
import { digestMetadata, HASHED_COLUMNS, hashRow, isSalt, type AuditRow } from "./chain.ts";
import type { AuditEventType } from "./events.ts";
import type { NewRow } from "./new-row.ts";

export function journalLine({ row, fieldsJson }: NewRow): string {
  return `${fieldsJson}\t${row.metadata_json}\t${row.meta_salt}\t${row.prev_hash}\t${row.row_hash}\n`;
}

/**
 * The row of a line; undefined for a line that is none, is cut, or whose hashes are not those of what it holds. SECURITY: who
 * writes into the file of this user must not stop Core with it, nor make other events of it than calls; pinned by "a line
 * that is no row of a call is none".
 */
export function rowOfLine(line: string): AuditRow | undefined {
  const [fieldsJson = "", metadata_json = "", meta_salt = "", prev_hash = "", row_hash = ""] = line.split("\t");
  const fields = listOf(fieldsJson);
  if (fields?.length !== HASHED_COLUMNS.length) return undefined;
  const hashed = Object.fromEntries(HASHED_COLUMNS.map((column, index) => [column, fields[index]]));
  const row = { ...hashed, metadata_json, meta_salt, prev_hash, row_hash } as AuditRow;
  if (!isOfCall(row) || !isSalt(meta_salt)) return undefined;
  return digestMetadata(meta_salt, metadata_json) === row.meta_digest && hashRow(row) === row_hash ? row : undefined;
}

const CALLS: ReadonlySet<unknown> = new Set<AuditEventType>([
  "tool.call_routed",
  "tool.call_completed",
  "tool.call_repeated",
]);
const MAY_BE_NULL: ReadonlySet<string> = new Set(["correlation_id", "causation_id"]);
const SEVERITY_WORDS: ReadonlySet<string> = new Set(SEVERITIES);
const ACTORS: ReadonlySet<string> = new Set(["human", "system", "agent"]);
const OUTCOME_WORDS: ReadonlySet<string> = new Set(OUTCOMES);
/** More than the metadata of a call ever has, in UTF-16 units. */
const MOST_METADATA = 8192;

/** Whether the table would take it, and as what it is. */
function isOfCall({ seq, ...row }: AuditRow): boolean {
  const others = Object.entries(row).every(([name, value]) =>
    value === null ? MAY_BE_NULL.has(name) : typeof value === "string",
  );
  const { event_type, severity, outcome, actor_type, metadata_json } = row;
  const isKnown =
    CALLS.has(event_type) && SEVERITY_WORDS.has(severity) && ACTORS.has(actor_type) && OUTCOME_WORDS.has(outcome);
  if (
    !others ||
    !Number.isSafeInteger(seq) ||
    !isKnown ||
    metadata_json === null ||
    metadata_json.length > MOST_METADATA
  )
    return false;
  const metadata = parsed(metadata_json);
  return typeof metadata === "object" && metadata !== null && !Array.isArray(metadata);
}

function listOf(json: string): unknown[] | undefined {
  const value = parsed(json);
  return Array.isArray(value) ? value : undefined;
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
