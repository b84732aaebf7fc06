/** SQL of approvals. Every write asks for the transaction it belongs to. */
import type { Storage, Tx } from "../storage/storage.ts";

export type ApprovalRow = {
  id: string;
  agent_id: string;
  approved_permissions_json: string;
  approved_at: string;
  approved_by: string;
  requested_permissions_hash: string;
  manifest_hash: string;
  manifest_json: string;
  entrypoint_json: string;
  source_ref: string | null;
  source_commit: string | null;
  unsandboxed: number;
  expires_at: string | null;
  status: string;
  revoked_at: string | null;
  revoked_by: string | null;
};

/**
 * The active approval of the agent, or else the one that ended last: one that a rollback put back ends after those that
 * were given later.
 */
export function newestApproval(storage: Storage, agentId: string): ApprovalRow | undefined {
  return storage.get(
    "SELECT * FROM permission_approvals WHERE agent_id = ? ORDER BY status = 'active' DESC, COALESCE(revoked_at, approved_at) DESC, id DESC LIMIT 1",
    agentId,
  );
}

export function activeApproval(storage: Storage, agentId: string): ApprovalRow | undefined {
  return storage.get("SELECT * FROM permission_approvals WHERE agent_id = ? AND status = 'active'", agentId);
}

/** Active ones of agents that are not installed. */
export function orphanedApprovals(storage: Storage): ApprovalRow[] {
  return storage.all(
    "SELECT a.* FROM permission_approvals AS a JOIN agents USING (agent_id) WHERE a.status = 'active' AND agents.install_path IS NULL",
  );
}

/** Newest first. */
export function supersededApprovals(storage: Storage, agentId: string): ApprovalRow[] {
  return storage.all(
    "SELECT * FROM permission_approvals WHERE agent_id = ? AND status = 'superseded' ORDER BY id DESC LIMIT 50",
    agentId,
  );
}

export function reinstateApproval(storage: Storage, tx: Tx, id: string): void {
  storage.run(
    tx,
    "UPDATE permission_approvals SET status = 'active', revoked_at = NULL, revoked_by = NULL WHERE id = ? AND status = 'superseded'",
    id,
  );
}

export function expiredApprovals(storage: Storage, now: string): ApprovalRow[] {
  return storage.all(
    "SELECT * FROM permission_approvals WHERE status = 'active' AND expires_at IS NOT NULL AND expires_at <= ?",
    now,
  );
}

export function insertApproval(
  storage: Storage,
  tx: Tx,
  row: Omit<ApprovalRow, "status" | "revoked_at" | "revoked_by">,
): void {
  storage.run(
    tx,
    `INSERT INTO permission_approvals (id, agent_id, approved_permissions_json, approved_at, approved_by, requested_permissions_hash, manifest_hash, manifest_json, entrypoint_json, source_ref, source_commit, unsandboxed, expires_at, status)
     VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?, 'active')`,
    row.id,
    row.agent_id,
    row.approved_permissions_json,
    row.approved_at,
    row.approved_by,
    row.requested_permissions_hash,
    row.manifest_hash,
    row.manifest_json,
    row.entrypoint_json,
    row.source_ref,
    row.source_commit,
    row.unsandboxed,
    row.expires_at,
  );
}

/** Ends the active approval, if any; returns how many rows that were (0 or 1). */
/** What was approved before a revocation or an expiry ends with it: a rollback finds nothing to put back. */
export function closeSuperseded(storage: Storage, tx: Tx, agentId: string, status: "revoked" | "expired"): void {
  storage.run(
    tx,
    "UPDATE permission_approvals SET status = ? WHERE agent_id = ? AND status = 'superseded'",
    status,
    agentId,
  );
}

export function endApproval(
  storage: Storage,
  tx: Tx,
  agentId: string,
  status: "revoked" | "superseded" | "expired",
  by: string,
  at: string,
): number {
  return storage.run(
    tx,
    "UPDATE permission_approvals SET status = ?, revoked_at = ?, revoked_by = ? WHERE agent_id = ? AND status = 'active'",
    status,
    at,
    by,
    agentId,
  );
}
