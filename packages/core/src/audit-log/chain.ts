/**
 * The arithmetic of the audit chain; pure, final, shared by writer and verifier.
 *
 *   meta_digest = SHA-256(meta_salt ‖ metadata_json)
 *   row_hash    = SHA-256(0x00 ‖ prev_hash ‖ JSON array of the row's fields in the order of hashedFields)
 *
 * The salted digest lets an operator erase a leaked value later without breaking the chain.
 */
import { hash } from "node:crypto";

/** prev_hash of the first row. */
export const GENESIS = "0".repeat(64);

export type AuditRow = {
  seq: number;
  event_id: string;
  at: string;
  event_type: string;
  severity: string;
  outcome: string;
  observer: string;
  actor_type: string;
  actor_id: string;
  subject_type: string;
  subject_id: string;
  correlation_id: string | null;
  causation_id: string | null;
  metadata_json: string | null;
  meta_salt: string | null;
  meta_digest: string;
  prev_hash: string;
  row_hash: string;
};

/** What a row hash covers besides the hash before it, in its order. The arithmetic is final, and so is this list. */
export const HASHED_COLUMNS = [
  "seq",
  "event_id",
  "at",
  "event_type",
  "severity",
  "outcome",
  "observer",
  "actor_type",
  "actor_id",
  "subject_type",
  "subject_id",
  "correlation_id",
  "causation_id",
  "meta_digest",
] as const satisfies readonly (keyof AuditRow)[];

const SALT = /^[0-9a-f]{32}$/;

/**
 * Whether that is a salt as Core writes it. SECURITY: the decoder of hexadecimal digits stops at the first character that is none
 * and takes capitals, so another text than what was written would have the same digest. Pinned by "finds %s changed, at its position".
 */
export function isSalt(text: string): boolean {
  return SALT.test(text);
}

export function digestMetadata(saltHex: string, metadataJson: string): string {
  return hashBytes([], saltHex, metadataJson);
}

export function hashRow(row: Omit<AuditRow, "row_hash">): string {
  return hashFields(row.prev_hash, fieldsJsonOf(row));
}

/** The JSON array of what a row's hash covers, in the order of HASHED_COLUMNS. */
export function fieldsJsonOf(row: Omit<AuditRow, "row_hash">): string {
  // One by one and not by HASHED_COLUMNS.map: a call hashes two rows while somebody waits.
  return JSON.stringify([
    row.seq,
    row.event_id,
    row.at,
    row.event_type,
    row.severity,
    row.outcome,
    row.observer,
    row.actor_type,
    row.actor_id,
    row.subject_type,
    row.subject_id,
    row.correlation_id,
    row.causation_id,
    row.meta_digest,
  ]);
}

/** `fieldsJson` is the JSON array of a row's fields, as JSON.stringify and SQLite's json_array both write it. */
export function hashFields(prevHash: string, fieldsJson: string): string {
  return hashBytes([0], prevHash, fieldsJson);
}

/** Longer texts are rare; of them a copy is made. */
const scratch = Buffer.allocUnsafe(64 * 1024);
const MOST_UTF8_BYTES_PER_UNIT = 3;

/**
 * SHA-256 of a few bytes, a hexadecimal part and a text. Put together in one buffer that is used again and again: a
 * verification does this twice for each row there is, and pieces of memory of its own would double its time.
 */
function hashBytes(start: readonly number[], hex: string, text: string): string {
  const most = start.length + hex.length / 2 + text.length * MOST_UTF8_BYTES_PER_UNIT;
  const bytes = most <= scratch.length ? scratch : Buffer.allocUnsafe(Math.ceil(most));
  let length = 0;
  for (const byte of start) bytes[length++] = byte;
  length += bytes.write(hex, length, "hex");
  length += bytes.write(text, length, "utf8");
  return hash("sha256", bytes.subarray(0, length), "hex");
}
