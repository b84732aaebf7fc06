/** The rows of the command table about the audit log. */
import type { CommandSpec, OptionSpec } from "./context.ts";
import { FOLLOW, YES } from "./options.ts";

const SEVERITY_CHOICES = ["info", "warn", "error", "security"];

const AUDIT_FILTERS: Record<string, OptionSpec> = {
  type: { type: "string", value: "TYPE", summary: "only this type of event, e.g. agent.enabled" },
  agent: { type: "string", value: "ID", summary: "only events about this agent" },
  actor: {
    type: "string",
    value: "ACTOR",
    summary: "only what this actor did, written as the list shows it, e.g. uid:1000(anna)",
  },
  severity: { type: "string", value: "LEVEL", choices: SEVERITY_CHOICES, summary: "only this severity" },
  "correlation-id": { type: "string", value: "ID", summary: "only what one command or session caused" },
  since: { type: "string", value: "TIME", summary: "from this time on: 10m, 2h, 3d, or 2026-01-31T12:00:00Z" },
  until: { type: "string", value: "TIME", summary: "up to this time" },
};

export const AUDIT_COMMANDS: readonly CommandSpec[] = [
  {
    noun: "audit",
    verb: "tail",
    summary: "Show the newest audit events, oldest of them first",
    positionals: [],
    options: { follow: FOLLOW, tail: { type: "string", value: "N", summary: "how many to start with (default 20)" } },
    examples: ["opensentience audit tail -f"],
    load: () => import("./commands/audit-tail.ts"),
  },
  {
    noun: "audit",
    verb: "list",
    summary: "List audit events, newest first",
    positionals: [],
    options: {
      ...AUDIT_FILTERS,
      limit: { type: "string", value: "N", summary: "at most this many, up to 500 (default 50)" },
      cursor: { type: "string", value: "CURSOR", summary: "go on where an earlier list ended" },
    },
    examples: [
      "opensentience audit list --agent com.example.echo --since 1d",
      "opensentience audit list --severity security",
    ],
    load: () => import("./commands/audit-list.ts"),
  },
  {
    noun: "audit",
    verb: "show",
    summary: "Show one audit event",
    positionals: [
      { name: "EVENT", summary: "its number as audit list shows it first, or its id (evt_…)", required: true },
    ],
    options: {},
    examples: ["opensentience audit show 42", "opensentience audit show evt_01930c5e-7d3a-7c52-9f2e-0a1b2c3d4e5f"],
    load: () => import("./commands/audit-show.ts"),
  },
  {
    noun: "audit",
    verb: "verify",
    summary: "Recompute the whole audit chain; exit code 1 when it is not intact",
    positionals: [],
    options: {
      against: { type: "string", value: "FILE", summary: "a checkpoint kept elsewhere; - for standard input" },
    },
    examples: ["opensentience audit verify", "opensentience audit verify --against checkpoint.txt"],
    load: () => import("./commands/audit-verify.ts"),
  },
  {
    noun: "audit",
    verb: "checkpoint",
    summary: "Sign the current head of the audit log and print the note",
    positionals: [],
    options: {},
    examples: ["opensentience audit checkpoint > checkpoint.txt"],
    load: () => import("./commands/audit-checkpoint.ts"),
  },
  {
    noun: "audit",
    verb: "export",
    summary: "Write audit events in order, one JSON document per line",
    positionals: [],
    options: {
      ...AUDIT_FILTERS,
      format: {
        type: "string",
        value: "FORMAT",
        choices: ["events", "cloudevents"],
        summary: "events (default) or CloudEvents 1.0",
      },
    },
    examples: ["opensentience audit export --since 30d > audit.jsonl"],
    load: () => import("./commands/audit-export.ts"),
  },
  {
    noun: "audit",
    verb: "erase",
    summary: "Erase the metadata of one event and leave a tombstone; the chain stays whole",
    positionals: [{ name: "SEQ", summary: "number of the event", required: true }],
    options: {
      reason: { type: "string", value: "TEXT", required: true, summary: "why; kept in the tombstone" },
      yes: YES,
    },
    examples: ["opensentience audit erase 42 --reason leaked --yes"],
    load: () => import("./commands/audit-erase.ts"),
  },
];
