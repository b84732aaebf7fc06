/**
 * The control API `/api/v1`: every shape the CLI and the page exchange with Core, as zod schemas.
 *
 * One table, CONTROL_ROUTES, is the only list of routes: the web folder serves exactly these, the OpenAPI 3.1
 * document is made from them, and the CLI and the page take their types from here. Keys are snake_case and a
 * contract: more may be added, none changes its meaning. Lists are `{ items, next }`, paged by key.
 *
 * A route marked `progress` answers with one JSON document, or, when the caller accepts `application/x-ndjson`,
 * with JSON Lines: any number of `{"progress": {...}}` and at the end one `{"result": …}` or `{"error": …}`.
 * A route marked `lines` answers with JSON Lines of its response schema and ends when the caller leaves or, without
 * `follow`, when everything was sent.
 */
import { z } from "zod";
import {
  AGENT_STATUSES,
  APPROVAL_STATUSES,
  BUILD_STATUSES,
  DRIFT_LAYERS,
  OUTCOMES,
  RESTART_POLICIES,
  RUN_STATUSES,
  SEVERITIES,
} from "./words.ts";

const timestamp = z.string().describe("RFC 3339, UTC");
const nullableText = z.string().nullable();

export const runJson = z.object({
  run_id: z.string(),
  agent_id: z.string(),
  status: z.enum(RUN_STATUSES),
  pid: z.number().int().nullable().describe("host pid of the agent's first process"),
  started_at: timestamp,
  stopped_at: timestamp.nullable(),
  exit_code: z.number().int().nullable(),
  signal: nullableText,
  reason: nullableText,
  restart_count: z.number().int(),
  log_path: nullableText,
  session_id: nullableText,
  last_heartbeat_at: timestamp.nullable(),
  isolation: nullableText.describe("pid_namespace or process_group"),
  leaked_pids: z.array(z.number().int()).describe("processes of the run that could not be ended"),
  logs_degraded: z.boolean().describe("true while captured output cannot be written to disk"),
  next_step: nullableText,
});

export const psItemJson = runJson.extend({
  cpu_percent: z.number().nullable(),
  memory_bytes: z.number().int().nullable(),
  processes: z.number().int().nullable(),
  uptime_ms: z.number().int(),
});

export const approvalJson = z.object({
  approval_id: z.string(),
  status: z.enum(APPROVAL_STATUSES),
  approved_permissions: z.array(z.string()),
  approved_at: timestamp,
  approved_by: z.string(),
  expires_at: timestamp.nullable(),
});

export const permissionJson = z.object({
  permission: z.string(),
  meaning: z.string(),
  risk: nullableText,
  enforcement: z.enum(["enforced", "brokered", "advisory", "unsupported"]),
  approved: z.boolean(),
});

const change = z.object({ from: z.string(), to: z.string() });
export const driftJson = z.object({
  layers: z.array(z.enum(DRIFT_LAYERS)),
  next_step: z.string(),
  narrowing: z.boolean().describe("true when the change only narrows what was approved"),
  diff: z.object({
    permissions: z.object({
      added: z.array(z.string()),
      removed: z.array(z.string()),
      widened: z.array(change),
      narrowed: z.array(change),
    }),
    entrypoint: change.nullable(),
    commit: change.nullable(),
    fields: z.array(z.object({ field: z.string(), from: z.string(), to: z.string() })),
    files: z.object({ added: z.array(z.string()), removed: z.array(z.string()), changed: z.array(z.string()) }),
  }),
});

export const agentJson = z.object({
  agent_id: z.string(),
  name: z.string(),
  version: z.string(),
  description: z.string(),
  status: z.enum(AGENT_STATUSES),
  build_status: z.enum(BUILD_STATUSES).nullable(),
  build_last_at: timestamp.nullable(),
  last_error: nullableText,
  source_git_url: nullableText,
  source_ref: nullableText,
  source_commit: nullableText,
  manifest_path: nullableText,
  manifest_hash: nullableText,
  install_path: nullableText,
  discovered_path: nullableText,
  missing_since: timestamp.nullable(),
  keywords: z.array(z.string()),
  restart_policy: z.enum(RESTART_POLICIES),
  next_step: nullableText,
});

export const agentDetailJson = agentJson.extend({
  entrypoint: z.object({ type: z.string(), value: z.string(), args: z.array(z.string()) }).nullable(),
  requested_permissions: z.array(permissionJson),
  capabilities: z.array(z.string()),
  approval: approvalJson.nullable(),
  drift: driftJson.nullable(),
  run: runJson.nullable(),
  held: z.string().describe("how a run is held on this machine, one sentence"),
  unknown_fields: z.array(z.string()).describe("manifest fields that Core does not know"),
});

export const scanReportJson = z.object({
  roots: z.array(z.string()),
  found: z.number().int(),
  new: z.number().int(),
  updated: z.number().int(),
  unchanged: z.number().int(),
  missing: z.number().int(),
  rejected: z.array(z.object({ path: z.string(), code: z.string(), message: z.string() })),
  duplicates: z.array(z.object({ agent_id: z.string(), path: z.string(), kept: z.string() })),
  duration_ms: z.number(),
});

export const buildPlanJson = z.object({
  steps: z.array(z.object({ phase: z.enum(["fetch", "compile"]), argv: z.array(z.string()), network: z.boolean() })),
});

export const auditEventJson = z.object({
  seq: z.number().int(),
  event_id: z.string(),
  at: timestamp,
  event_type: z.string(),
  severity: z.enum(SEVERITIES),
  outcome: z.enum(OUTCOMES),
  actor_type: z.enum(["human", "system", "agent"]),
  actor_id: z.string(),
  subject_type: z.string(),
  subject_id: z.string(),
  correlation_id: nullableText,
  causation_id: nullableText,
  metadata: z.record(z.string(), z.unknown()).nullable().describe("null when it was erased"),
  prev_hash: z.string(),
  row_hash: z.string(),
});

/** CloudEvents 1.0 (cloudevents.io), structured JSON; the event as above is its `data`. */
export const cloudEventJson = z.object({
  specversion: z.literal("1.0"),
  id: z.string(),
  source: z.string(),
  type: z.string(),
  subject: z.string(),
  time: timestamp,
  datacontenttype: z.literal("application/json"),
  data: auditEventJson,
});

export const doctorJson = z.object({
  ok: z.boolean(),
  checks: z.array(
    z.object({
      name: z.string(),
      status: z.enum(["ok", "warn", "fail"]),
      message: z.string(),
      next_step: nullableText,
    }),
  ),
});

export const verifyJson = z.object({
  status: z.enum(["intact", "tampered", "truncated", "unreadable"]),
  events: z.number().int(),
  first_bad_seq: z.number().int().nullable(),
  checkpoint: z
    .object({ size: z.number().int(), hash: z.string(), at: timestamp, valid: z.boolean() })
    .nullable()
    .describe("newest checkpoint"),
  message: z.string(),
});

export const coreStatusJson = z.object({
  running: z.boolean(),
  pid: z.number().int().nullable(),
  version: z.string(),
  instance_id: nullableText,
  started_at: timestamp.nullable(),
  home: z.string(),
  socket_path: z.string(),
  socket_fallback: z.boolean().describe("true when the home is too deep for a socket path"),
  web_url: nullableText,
  degraded: nullableText.describe("why Core runs without its database, or null"),
  isolation: nullableText,
  isolation_reason: nullableText,
  agents: z.number().int().nullable(),
  runs_live: z.number().int().nullable(),
  config: z.array(
    z.object({ key: z.string(), value: z.unknown(), origin: z.enum(["flag", "environment", "file", "default"]) }),
  ),
});

export const logRecordJson = z.object({
  at: timestamp,
  stream: z.enum(["stdout", "stderr", "core"]),
  line: z.string(),
  truncated: z.boolean().optional(),
});

export const progressJson = z.object({ phase: z.string(), text: z.string() });

function listOf<T extends z.ZodType>(item: T): z.ZodObject<{ items: z.ZodArray<T>; next: z.ZodNullable<z.ZodString> }> {
  return z.object({ items: z.array(item), next: z.string().nullable() });
}

const limit = z.coerce.number().int().min(1).max(500).optional();
const cursor = z.string().max(400).optional();
const flag = z.enum(["true", "false"]).optional();
const text = z.string().max(2000);
const agentParams = z.object({ agent_id: z.string().max(200) });
const empty = z.object({}).strict();

const auditFilter = z.object({
  type: z.string().max(100).optional(),
  agent: z.string().max(200).optional(),
  actor: z.string().max(200).optional(),
  severity: z.enum(SEVERITIES).optional(),
  correlation_id: z.string().max(100).optional(),
  since: z.string().max(40).optional(),
  until: z.string().max(40).optional(),
});

/** Operation id → route. `summary` becomes the OpenAPI text; `boundary` marks acts that execute third-party code. */
export const CONTROL_ROUTES = {
  get_status: {
    method: "get",
    path: "/core/status",
    summary: "State of Core and where each setting came from",
    response: coreStatusJson,
  },
  stop_core: {
    method: "post",
    path: "/core/stop",
    summary: "Stop every agent in order, then Core",
    body: empty,
    response: z.object({ stopping: z.literal(true) }),
  },
  scan: {
    method: "post",
    path: "/discovery/scan",
    summary: "Look for manifests; reads files only",
    body: z.object({ paths: z.array(text).max(100).optional() }).strict(),
    response: scanReportJson,
    progress: true,
  },
  list_agents: {
    method: "get",
    path: "/agents",
    summary: "Known agents; with q a full-text search",
    query: z.object({ q: z.string().max(200).optional(), status: z.enum(AGENT_STATUSES).optional(), limit, cursor }),
    response: listOf(agentJson),
  },
  get_agent: {
    method: "get",
    path: "/agents/{agent_id}",
    summary: "Everything about one agent",
    params: agentParams,
    response: agentDetailJson,
  },
  install_agent: {
    method: "post",
    path: "/agents/install",
    summary: "Fetch an agent from git; runs nothing of it",
    body: z
      .object({
        agent_id: z.string().max(200).optional(),
        git_url: text.optional(),
        ref: z.string().max(300).optional(),
        allow_local: z.boolean().optional(),
        dev_path: text.optional(),
      })
      .strict(),
    response: agentDetailJson,
    progress: true,
  },
  update_agent: {
    method: "post",
    path: "/agents/{agent_id}/update",
    summary: "Fetch the installed agent's source again and move to the newest commit of its ref; runs nothing of it",
    params: agentParams,
    body: z.object({ ref: z.string().max(300).optional(), allow_local: z.boolean().optional() }).strict(),
    response: agentDetailJson,
    progress: true,
  },
  rollback_agent: {
    method: "post",
    path: "/agents/{agent_id}/rollback",
    summary: "Go back to the tree from before the last install",
    params: agentParams,
    body: empty,
    response: agentDetailJson,
  },
  remove_agent: {
    method: "post",
    path: "/agents/{agent_id}/remove",
    summary: "Remove what is installed; runs and audit events stay",
    params: agentParams,
    body: z.object({ keep_data: z.boolean().optional() }).strict(),
    response: agentDetailJson,
  },
  plan_build: {
    method: "get",
    path: "/agents/{agent_id}/build/plan",
    summary: "What a build would run",
    params: agentParams,
    response: buildPlanJson,
  },
  build_agent: {
    method: "post",
    path: "/agents/{agent_id}/build",
    summary: "Build; executes third-party code",
    params: agentParams,
    body: empty,
    response: agentDetailJson,
    progress: true,
    boundary: true,
  },
  enable_agent: {
    method: "post",
    path: "/agents/{agent_id}/enable",
    summary: "Approve some or all requested permissions for exactly this state of the agent",
    params: agentParams,
    body: z
      .object({
        all: z.boolean().optional(),
        approve: z.array(z.string().max(300)).max(500).optional(),
        expires: z.string().max(40).optional(),
        expected_manifest_hash: z.string().max(64).optional(),
        expected_commit: z.string().max(64).optional(),
      })
      .strict(),
    response: agentDetailJson,
  },
  revoke_agent: {
    method: "post",
    path: "/agents/{agent_id}/revoke",
    summary: "Withdraw the approval and stop the agent",
    params: agentParams,
    body: empty,
    response: agentDetailJson,
  },
  diff_agent: {
    method: "get",
    path: "/agents/{agent_id}/diff",
    summary: "What moved since the approval",
    params: agentParams,
    response: z.object({ drift: driftJson.nullable() }),
  },
  run_agent: {
    method: "post",
    path: "/agents/{agent_id}/run",
    summary: "Start the agent; executes third-party code",
    params: agentParams,
    body: z
      .object({ args: z.array(z.string().max(4096)).max(100).optional(), restart: z.enum(RESTART_POLICIES).optional() })
      .strict(),
    response: runJson,
    boundary: true,
  },
  stop_agent: {
    method: "post",
    path: "/agents/{agent_id}/stop",
    summary: "Stop the agent's whole process tree",
    params: agentParams,
    body: empty,
    response: runJson,
  },
  restart_agent: {
    method: "post",
    path: "/agents/{agent_id}/restart",
    summary: "Stop, then start again; executes third-party code",
    params: agentParams,
    body: empty,
    response: runJson,
    boundary: true,
  },
  read_logs: {
    method: "get",
    path: "/agents/{agent_id}/logs",
    summary: "Captured output of a run, of the newest one unless named",
    params: agentParams,
    query: z.object({
      run: z.string().max(60).optional(),
      tail: z.coerce.number().int().min(0).max(100_000).optional(),
      since: z.string().max(40).optional(),
      follow: flag,
    }),
    response: logRecordJson,
    lines: true,
  },
  list_runs: {
    method: "get",
    path: "/runs",
    summary: "Live runs with their use of the machine (all=true: ended ones too)",
    query: z.object({ agent: z.string().max(200).optional(), all: flag, limit, cursor }),
    response: listOf(psItemJson),
  },
  list_audit: {
    method: "get",
    path: "/audit/events",
    summary: "Audit events, newest first",
    query: auditFilter.extend({ limit, cursor }),
    response: listOf(auditEventJson),
  },
  get_audit: {
    method: "get",
    path: "/audit/events/{event_id}",
    summary: "One audit event",
    params: z.object({ event_id: z.string().max(60) }),
    response: auditEventJson,
  },
  export_audit: {
    method: "get",
    path: "/audit/export",
    summary: "Audit events in order; follow=true keeps going, tail=N starts N before the end",
    query: auditFilter.extend({ follow: flag, tail: z.coerce.number().int().min(0).max(100_000).optional() }),
    response: auditEventJson,
    lines: true,
  },
  export_cloudevents: {
    method: "get",
    path: "/audit/cloudevents",
    summary: "Audit events in order as CloudEvents 1.0",
    query: auditFilter,
    response: cloudEventJson,
    lines: true,
  },
  verify_audit: {
    method: "post",
    path: "/audit/verify",
    summary: "Recompute the whole audit chain; against: also hold it to a checkpoint kept elsewhere",
    body: z.object({ against: z.string().max(2000).optional() }).strict(),
    response: verifyJson,
  },
  erase_audit: {
    method: "post",
    path: "/audit/erase",
    summary: "Erase the metadata of one row and leave a tombstone; the chain stays whole",
    body: z.object({ seq: z.number().int().min(1), reason: z.string().min(1).max(500) }).strict(),
    response: auditEventJson,
  },
  check_health: {
    method: "get",
    path: "/doctor",
    summary: "What is right and wrong on this machine, each with the command that mends it",
    response: doctorJson,
  },
  checkpoint_audit: {
    method: "post",
    path: "/audit/checkpoint",
    summary: "Sign the current head of the audit log",
    body: empty,
    response: z.object({ note: z.string(), size: z.number().int() }),
  },
} as const satisfies Record<string, ControlRoute>;

export type ControlRoute = {
  method: "get" | "post";
  path: string;
  summary: string;
  params?: z.ZodType;
  query?: z.ZodType;
  body?: z.ZodType;
  response: z.ZodType;
  progress?: boolean;
  lines?: boolean;
  boundary?: boolean;
};
export type ControlOperation = keyof typeof CONTROL_ROUTES;

export type RunJson = z.infer<typeof runJson>;
export type PsItemJson = z.infer<typeof psItemJson>;
export type ApprovalJson = z.infer<typeof approvalJson>;
export type PermissionJson = z.infer<typeof permissionJson>;
export type DriftJson = z.infer<typeof driftJson>;
export type AgentJson = z.infer<typeof agentJson>;
export type AgentDetailJson = z.infer<typeof agentDetailJson>;
export type ScanReportJson = z.infer<typeof scanReportJson>;
export type BuildPlanJson = z.infer<typeof buildPlanJson>;
export type AuditEventJson = z.infer<typeof auditEventJson>;
export type CloudEventJson = z.infer<typeof cloudEventJson>;
export type DoctorJson = z.infer<typeof doctorJson>;
export type VerifyJson = z.infer<typeof verifyJson>;
export type CoreStatusJson = z.infer<typeof coreStatusJson>;
export type LogRecordJson = z.infer<typeof logRecordJson>;
export type ProgressJson = z.infer<typeof progressJson>;
