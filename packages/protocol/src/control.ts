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
 * A route marked `events` answers with server-sent events (control-events.ts).
 */
import { z } from "zod";
import { LIVE_ROUTES } from "./control-live.ts";
import { agentDiffJson } from "./control-diff.ts";
import {
  agentDetailJson,
  builtAgentJson,
  removedAgentJson,
  updatedAgentJson,
  agentJson,
  auditEventJson,
  buildPlanJson,
  cloudEventJson,
  coreStatusJson,
  doctorJson,
  logRecordJson,
  psItemJson,
  runJson,
  stoppedRunJson,
  scanReportJson,
  toolCallJson,
  toolDetailJson,
  toolJson,
  toolStreamJson,
  verifyJson,
} from "./control-shapes.ts";
import { AGENT_STATUSES, RESTART_POLICIES, SEVERITIES } from "./words.ts";

function listOf<T extends z.ZodType>(item: T): z.ZodObject<{ items: z.ZodArray<T>; next: z.ZodNullable<z.ZodString> }> {
  return z.object({ items: z.array(item), next: z.string().nullable() });
}

const limit = z.coerce.number().int().min(1).max(500).optional();
const cursor = z.string().max(400).optional();
const flag = z.enum(["true", "false"]).optional();
const text = z.string().max(2000);
/** An argument vector ends a text at its first NUL, so what was recorded would not be what is passed. */
const argument = z
  .string()
  .max(4096)
  .refine((value) => !value.includes("\0"), "an argument holds a NUL character");
const agentParams = z.object({ agent_id: z.string().max(200) });
const empty = z.object({}).strict();
const toolParams = z.object({ agent_id: z.string().max(200), tool_name: z.string().max(64) });
const toolCall = z
  .object({
    input: z.record(z.string(), z.unknown()),
    timeout_ms: z.number().int().min(1).max(86_400_000).optional(),
    idempotency_key: z.string().min(1).max(200).optional(),
  })
  .strict();

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
  ...LIVE_ROUTES,
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
    response: updatedAgentJson,
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
    summary: "Remove what is installed, or what is left of an agent that is not; audit events stay",
    params: agentParams,
    body: z.object({ keep_data: z.boolean().optional() }).strict(),
    response: removedAgentJson,
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
    body: z.object({ expected_plan: z.string().max(64).optional() }).strict(),
    response: builtAgentJson,
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
        unsandboxed: z.boolean().optional(),
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
    response: agentDiffJson,
  },
  run_agent: {
    method: "post",
    path: "/agents/{agent_id}/run",
    summary: "Start the agent; executes third-party code",
    params: agentParams,
    body: z
      .object({ args: z.array(argument).max(100).optional(), restart: z.enum(RESTART_POLICIES).optional() })
      .strict(),
    response: runJson,
    boundary: true,
  },
  stop_agent: {
    method: "post",
    path: "/agents/{agent_id}/stop",
    summary: "Stop the agent's whole process tree, or call its pending restart off",
    params: agentParams,
    body: empty,
    response: stoppedRunJson,
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
    summary: "Captured output of a run, of the newest one unless named; build=true: of the newest build",
    params: agentParams,
    query: z.object({
      run: z.string().max(60).optional(),
      tail: z.coerce.number().int().min(0).max(100_000).optional(),
      since: z.string().max(40).optional(),
      follow: flag,
      build: flag,
    }),
    response: logRecordJson,
    lines: true,
  },
  list_runs: {
    method: "get",
    path: "/runs",
    summary:
      "Live runs with their use of the machine, and those about to be started again (all=true: every ended one too)",
    query: z.object({ agent: z.string().max(200).optional(), all: flag, limit, cursor }),
    response: listOf(psItemJson),
  },
  list_tools: {
    method: "get",
    path: "/tools",
    summary: "Tools that running agents offer",
    query: z.object({ agent: z.string().max(200).optional() }),
    response: listOf(toolJson),
  },
  get_tool: {
    method: "get",
    path: "/tools/{agent_id}/{tool_name}",
    summary: "One tool with its schemas",
    params: toolParams,
    response: toolDetailJson,
  },
  call_tool: {
    method: "post",
    path: "/tools/{agent_id}/{tool_name}/call",
    summary:
      "Call a tool and wait for its result; executes third-party code. The end of the connection cancels the call",
    params: toolParams,
    body: toolCall,
    response: toolCallJson,
    boundary: true,
  },
  stream_tool_call: {
    method: "post",
    path: "/tools/{agent_id}/{tool_name}/stream",
    summary: "Call a tool; its output as it comes, its result last; executes third-party code",
    params: toolParams,
    body: toolCall,
    response: toolStreamJson,
    lines: true,
    boundary: true,
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
    summary: "One audit event; event_id: its id, or its number (seq)",
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
  events?: boolean;
  boundary?: boolean;
};
export type ControlOperation = keyof typeof CONTROL_ROUTES;
