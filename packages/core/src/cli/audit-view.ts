/** Audit events as text for people, and the filters that the audit commands share. */
import type { AuditEventJson } from "@opensentience/protocol";
import type { OptionValues } from "./context.ts";
import { type Cell, oneLine, shortTime, type Style } from "./format.ts";

const SEVERITY_COLORS = { info: "dim", warn: "yellow", error: "red", security: "red" } as const;

export function eventRows(style: Style, events: readonly AuditEventJson[]): string {
  const rows = events.map((event): Cell[] => [
    String(event.seq),
    shortTime(event.at),
    { text: event.severity, color: SEVERITY_COLORS[event.severity] },
    event.event_type,
    outcomeText(event),
    event.actor_id,
    event.subject_id,
    event.event_id,
  ]);
  return style.table(["SEQ", "TIME", "SEVERITY", "EVENT", "OUTCOME", "ACTOR", "SUBJECT", "ID"], rows, "whole");
}

/** The row of an intent is written before its effect; its outcome is in a later row. */
function outcomeText(event: AuditEventJson): string {
  return event.outcome === "unknown" ? "begun" : event.outcome;
}

/** One event on one line, for following. */
export function eventLine(style: Style, event: AuditEventJson): string {
  const severity = style.paint(SEVERITY_COLORS[event.severity], event.severity.padEnd(8));
  const type = oneLine(event.event_type).padEnd(30);
  return `${String(event.seq).padStart(6)}  ${shortTime(event.at)}  ${severity}  ${type}  ${outcomeText(event).padEnd(7)}  ${oneLine(event.subject_id)}  ${style.paint("dim", event.actor_id)}`;
}

export function eventPage(style: Style, event: AuditEventJson): string {
  const metadata = event.metadata === null ? "erased" : undefined;
  const own: readonly (readonly [string, Cell | null | undefined])[] = [
    ["event", `${event.event_id} (${event.seq})`],
    ["time", event.at],
    ["type", event.event_type],
    ["severity", { text: event.severity, color: SEVERITY_COLORS[event.severity] }],
    ["outcome", event.outcome],
    ["actor", `${event.actor_type} ${event.actor_id}`],
    ["subject", `${event.subject_type} ${event.subject_id}`],
    ["correlation", event.correlation_id],
    ["causation", event.causation_id],
    ["row hash", event.row_hash],
    ["metadata", metadata],
  ];
  const details = Object.entries(event.metadata ?? {}).map(
    ([key, value]) => [oneLine(key), typeof value === "string" ? value : JSON.stringify(value)] as const,
  );
  return [style.fields(own), ...(details.length === 0 ? [] : ["", style.fields(details)])].join("\n");
}

export type AuditFilter = {
  type?: string;
  agent?: string;
  actor?: string;
  severity?: string;
  correlation_id?: string;
  since?: string;
  until?: string;
};

/** The filters of the command line as the API takes them; undefined ones are left out of the request. */
export function auditFilter(options: OptionValues): { [K in keyof AuditFilter]: string | undefined } {
  return {
    type: options.text("type"),
    agent: options.text("agent"),
    actor: options.text("actor"),
    severity: options.text("severity"),
    correlation_id: options.text("correlation-id"),
    since: options.time("since"),
    until: options.time("until"),
  };
}
