/** The closed lists of words that rows, messages and interfaces share. Free of imports, so anyone may load them. */

export const AGENT_STATUSES = [
  "local_dev",
  "local_uninstalled",
  "installed",
  "enabled",
  "running",
  "stopped",
  "error",
] as const;
export const BUILD_STATUSES = ["not_built", "building", "built", "failed"] as const;
export const RUN_STATUSES = ["starting", "running", "stopping", "stopped", "crashed"] as const;
export const APPROVAL_STATUSES = ["active", "revoked", "superseded", "expired"] as const;
export const DRIFT_LAYERS = ["manifest", "permissions", "entrypoint", "commit"] as const;
export const RESTART_POLICIES = ["never", "on-failure", "always"] as const;
export const SEVERITIES = ["info", "warn", "error", "security"] as const;
export const OUTCOMES = ["ok", "denied", "failed", "unknown"] as const;

export type RestartPolicy = (typeof RESTART_POLICIES)[number];
