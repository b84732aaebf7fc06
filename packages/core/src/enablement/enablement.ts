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
import { CoreError, newId, type ApprovalJson, type DriftJson } from "@opensentience/protocol";
import { SYSTEM_ACT, type Act, type AuditLog } from "../audit-log/audit-log.ts";
import { notInstalled, type AgentRecord, type Catalog } from "../catalog/catalog.ts";
import type { Storage } from "../storage/storage.ts";
import type { ManifestFile } from "../manifest/manifest.ts";
import { ApprovedNow, notEnabled } from "./approved-now.ts";
import { approvable, chosenPermissions, drifted, termsOf, type EnableRequest, type Terms } from "./choice.ts";
import { compare, readDiskState, repairOf, type DiskState, type TreeFiles, type TreeLimits } from "./drift.ts";
import { RecordedDrift } from "./recorded-drift.ts";
import * as store from "./store.ts";

export type Runnable = {
  agent: AgentRecord;
  manifest: ManifestFile;
  approvalId: string;
  approvedPermissions: string[];
  /** Where no sandbox can be made it may run without one. */
  isUnsandboxed: boolean;
};
export type Inspected = Pick<DiskState, "manifest" | "isManifestForeign"> & {
  drift: DriftJson | null;
  repairStep: string | null;
};
const CORE_LOST = { code: "core_lost", message: "Core ended before the approval was recorded" };

/** How the disk is read: by the stat cache where it helps (views, early refusals), or every byte (what is trusted). */
const CACHE = true;
const BYTES = false;

export type { EnableRequest } from "./choice.ts";

type RevokeListener = (agentId: string, act: Act, how: "revoked" | "expired") => Promise<void>;

export class Enablement {
  readonly #storage: Storage;
  readonly #audit: AuditLog;
  readonly #catalog: Catalog;
  readonly #treeFiles: (agentId: string) => TreeFiles;
  readonly #limits: TreeLimits;
  readonly #approved: ApprovedNow;
  readonly #revokeListeners = new Set<RevokeListener>();
  readonly #recordedDrift = new RecordedDrift();

  constructor(deps: {
    storage: Storage;
    audit: AuditLog;
    catalog: Catalog;
    treeFiles: (agentId: string) => TreeFiles;
    limits: TreeLimits;
  }) {
    this.#storage = deps.storage;
    this.#approved = new ApprovedNow(deps.storage);
    this.#audit = deps.audit;
    this.#catalog = deps.catalog;
    this.#treeFiles = deps.treeFiles;
    this.#limits = deps.limits;
  }

  /** The active approval of the agent, or else the one that ended last. */
  newest(agentId: string): ApprovalJson | null {
    const row = store.newestApproval(this.#storage, agentId);
    return row === undefined ? null : toJson(row);
  }

  /** What is approved for the agent at this moment. Throws `enablement.not_enabled` and `enablement.expired`. */
  approvedPermissions(agentId: string): readonly string[] {
    return this.#approved.permissionsOf(agentId);
  }

  /** `listener` is called right after any approval was given, ended or put back. */
  onChanged(listener: () => void): void {
    this.#approved.onChanged(listener);
  }

  /**
   * What an approval given now would be for: the manifest as it is on disk (undefined when nothing is installed or it
   * cannot be read), the drift, and the command that has to come first where files were changed, approved or not. The
   * catalog may be behind the disk until the next scan. Throws `agent.not_found`.
   */
  async inspect(agentId: string): Promise<Inspected> {
    const agent = this.#catalog.get(agentId);
    if (agent.installPath === null)
      return { manifest: undefined, isManifestForeign: false, drift: null, repairStep: null };
    const disk = await this.#disk(agent, CACHE);
    const approval = store.activeApproval(this.#storage, agentId);
    const drift = approval === undefined ? undefined : compare(agent, approval, disk);
    return {
      manifest: disk.manifest,
      isManifestForeign: disk.isManifestForeign,
      drift: drift ?? null,
      repairStep: repairOf(agent, disk),
    };
  }

  /**
   * Approves. Throws install.not_installed, enablement.not_requested, enablement.choice_required,
   * enablement.invalid_expiry, enablement.expiry_required, enablement.drifted (files are not those of the commit, or the manifest changed while
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
    const disk = await this.#disk(agent, BYTES);
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
    try {
      const manifest = approvable(agent, disk, request);
      const approved = chosenPermissions(agentId, manifest, request);
      const terms = termsOf(agentId, request);
      return this.#save(agent, manifest, approved, terms, { ...act, causationId });
    } catch (error) {
      // What policy refuses is recorded at the door it came by; a request that makes no sense ends here.
      if (error instanceof CoreError && error.kind !== "denied") {
        const write = (): void => this.#recordNotEnabled(agentId, error, { ...act, causationId });
        void this.#audit.owed.record(`the approval that ${agentId} did not get`, write);
      }
      throw error;
    }
  }

  /**
   * At Core's start: a request that an earlier Core left unanswered is closed, and what is removed is not approved any
   * more. Returns how many were closed.
   */
  reconcile(): number {
    const open = this.#audit.openIntents(["agent.enable_requested"]);
    for (const { subject_id: agentId, correlation_id: correlationId, event_id: causationId } of open)
      this.#recordNotEnabled(agentId, CORE_LOST, { ...SYSTEM_ACT, correlationId, causationId });
    const orphaned = store.orphanedApprovals(this.#storage);
    for (const approval of orphaned) this.#end(approval, "revoked", SYSTEM_ACT);
    return open.length + orphaned.length;
  }

  #recordNotEnabled(agentId: string, { code, message }: { code: string; message: string }, act: Act): void {
    this.#audit.record({
      type: "security.denied",
      act,
      subject: { type: "agent", id: agentId },
      outcome: "failed",
      severity: "warn",
      metadata: { code, message, act: "enable" },
    });
  }

  /** Throws agent.not_found and enablement.not_enabled. Whatever runs is ended before this returns. */
  async revoke(agentId: string, act: Act): Promise<void> {
    this.#catalog.get(agentId);
    const active = store.activeApproval(this.#storage, agentId);
    if (active === undefined) throw notEnabled(agentId, "info");
    this.#end(active, "revoked", act);
    await Promise.all([...this.#revokeListeners].map((listener) => listener(agentId, act, "revoked")));
  }

  /** For a removal: what is not there any more is not approved any more. */
  async revokeIfActive(agentId: string, act: Act): Promise<void> {
    if (store.activeApproval(this.#storage, agentId) !== undefined) await this.revoke(agentId, act);
  }

  /**
   * After a rollback: an approval that was only superseded and fits exactly what is on disk again needs no new
   * decision, so it takes the place of the active one. A revoked or expired one never comes back, and none from before it.
   * SECURITY: a rollback must not bring back what the operator withdrew; pinned by "a rollback brings back nothing from
   * before a revocation".
   */
  async reinstate(agentId: string, act: Act): Promise<void> {
    const agent = this.#catalog.get(agentId);
    const active = store.activeApproval(this.#storage, agentId);
    if (agent.installPath === null || active === undefined) return;
    const disk = await this.#disk(agent, BYTES);
    if (compare(agent, active, disk) === undefined) return;
    const now = new Date().toISOString();
    // Only the newest that fits: what it narrowed, or where it ended, an older one must not undo.
    const fitting = store
      .supersededApprovals(this.#storage, agentId)
      .find((row) => compare(agent, row, disk) === undefined);
    if (fitting === undefined || (fitting.expires_at !== null && fitting.expires_at <= now)) return;
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
    this.#approved.changed(agentId);
  }

  /** Ends approvals whose time has come; called on a timer and before each run. */
  async expireDue(act: Act): Promise<void> {
    for (const row of store.expiredApprovals(this.#storage, new Date().toISOString())) {
      this.#end(row, "expired", act);
      await Promise.all([...this.#revokeListeners].map((listener) => listener(row.agent_id, act, "expired")));
    }
  }

  /**
   * The gate of every run, in this order: installed, built (the installed commit), enabled, not expired, no drift.
   * Throws the code of the first that fails; `confirmUnchanged` has the last word. SECURITY: reads the disk again each time, so nothing that changed after
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
    const disk = await this.#disk(agent, CACHE);
    return {
      agent,
      manifest: this.#refuseDrift(agent, approval, disk, act),
      approvalId: approval.id,
      approvedPermissions: JSON.parse(approval.approved_permissions_json) as string[],
      isUnsandboxed: approval.unsandboxed === 1,
    };
  }

  /**
   * The last look before the agent's first instruction, when its process stands and waits: every byte is read again,
   * without the cache. Throws enablement.drifted and enablement.not_enabled.
   * SECURITY: files could be swapped while the process is being made, or the cache be made to hide a change; pinned by
   * "a forged cache does not hide a change".
   */
  async confirmUnchanged({ agent, approvalId }: Runnable, act: Act): Promise<void> {
    const disk = await this.#disk(agent, BYTES);
    const approval = store.activeApproval(this.#storage, agent.agentId);
    if (approval?.id !== approvalId) throw notEnabled(agent.agentId, "enable");
    this.#refuseDrift(agent, approval, disk, act);
  }

  /** Looks for drift of one agent after a scan or a change on disk, and records it once per state. */
  async detectDrift(agentId: string, act: Act): Promise<void> {
    const agent = this.#catalog.find(agentId);
    const approval = store.activeApproval(this.#storage, agentId);
    if (agent === undefined || agent.installPath === null || approval === undefined) return;
    const disk = await this.#disk(agent, CACHE);
    const drift = compare(agent, approval, disk);
    if (drift !== undefined) this.#recordDrift(agent, approval, drift, disk, act);
  }

  onRevoked(listener: RevokeListener): void {
    this.#revokeListeners.add(listener);
  }

  #disk(agent: AgentRecord, useCache: boolean): Promise<DiskState> {
    return readDiskState(agent, this.#treeFiles(agent.agentId), { ...this.#limits, useCache });
  }

  #refuseDrift(agent: AgentRecord, approval: store.ApprovalRow, disk: DiskState, act: Act): ManifestFile {
    const drift = compare(agent, approval, disk);
    if (drift === undefined && disk.manifest !== undefined) return disk.manifest;
    this.#recordDrift(agent, approval, drift, disk, act);
    throw drifted(agent, drift, disk);
  }

  #save(agent: AgentRecord, file: ManifestFile, approved: string[], terms: Terms, act: Act): ApprovalJson {
    const { expiresAt, unsandboxed } = terms;
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
      unsandboxed: unsandboxed ? 1 : 0,
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
          unsandboxed: unsandboxed || undefined,
          superseded: superseded > 0,
        },
      });
    });
    this.#approved.changed(agent.agentId);
    return toJson({ ...row, status: "active", revoked_at: null, revoked_by: null });
  }

  #end(approval: store.ApprovalRow, status: "revoked" | "expired", act: Act): void {
    this.#audit.transact((tx, record) => {
      store.endApproval(this.#storage, tx, approval.agent_id, status, act.actor.id, new Date().toISOString());
      store.closeSuperseded(this.#storage, tx, approval.agent_id, status);
      this.#catalog.refresh(tx, approval.agent_id);
      record({
        type: "agent.permissions_revoked",
        act,
        subject: { type: "agent", id: approval.agent_id },
        metadata: { approval_id: approval.id, reason: status },
      });
    });
    this.#approved.changed(approval.agent_id);
  }

  #recordDrift(
    agent: AgentRecord,
    approval: store.ApprovalRow,
    drift: DriftJson | undefined,
    disk: DiskState,
    act: Act,
  ): void {
    const state = JSON.stringify([disk.manifest?.manifestHash, agent.commit, disk.files]);
    if (this.#recordedDrift.has(agent.agentId, approval.id, state)) return;
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
    this.#recordedDrift.add(agent.agentId, approval.id, state);
  }
}

function toJson(row: store.ApprovalRow): ApprovalJson {
  return {
    approval_id: row.id,
    status: row.status as ApprovalJson["status"],
    approved_permissions: JSON.parse(row.approved_permissions_json) as string[],
    approved_at: row.approved_at,
    approved_by: row.approved_by,
    expires_at: row.expires_at,
    unsandboxed: row.unsandboxed === 1,
  };
}
