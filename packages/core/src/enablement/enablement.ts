/**
 * Enablement: the operator's approvals, and the gate that every run passes.
 *
 * An approval grants some of the requested permissions to one exact state of an agent: manifest hash, requested
 * permissions hash, entrypoint, ref and commit. There is at most one active approval per agent (the database holds
 * that); enabling again supersedes it. Deny by default: nothing is approved that was not named, nothing can be named
 * that the manifest does not request, by exact string.
 *
 * `requireRunnable` reads the bytes on disk again before every run and refuses with the layer that moved. Approving
 * is what a human does: only an act of a human actor is accepted here, whatever the door.
 *
 * Revoking takes effect at once: listeners (the launcher) end what runs before `revoke` returns.
 */
import { canonicalPermissions, CoreError, newId, type ApprovalJson, type DriftJson } from "@opensentience/protocol";
import type { Act, AuditLog } from "../audit-log/audit-log.ts";
import { reinstallCommand, type AgentRecord, type Catalog } from "../catalog/catalog.ts";
import type { Storage } from "../storage/storage.ts";
import type { ManifestFile } from "../manifest/manifest.ts";
import { compare, filesMoved, notInstalled, readDiskState, type DiskState, type TreeFiles } from "./drift.ts";
import { parseExpiry } from "./expiry.ts";
import * as store from "./store.ts";

export type Runnable = {
  agent: AgentRecord;
  manifest: ManifestFile;
  approvalId: string;
  approvedPermissions: string[];
};
export type EnableRequest = {
  all?: boolean;
  approve?: string[];
  expires?: string;
  expectedManifestHash?: string;
  expectedCommit?: string;
};

export class Enablement {
  readonly #storage: Storage;
  readonly #audit: AuditLog;
  readonly #catalog: Catalog;
  readonly #treeFiles: (agentId: string) => TreeFiles;
  readonly #revokeListeners = new Set<(agentId: string, act: Act) => Promise<void>>();
  /** Drift already recorded, per approval: the state it was recorded for. */
  readonly #recordedDrift = new Map<string, string>();

  constructor(deps: {
    storage: Storage;
    audit: AuditLog;
    catalog: Catalog;
    treeFiles: (agentId: string) => TreeFiles;
  }) {
    this.#storage = deps.storage;
    this.#audit = deps.audit;
    this.#catalog = deps.catalog;
    this.#treeFiles = deps.treeFiles;
  }

  /** The newest approval of the agent, whatever its status. */
  newest(agentId: string): ApprovalJson | null {
    const row = store.newestApproval(this.#storage, agentId);
    return row === undefined ? null : toJson(row);
  }

  /** null without an active approval or when nothing moved. Throws `agent.not_found`. */
  async drift(agentId: string): Promise<DriftJson | null> {
    return (await this.inspect(agentId)).drift;
  }

  /**
   * What an approval given now would be for: the manifest as it is on disk (undefined when nothing is installed or it
   * cannot be read), and the drift. The catalog may be behind the disk until the next scan. Throws `agent.not_found`.
   */
  async inspect(agentId: string): Promise<{ manifest: ManifestFile | undefined; drift: DriftJson | null }> {
    const agent = this.#catalog.get(agentId);
    if (agent.installPath === null) return { manifest: undefined, drift: null };
    const disk = await readDiskState(agent, this.#treeFiles(agentId));
    const approval = store.activeApproval(this.#storage, agentId);
    const drift = approval === undefined ? undefined : compare(agent, approval, disk);
    return { manifest: disk.manifest, drift: drift ?? null };
  }

  /**
   * Approves. Throws install.not_installed, enablement.not_requested, enablement.choice_required,
   * enablement.invalid_expiry, enablement.drifted (files are not those of the commit, or the manifest changed while
   * it was being read) and manifest.*.
   */
  async approve(agentId: string, request: EnableRequest, act: Act): Promise<ApprovalJson> {
    const agent = this.#catalog.get(agentId);
    // SECURITY: an agent or a registry must not widen anything by itself; pinned by "only a human approves".
    if (act.actor.type !== "human")
      throw new CoreError("enablement.human_only", "only a human approves permissions", {
        nextStep: `opensentience agents enable ${agentId}`,
      });
    if (agent.installPath === null) throw notInstalled(agent);
    const disk = await readDiskState(agent, this.#treeFiles(agentId));
    const asked = request.all === true ? (disk.manifest?.manifest.permissions ?? []) : (request.approve ?? []);
    const causationId = this.#audit.record({
      type: "agent.enable_requested",
      act,
      subject: { type: "agent", id: agentId },
      outcome: "unknown",
      metadata: {
        permissions: asked,
        all: request.all === true,
        manifest_hash: disk.manifest?.manifestHash,
        requested_permissions_hash: disk.manifest?.requestedPermissionsHash,
      },
    });
    const manifest = approvable(agent, disk, request);
    const approved = chosenPermissions(agentId, manifest, request);
    const expiresAt = request.expires === undefined ? null : parseExpiry(request.expires, Date.now());
    return this.#save(agent, manifest, approved, expiresAt, { ...act, causationId });
  }

  /** Throws agent.not_found and enablement.not_enabled. Whatever runs is ended before this returns. */
  async revoke(agentId: string, act: Act): Promise<void> {
    this.#catalog.get(agentId);
    const active = store.activeApproval(this.#storage, agentId);
    if (active === undefined) throw notEnabled(agentId, "info");
    this.#end(active, "revoked", act);
    await Promise.all([...this.#revokeListeners].map((listener) => listener(agentId, act)));
  }

  /** For a removal: what is not there any more is not approved any more. */
  async revokeIfActive(agentId: string, act: Act): Promise<void> {
    if (store.activeApproval(this.#storage, agentId) !== undefined) await this.revoke(agentId, act);
  }

  /**
   * After a rollback: an approval that was only superseded and fits exactly what is on disk again needs no new
   * decision, so it takes the place of the active one. A revoked or expired one never comes back.
   */
  async reinstate(agentId: string, act: Act): Promise<void> {
    const agent = this.#catalog.get(agentId);
    const active = store.activeApproval(this.#storage, agentId);
    if (agent.installPath === null || active === undefined) return;
    const disk = await readDiskState(agent, this.#treeFiles(agentId));
    if (compare(agent, active, disk) === undefined) return;
    const now = new Date().toISOString();
    const fitting = store
      .supersededApprovals(this.#storage, agentId)
      .find((row) => (row.expires_at === null || row.expires_at > now) && compare(agent, row, disk) === undefined);
    if (fitting === undefined) return;
    this.#audit.transact((tx, record) => {
      store.endApproval(this.#storage, tx, agentId, "superseded", act.actor.id, now);
      store.reinstateApproval(this.#storage, tx, fitting.id);
      this.#catalog.refresh(tx, agentId);
      record({
        type: "agent.enabled",
        act,
        subject: { type: "agent", id: agentId },
        metadata: {
          approval_id: fitting.id,
          approved_permissions: JSON.parse(fitting.approved_permissions_json),
          manifest_hash: fitting.manifest_hash,
          commit: fitting.source_commit,
          ref: fitting.source_ref,
          expires_at: fitting.expires_at,
          superseded: true,
        },
      });
    });
  }

  /** Ends approvals whose time has come; called on a timer and before each run. */
  async expireDue(act: Act): Promise<void> {
    for (const row of store.expiredApprovals(this.#storage, new Date().toISOString())) {
      this.#end(row, "expired", act);
      await Promise.all([...this.#revokeListeners].map((listener) => listener(row.agent_id, act)));
    }
  }

  /**
   * The gate of every run, in this order: installed, built (the installed commit), enabled, not expired, no drift.
   * Throws the code of the first that fails. SECURITY: reads the disk again each time, so nothing that changed after
   * the approval can run; pinned by "refuses to run when the manifest changed after approval" and its siblings.
   */
  async requireRunnable(agentId: string, act: Act): Promise<Runnable> {
    const agent = this.#catalog.get(agentId);
    if (agent.installPath === null) throw notInstalled(agent);
    if (agent.buildStatus !== "built" || agent.buildCommit !== agent.commit) {
      throw new CoreError("build.not_built", `${agentId} has not been built at the installed commit`, {
        nextStep: `opensentience agents build ${agentId}`,
      });
    }
    await this.expireDue(act);
    const approval = store.activeApproval(this.#storage, agentId);
    if (approval === undefined) {
      if (store.newestApproval(this.#storage, agentId)?.status === "expired") {
        throw new CoreError("enablement.expired", `the approval of ${agentId} has expired`, {
          nextStep: `opensentience agents enable ${agentId}`,
        });
      }
      throw notEnabled(agentId, "enable");
    }
    const disk = await readDiskState(agent, this.#treeFiles(agentId));
    const drift = compare(agent, approval, disk);
    if (drift !== undefined || disk.manifest === undefined) {
      this.#recordDrift(agent, approval, drift, disk, act);
      throw drifted(agent, drift, disk);
    }
    return {
      agent,
      manifest: disk.manifest,
      approvalId: approval.id,
      approvedPermissions: JSON.parse(approval.approved_permissions_json) as string[],
    };
  }

  /** Looks for drift of one agent after a scan or a change on disk, and records it once per state. */
  async detectDrift(agentId: string, act: Act): Promise<void> {
    const agent = this.#catalog.find(agentId);
    const approval = store.activeApproval(this.#storage, agentId);
    if (agent === undefined || agent.installPath === null || approval === undefined) return;
    const disk = await readDiskState(agent, this.#treeFiles(agentId));
    const drift = compare(agent, approval, disk);
    if (drift !== undefined) this.#recordDrift(agent, approval, drift, disk, act);
  }

  onRevoked(listener: (agentId: string, act: Act) => Promise<void>): void {
    this.#revokeListeners.add(listener);
  }

  #save(agent: AgentRecord, file: ManifestFile, approved: string[], expiresAt: string | null, act: Act): ApprovalJson {
    const at = new Date().toISOString();
    const row = {
      id: newId("apr"),
      agent_id: agent.agentId,
      approved_permissions_json: JSON.stringify(approved),
      approved_at: at,
      approved_by: act.actor.id,
      requested_permissions_hash: file.requestedPermissionsHash,
      manifest_hash: file.manifestHash,
      manifest_json: JSON.stringify(file.manifest),
      entrypoint_json: JSON.stringify(file.manifest.entrypoint),
      source_ref: agent.ref,
      source_commit: agent.commit,
      unsandboxed: 0,
      expires_at: expiresAt,
    };
    this.#audit.transact((tx, record) => {
      const superseded = store.endApproval(this.#storage, tx, agent.agentId, "superseded", act.actor.id, at);
      store.insertApproval(this.#storage, tx, row);
      this.#catalog.refresh(tx, agent.agentId);
      record({
        type: "agent.enabled",
        act,
        subject: { type: "agent", id: agent.agentId },
        metadata: {
          approval_id: row.id,
          approved_permissions: approved,
          manifest_hash: row.manifest_hash,
          requested_permissions_hash: row.requested_permissions_hash,
          commit: row.source_commit,
          ref: row.source_ref,
          expires_at: expiresAt,
          superseded: superseded > 0,
        },
      });
    });
    return toJson({ ...row, status: "active", revoked_at: null, revoked_by: null });
  }

  #end(approval: store.ApprovalRow, status: "revoked" | "expired", act: Act): void {
    this.#audit.transact((tx, record) => {
      store.endApproval(this.#storage, tx, approval.agent_id, status, act.actor.id, new Date().toISOString());
      this.#catalog.refresh(tx, approval.agent_id);
      record({
        type: "agent.permissions_revoked",
        act,
        subject: { type: "agent", id: approval.agent_id },
        metadata: { approval_id: approval.id, reason: status },
      });
    });
  }

  #recordDrift(
    agent: AgentRecord,
    approval: store.ApprovalRow,
    drift: DriftJson | undefined,
    disk: DiskState,
    act: Act,
  ): void {
    const state = JSON.stringify([disk.manifest?.manifestHash, agent.commit, disk.files]);
    if (this.#recordedDrift.get(approval.id) === state) return;
    this.#audit.record({
      type: "agent.manifest_drift_detected",
      act,
      subject: { type: "agent", id: agent.agentId },
      outcome: "denied",
      metadata: {
        approval_id: approval.id,
        layers: drift?.layers,
        manifest_hash: disk.manifest?.manifestHash,
        commit: agent.commit,
      },
    });
    this.#recordedDrift.set(approval.id, state);
  }
}

function approvable(agent: AgentRecord, disk: DiskState, request: EnableRequest): ManifestFile {
  if (disk.manifest === undefined) {
    throw new CoreError(
      "manifest.invalid",
      `the manifest of ${agent.agentId} cannot be approved: ${disk.manifestProblem ?? "unreadable"}`,
      { nextStep: reinstallCommand(agent) },
    );
  }
  if (request.expectedManifestHash !== undefined && request.expectedManifestHash !== disk.manifest.manifestHash) {
    throw new CoreError("enablement.drifted", "the manifest changed while you were reviewing it; review it again", {
      nextStep: `opensentience agents info ${agent.agentId}`,
    });
  }
  // SECURITY: another commit may be installed while its predecessor is reviewed; pinned by "another commit that is
  // installed between the review and the approval is refused".
  if (request.expectedCommit !== undefined && request.expectedCommit !== agent.commit) {
    throw new CoreError(
      "enablement.drifted",
      "another commit was installed while you were reviewing; review it again",
      { nextStep: `opensentience agents info ${agent.agentId}` },
    );
  }
  if (disk.manifest.manifest.id !== agent.agentId) {
    throw new CoreError("install.id_mismatch", "the manifest on disk carries another agent id", {
      nextStep: reinstallCommand(agent),
    });
  }
  if (filesMoved(disk)) throw drifted(agent, undefined, disk);
  return disk.manifest;
}

function chosenPermissions(agentId: string, file: ManifestFile, request: EnableRequest): string[] {
  const requested = canonicalPermissions(file.manifest.permissions);
  if (request.all === true) return requested;
  if (request.approve === undefined) {
    throw new CoreError("enablement.choice_required", "name the permissions to approve, or approve all of them", {
      details: { requested_permissions: requested },
      nextStep: `opensentience agents enable ${agentId} --all`,
    });
  }
  const approved = canonicalPermissions(request.approve);
  const unknown = approved.filter((permission) => !requested.includes(permission));
  if (unknown.length > 0) {
    throw new CoreError(
      "enablement.not_requested",
      `not requested by the manifest: ${unknown.slice(0, 5).join(", ")}`,
      {
        details: { not_requested: unknown, requested_permissions: requested },
        nextStep: `opensentience agents info ${agentId}`,
      },
    );
  }
  return approved;
}

function drifted(agent: AgentRecord, drift: DriftJson | undefined, disk: DiskState): CoreError {
  const isTampered = filesMoved(disk);
  const layers = drift?.layers ?? ["commit"];
  return new CoreError(
    "enablement.drifted",
    `${agent.agentId} is no longer what was approved (${layers.join(", ")})${isTampered ? "; its files are not those of the installed commit" : ""}`,
    {
      details: { layers, diff: drift?.diff ?? { files: disk.files } },
      nextStep: isTampered ? reinstallCommand(agent) : `opensentience agents diff ${agent.agentId}`,
    },
  );
}

function notEnabled(agentId: string, nextVerb: "enable" | "info"): CoreError {
  return new CoreError("enablement.not_enabled", `${agentId} has no active approval`, {
    nextStep: `opensentience agents ${nextVerb} ${agentId}`,
  });
}

function toJson(row: store.ApprovalRow): ApprovalJson {
  return {
    approval_id: row.id,
    status: row.status as ApprovalJson["status"],
    approved_permissions: JSON.parse(row.approved_permissions_json) as string[],
    approved_at: row.approved_at,
    approved_by: row.approved_by,
    expires_at: row.expires_at,
  };
}
