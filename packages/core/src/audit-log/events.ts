/**
 * Every audit event type Core can write: its default severity, its meaning and the metadata keys it may carry.
 * Keys that are not listed are dropped before anything is stored. docs/audit-events.md is compared with this table.
 */
import { CoreError, type SEVERITIES } from "@opensentience/protocol";
import { nearest } from "../host/config.ts";

export type Severity = (typeof SEVERITIES)[number];
type EventDefinition = {
  severity: Severity;
  meaning: string;
  metadata: readonly string[];
  /** Keys of `metadata` whose values Core itself makes up (ids, sizes, digests): the redactor need not look at them. */
  made?: readonly string[];
};

const BOUNDARY = "trust_boundary";

export const AUDIT_EVENTS = {
  "core.started": {
    severity: "info",
    meaning: "Core took the home and opened its database.",
    metadata: ["version", "pid", "isolation", "node"],
  },
  "core.stopped": {
    severity: "info",
    meaning: "Core stopped cleanly; no agent of it is alive.",
    metadata: ["uptime_ms"],
  },
  "core.reconciled": {
    severity: "warn",
    meaning: "At its start Core closed what an earlier Core left half done.",
    metadata: [
      "runs_closed",
      "processes_ended",
      "builds_closed",
      "installs_closed",
      "approvals_closed",
      "calls_closed",
    ],
  },

  "agent.connected": {
    severity: "info",
    meaning: "A run shook hands on its socket; its session begins.",
    metadata: ["agent_id", "session_id", "agent_version", "capabilities", "sdk"],
  },
  "agent.handshake_failed": {
    severity: "security",
    meaning: "Somebody spoke on a run's socket and was refused.",
    metadata: ["agent_id", "code", "message"],
  },
  "agent.heartbeat_missed": {
    severity: "warn",
    meaning: "An agent missed several heartbeats in a row.",
    metadata: ["agent_id", "reason"],
  },
  "agent.marked_unhealthy": {
    severity: "warn",
    meaning: "An agent gets no new calls until it is well again.",
    metadata: ["agent_id", "reason"],
  },
  "agent.message_dropped": {
    severity: "warn",
    meaning: "Core did not take something that an agent said in its session; once per run and kind.",
    metadata: ["agent_id", "reason"],
  },
  "tool.call_routed": {
    severity: "info",
    meaning: "A permitted call was handed to its agent; third-party code executes.",
    metadata: ["call_id", "run_id", "input_bytes", "input_digest", BOUNDARY],
    made: ["call_id", "run_id", "input_bytes", "input_digest", BOUNDARY],
  },
  "tool.call_completed": {
    severity: "info",
    meaning: "A call that was handed over has its one outcome.",
    metadata: ["call_id", "run_id", "status", "code", "output_bytes", "output_digest", "duration_ms", BOUNDARY],
    // Not `code`: an agent chooses it.
    made: ["call_id", "run_id", "status", "output_bytes", "output_digest", "duration_ms", BOUNDARY],
  },
  "tool.call_repeated": {
    severity: "info",
    meaning:
      "A call whose caller had used its idempotency key before got the outcome of that call; nothing was carried out.",
    metadata: ["call_id", "run_id"],
    made: ["call_id", "run_id"],
  },

  "agent.discovered": {
    severity: "info",
    meaning: "A scan found a manifest with a new id.",
    metadata: ["path", "version", "manifest_hash"],
  },
  "agent.updated": {
    severity: "info",
    meaning: "A known manifest changed.",
    metadata: ["path", "version", "manifest_hash", "previous_manifest_hash"],
  },
  "agent.installed": {
    severity: "info",
    meaning: "A commit was fetched and moved into place; nothing of it ran.",
    metadata: [
      "git_url",
      "ref",
      "commit",
      "path",
      "tree_hash",
      "files",
      "skipped",
      "phase",
      "isolation",
      "previous_commit",
      "previous_git_url",
    ],
  },
  "agent.install_failed": {
    severity: "warn",
    meaning: "An install ended without changing anything.",
    metadata: ["git_url", "ref", "code", "message"],
  },
  "agent.build_plan_shown": {
    severity: "info",
    meaning: "The plan of a build was shown before it ran.",
    metadata: ["commit", "plan_digest", "steps"],
  },
  "agent.build_started": {
    severity: "warn",
    meaning: "A build is about to execute third-party code.",
    metadata: ["commit", "plan_digest", BOUNDARY, "put_back", "steps"],
  },
  "agent.built": {
    severity: "info",
    meaning: "A build ended well.",
    metadata: ["commit", "plan_digest", "duration_ms", "built_tree_hash", "hosts", BOUNDARY, "steps"],
  },
  "agent.build_failed": {
    severity: "warn",
    meaning: "A build failed.",
    metadata: ["commit", "step", "code", "message", "exit_code", "put_back", "hosts", "duration_ms", BOUNDARY],
  },
  "agent.enable_requested": {
    severity: "info",
    meaning: "Somebody asked to approve permissions.",
    metadata: ["permissions", "all", "manifest_hash", "requested_permissions_hash"],
  },
  "agent.enabled": {
    severity: "security",
    meaning: "Permissions were approved for one exact state of the agent.",
    metadata: [
      "approval_id",
      "approved_permissions",
      "manifest_hash",
      "requested_permissions_hash",
      "commit",
      "ref",
      "expires_at",
      "unsandboxed",
      "superseded",
    ],
  },
  "agent.permissions_revoked": {
    severity: "security",
    meaning: "The approval was withdrawn.",
    metadata: ["approval_id", "reason"],
  },
  "agent.manifest_drift_detected": {
    severity: "security",
    meaning: "The agent is no longer what was approved.",
    metadata: ["approval_id", "layers", "manifest_hash", "commit"],
  },
  "agent.removed": {
    severity: "info",
    meaning: "What was installed of an agent was removed.",
    metadata: ["path", "kept_data", "phase"],
  },
  "agent.run_started": {
    severity: "warn",
    meaning: "A run is about to execute third-party code (outcome unknown: intent; ok: it runs).",
    metadata: [
      "agent_id",
      "approval_id",
      "manifest_hash",
      "commit",
      "pid",
      "permissions",
      "limits",
      "isolation",
      "restart_count",
      "restart",
      "phase",
      BOUNDARY,
      "args_count",
      "args",
    ],
  },
  "agent.run_stopped": {
    severity: "info",
    meaning: "A run ended after a stop was asked for.",
    metadata: ["agent_id", "exit_code", "signal", "reason", "leaked", "phase"],
  },
  "agent.run_crashed": {
    severity: "warn",
    meaning: "A run ended without a stop being asked for, or could not start.",
    metadata: ["agent_id", "exit_code", "signal", "reason", "leaked", "phase", "restart_in_ms"],
  },
  "security.unsandboxed_run": {
    severity: "security",
    meaning: "A run is about to start without a sandbox, because a setting or its approval says so.",
    metadata: ["agent_id", "approval_id", "allowed_by", "reason"],
  },
  "security.denied": {
    severity: "security",
    meaning: "An act was refused by policy.",
    metadata: ["code", "message", "act", "door", "count"],
  },
  "security.egress_refused": {
    severity: "security",
    meaning: "A run, a build or git wanted to connect to what it may not; once per host, port and run.",
    metadata: ["agent_id", "host", "port", "code", "count", "phase"],
  },
  "web.signed_in": {
    severity: "security",
    meaning: "Somebody signed in to the web page; a session begins.",
    metadata: ["session", "method", "expires_at"],
  },
  "web.signed_out": {
    severity: "info",
    meaning: "A session of the web page ended.",
    metadata: ["session", "reason"],
  },
  "web.token_rotated": {
    severity: "security",
    meaning: "The token of the web page was replaced; every session ended (outcome unknown: intent).",
    metadata: ["sessions_ended"],
  },
  "audit.erased": {
    severity: "security",
    meaning: "The operator erased the metadata of an earlier row.",
    metadata: ["reason"],
  },
} as const satisfies Record<string, EventDefinition>;

export type AuditEventType = keyof typeof AUDIT_EVENTS;

export const TRUST_BOUNDARY = "executes_third_party_code";

/** All of them, as somebody who filters by type needs them. */
export function eventTypes(): { event_type: AuditEventType; severity: Severity; meaning: string }[] {
  return Object.entries(AUDIT_EVENTS).map(([type, { severity, meaning }]) => ({
    event_type: type as AuditEventType,
    severity,
    meaning,
  }));
}

/**
 * The type of event that a filter names. Throws `usage.invalid` with the nearest known one: a filter that fits nothing
 * would otherwise look like a log in which nothing happened.
 */
export function eventType(text: string): AuditEventType {
  if (Object.hasOwn(AUDIT_EVENTS, text)) return text as AuditEventType;
  const near = nearest(text, Object.keys(AUDIT_EVENTS));
  const meant = near === undefined ? "" : `; did you mean "${near}"?`;
  throw new CoreError("usage.invalid", `there is no event type ${JSON.stringify(text.slice(0, 80))}${meant}`, {
    details: { known: Object.keys(AUDIT_EVENTS) },
    nextStep: "opensentience help audit list",
  });
}
