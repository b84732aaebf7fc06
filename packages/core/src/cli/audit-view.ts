/** Audit events as text for people, and the filters that the audit commands share. */
import { auditWhy, type AuditEventJson } from "@opensentience/protocol";
import type { OptionValues } from "./context.ts";
import { type Column, fittedTable, followedTable } from "./fitted-table.ts";
import { type Cell, clip, oneLine, shortTime, type Style } from "./format.ts";

const MAX_WHY = 40;

const SEVERITY_COLORS = { info: "dim", warn: "yellow", error: "red", security: "red" } as const;

const COLUMNS: readonly Column[] = [
  { name: "SEQ", width: 6 },
  { name: "TIME", width: 16 },
  { name: "SEVERITY", gives: "spare" },
  { name: "EVENT", width: 26 },
  { name: "OUTCOME", width: 9 },
  { name: "ACTOR", gives: "spare", width: 16 },
  { name: "SUBJECT", gives: "middle", width: 32 },
  { name: "WHY", gives: "end", width: 28 },
  { name: "ID", gives: "drop", width: 40 },
];

/** Event ids are left out where they do not fit; `--json` has them. */
export function eventRows(style: Style, events: readonly AuditEventJson[]): string {
  return fittedTable(style, COLUMNS, events.map(eventCells));
}

/** The same columns, for events that come one by one. */
export function followedEvents(style: Style): { header: string; row: (event: AuditEventJson) => string } {
  const { header, row } = followedTable(style, COLUMNS);
  return { header, row: (event) => row(eventCells(event)) };
}

function eventCells(event: AuditEventJson): Cell[] {
  return [
    String(event.seq),
    shortTime(event.at),
    { text: event.severity, color: SEVERITY_COLORS[event.severity] },
    event.event_type,
    outcomeText(event),
    event.actor_id,
    event.subject_id,
    whyText(event),
    event.event_id,
  ];
}

function whyText(event: AuditEventJson): string {
  return clip(oneLine(auditWhy(event) ?? ""), MAX_WHY);
}

/** The row of an intent is written before its effect; its outcome is in a later row. */
function outcomeText(event: AuditEventJson): string {
  return event.outcome === "unknown" ? "begun" : event.outcome;
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
