/** The row of one event: its place in the chain, its allowed metadata without secrets, its hashes. */
import { newId, randomHex16, timestamp, type OUTCOMES } from "@opensentience/protocol";
import { digestMetadata, fieldsJsonOf, hashFields, type AuditRow } from "./chain.ts";
import { AUDIT_EVENTS, type AuditEventType, type Severity } from "./events.ts";
import type { Redactor } from "./redaction.ts";
import type { Head } from "./verification.ts";

/** Who asked, and the thread of events it belongs to. Attribution only, never authorization. */
export type Act = {
  actor: { type: "human" | "system" | "agent"; id: string };
  correlationId: string | null;
  causationId?: string | null;
};

export type AuditEvent = {
  type: AuditEventType;
  act: Act;
  subject: { type: "agent" | "run" | "permission_approval" | "core" | "audit_event" | "tool"; id: string };
  outcome?: (typeof OUTCOMES)[number];
  severity?: Severity;
  metadata?: Record<string, unknown>;
};

/** `fieldsJson`: what its hash covers, as text. */
export type NewRow = { row: AuditRow; fieldsJson: string };

export function newRow(event: AuditEvent, head: Head, from: { observer: string; redactor: Redactor }): NewRow {
  const nowMs = Date.now();
  const metadataJson = JSON.stringify(storedMetadata(event, from.redactor));
  const salt = randomHex16();
  const row: AuditRow = {
    seq: head.seq + 1,
    event_id: newId("evt", nowMs),
    at: timestamp(nowMs),
    event_type: event.type,
    severity: event.severity ?? AUDIT_EVENTS[event.type].severity,
    outcome: event.outcome ?? "ok",
    observer: from.observer,
    actor_type: event.act.actor.type,
    actor_id: event.act.actor.id,
    subject_type: event.subject.type,
    subject_id: event.subject.id,
    correlation_id: event.act.correlationId,
    causation_id: event.act.causationId ?? null,
    metadata_json: metadataJson,
    meta_salt: salt,
    meta_digest: digestMetadata(salt, metadataJson),
    prev_hash: head.hash,
    row_hash: "",
  };
  const fieldsJson = fieldsJsonOf(row);
  row.row_hash = hashFields(row.prev_hash, fieldsJson);
  return { row, fieldsJson };
}

/** What the table allows, in the table's order, so that the stored text is canonical. */
function storedMetadata({ type, metadata = {} }: AuditEvent, redactor: Redactor): Record<string, unknown> {
  const { metadata: keys, made }: { metadata: readonly string[]; made?: readonly string[] } = AUDIT_EVENTS[type];
  const stored: Record<string, unknown> = {};
  let foreign: Record<string, unknown> | undefined;
  for (const key of keys) {
    const value = metadata[key];
    if (value === undefined) continue;
    if (made?.includes(key) === true) stored[key] = value;
    else {
      // Keeps the place of what is to be redacted.
      stored[key] = undefined;
      (foreign ??= {})[key] = value;
    }
  }
  return foreign === undefined ? stored : Object.assign(stored, redactor.metadata(foreign));
}
