/** The shapes of the control API's answers, also those of the CLI's `--json`: keys are snake_case and a contract. */
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

const putBackCount = z
  .number()
  .int()
  .describe("of all; put_back names the first, none of a source that cannot be read");

const enforcement = z.enum(["enforced", "brokered", "advisory", "unsupported"]);

const pendingRestart = {
  restart_at: timestamp.nullable().describe("when Core starts it again by itself; null where no restart is pending"),
  restart_attempt: z.number().int().nullable().describe("which restart in a row that will be"),
  restart_limit: z.number().int().nullable().describe("after how many of them Core gives up"),
};

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
  ...pendingRestart,
  log_path: nullableText,
  session_id: nullableText,
  last_heartbeat_at: timestamp.nullable(),
  health: z.enum(["ok", "degraded", "unhealthy"]).nullable().describe("null before the handshake and after the end"),
  isolation: nullableText.describe("sandbox, pid_namespace or process_group"),
  limits: z.record(z.string(), enforcement).describe("`<kind>:<value>` each, and how it is held"),
  leaked_pids: z.array(z.number().int()).describe("processes of the run that could not be ended"),
  logs_degraded: z.boolean().describe("true while captured output cannot be written to disk"),
  next_step: nullableText,
});

export const stoppedRunJson = runJson.extend({
  restart_called_off: z.boolean().describe("true where the agent did not run and its pending restart was taken back"),
});

export const psItemJson = runJson.extend({
  cpu_percent: z.number().nullable(),
  memory_bytes: z.number().int().nullable(),
  processes: z.number().int().nullable(),
  uptime_ms: z.number().int(),
  uptime_is_least: z
    .boolean()
    .describe(
      "true of a run that was lost with Core: it wrote something that long after its start, its end is unknown",
    ),
});

export const approvalJson = z.object({
  approval_id: z.string(),
  status: z.enum(APPROVAL_STATUSES),
  approved_permissions: z.array(z.string()),
  approved_at: timestamp,
  approved_by: z.string(),
  expires_at: timestamp.nullable(),
  unsandboxed: z.boolean().describe("where no sandbox can be made it may run without one, until the approval ends"),
});

export const permissionJson = z.object({
  permission: z.string(),
  meaning: z.string(),
  risk: nullableText,
  enforcement,
  approved: z.boolean(),
});

const change = z.object({ from: z.string(), to: z.string() });
export const driftJson = z.object({
  layers: z.array(z.enum(DRIFT_LAYERS)),
  next_step: z.string(),
  narrowing: z
    .boolean()
    .describe(
      "true when one confirmation is enough: nothing more is asked for, and Core itself moved the commit, if it moved",
    ),
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

/** A sandbox, its way out and the variables of a run are made when it starts; an approval given later waits for the next start. */
export const pendingPermissionsJson = z.object({
  removed: z.array(z.string()).describe("no longer approved, and held open for this run until it is restarted"),
  added: z.array(z.string()).describe("approved since, and closed to this run until it is restarted"),
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
  ...pendingRestart,
  pending_permissions: pendingPermissionsJson
    .nullable()
    .describe("what the approval holds now and the run that is under way does not know yet; null where the two agree"),
  next_step: nullableText,
});

export const agentDetailJson = agentJson.extend({
  entrypoint: z.object({ type: z.string(), value: z.string(), args: z.array(z.string()) }).nullable(),
  requested_permissions: z.array(permissionJson),
  capabilities: z.array(z.string()),
  approval: approvalJson.nullable(),
  drift: driftJson.nullable(),
  run: runJson.nullable(),
  last_error_at: timestamp.nullable().describe("when the failed build or the run ended that last_error is of"),
  repair_step: nullableText.describe(
    "the command that comes before any review: it puts back files that are not the commit's, or a manifest that cannot be read; null where nothing is to be put back",
  ),
  manifest_changed: z.boolean().describe("on this machine: it is not the manifest of the installed commit"),
  data_path: nullableText.describe("the folder of what the agent keeps, where there is one; it may outlast the agent"),
  logs_path: nullableText.describe("the folder of its logs, where there is one; it outlasts the agent"),
  held: z.string().describe("how a run of this agent is held on this machine, in a sentence or two"),
  unknown_fields: z.array(z.string()).describe("manifest fields that Core does not know"),
});

export const builtAgentJson = agentDetailJson.extend({
  put_back: z.array(z.string()).describe("files that were not those of the commit and were put back before the build"),
  put_back_count: putBackCount,
});

export const updatedAgentJson = agentDetailJson.extend({
  moved_from: z
    .object({ commit: z.string(), version: z.string() })
    .nullable()
    .describe("what was installed before; null when the agent did not move"),
  pinned: z
    .boolean()
    .describe("true when it is installed by the id of a commit, which an update without a ref leaves alone"),
});

export const removedAgentJson = agentDetailJson.extend({
  removed: z
    .enum(["agent", "data", "entry"])
    .describe("what is installed; or, of an agent that was not, the data that was kept; or all that was known of it"),
});

export const toolJson = z.object({
  tool_id: z.string(),
  agent_id: z.string(),
  name: z.string(),
  description: z.string(),
  health: z.enum(["ok", "degraded", "unhealthy"]).describe("of its agent; an unhealthy one gets no calls"),
  permissions: z.array(z.string()).describe("what its agent must have approved for the tool to be called"),
  tags: z.array(z.string()),
});

export const toolDetailJson = toolJson.extend({
  run_id: z.string(),
  input_schema: z.record(z.string(), z.unknown()),
  output_schema: z.record(z.string(), z.unknown()).nullable(),
  capabilities: z.array(z.string()),
  next_step: nullableText,
});

export const toolCallJson = z.object({
  call_id: z.string(),
  tool_id: z.string(),
  run_id: z.string().describe("the run that was called"),
  status: z.enum(["succeeded", "failed", "canceled"]),
  output: z.unknown().describe("what the tool answered; null unless it succeeded"),
  error: z.object({ code: z.string(), message: z.string(), details: z.record(z.string(), z.unknown()) }).nullable(),
  duration_ms: z.number().int(),
});

export const toolStreamJson = z.union([
  z.object({
    stream: z.object({
      seq: z.number().int(),
      channel: z.string(),
      text: z.string().optional(),
      json: z.unknown().optional(),
    }),
  }),
  z.object({ result: toolCallJson }),
]);

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
  steps: z.array(
    z.object({
      phase: z.enum(["fetch", "compile"]),
      argv: z.array(z.string()),
      network: z.boolean(),
      reach: z.enum(["none", "public_hosts", "machine"]).describe("public hosts and those of build.hosts; or all"),
    }),
  ),
  digest: z.string(),
  unset_variables: z.array(z.string()).describe("of build.pass_env, which Core does not have and so no step gets"),
  put_back: z
    .array(z.string())
    .describe(
      "files that are neither the commit's nor what the last build left: a build begins with putting them back",
    ),
  put_back_count: putBackCount,
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

/** The file as it stands on disk; whether Core can read it as a manifest is another question. */
export const manifestTextJson = z.object({
  path: z.string(),
  text: z.string(),
  sha256: z.string().describe("over the raw bytes, hex"),
});

export const auditTypesJson = z.object({
  items: z.array(z.object({ event_type: z.string(), severity: z.enum(SEVERITIES), meaning: z.string() })),
  next: z.null(),
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

const noteJson = z.object({ size: z.number().int(), hash: z.string(), at: timestamp, valid: z.boolean() }).nullable();

export const verifyJson = z.object({
  status: z.enum(["intact", "tampered", "truncated", "unreadable"]),
  events: z.number().int(),
  first_bad_seq: z.number().int().nullable(),
  checkpoint: noteJson.describe("newest checkpoint"),
  against: noteJson.describe("the checkpoint kept elsewhere, where one was given"),
  message: z.string(),
});

export const coreStatusJson = z.object({
  running: z.boolean().describe("true while a process of Core holds the home, also while it starts or stops"),
  state: z.enum(["running", "starting", "stopping", "stopped"]).describe("only a running Core answers requests"),
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

/** What `POST /sign-in` takes, on the page's own door. */
export const signInBody = z.union([
  z.object({ code: z.string().max(200) }).strict(),
  z.object({ token: z.string().max(200) }).strict(),
]);

export const sessionJson = z.object({
  instance_id: z.string(),
  actor: z.string().describe("as the audit log names who asks"),
  expires_at: timestamp.nullable().describe("when the session ends at the latest; null where there is no session"),
});

/** What `POST /sign-in` answers, beside the cookie. */
export type SignInJson = z.infer<typeof sessionJson> & {
  /** The secret of the page: told this once, goes into `x-csrf-token` of every request of the session. */
  csrf_token: string;
};

export const signInLinkJson = z.object({
  url: z.string().describe("the code is in its fragment and works once"),
  valid_ms: z.number().int(),
  for_browser: z
    .boolean()
    .describe("true where only a program of Core's own user can use it, so that it may be an argument of one"),
});

export const logRecordJson = z.object({
  at: timestamp,
  stream: z.enum(["stdout", "stderr", "core"]),
  line: z.string(),
  truncated: z.boolean().optional(),
});

export const progressJson = z.object({ phase: z.string(), text: z.string() });

export type RunJson = z.infer<typeof runJson>;
export type PendingRestartJson = Pick<RunJson, keyof typeof pendingRestart>;
export type StoppedRunJson = z.infer<typeof stoppedRunJson>;
export type PsItemJson = z.infer<typeof psItemJson>;
export type ApprovalJson = z.infer<typeof approvalJson>;
export type PermissionJson = z.infer<typeof permissionJson>;
export type PendingPermissionsJson = z.infer<typeof pendingPermissionsJson>;
export type ManifestTextJson = z.infer<typeof manifestTextJson>;
export type AuditTypesJson = z.infer<typeof auditTypesJson>;
export type DriftJson = z.infer<typeof driftJson>;
export type AgentJson = z.infer<typeof agentJson>;
export type AgentDetailJson = z.infer<typeof agentDetailJson>;
export type UpdatedAgentJson = z.infer<typeof updatedAgentJson>;
export type ScanReportJson = z.infer<typeof scanReportJson>;
export type BuildPlanJson = z.infer<typeof buildPlanJson>;
export type AuditEventJson = z.infer<typeof auditEventJson>;
export type CloudEventJson = z.infer<typeof cloudEventJson>;
export type DoctorJson = z.infer<typeof doctorJson>;
export type VerifyJson = z.infer<typeof verifyJson>;
export type CoreStatusJson = z.infer<typeof coreStatusJson>;
export type SessionJson = z.infer<typeof sessionJson>;
export type SignInLinkJson = z.infer<typeof signInLinkJson>;
export type LogRecordJson = z.infer<typeof logRecordJson>;
export type ProgressJson = z.infer<typeof progressJson>;
export type ToolJson = z.infer<typeof toolJson>;
export type ToolDetailJson = z.infer<typeof toolDetailJson>;
export type ToolCallJson = z.infer<typeof toolCallJson>;
export type ToolStreamJson = z.infer<typeof toolStreamJson>;
