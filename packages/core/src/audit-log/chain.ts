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

export function digestMetadata(saltHex: string, metadataJson: string): string {
  return hash("sha256", Buffer.concat([Buffer.from(saltHex, "hex"), Buffer.from(metadataJson, "utf8")]), "hex");
}

export function hashRow(row: Omit<AuditRow, "row_hash">): string {
  const fields = JSON.stringify(hashedFields(row));
  return hash("sha256", Buffer.concat([ZERO, Buffer.from(row.prev_hash, "hex"), Buffer.from(fields, "utf8")]), "hex");
}

const ZERO = Buffer.of(0);

function hashedFields(row: Omit<AuditRow, "row_hash">): (string | number | null)[] {
  return [
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
  ];
}
