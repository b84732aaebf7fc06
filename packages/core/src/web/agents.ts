/** An agent as the interfaces show it: what it may do, how that is held here, what moved, and the one next step. */
import { existsSync } from "node:fs";
import {
  describePermission,
  enforcementOf,
  parseManifest,
  parsePermission,
  type AgentDetailJson,
  type AgentDiffJson,
  type AgentJson,
  type ApprovalJson,
  type Manifest,
  type ManifestTextJson,
  type PermissionJson,
  type RunJson,
  type UpdatedAgentJson,
} from "@opensentience/protocol";
import { SHORTEST_SECRET_BYTES } from "../audit-log/audit-log.ts";
import { isPinned, type AgentRecord } from "../catalog/catalog.ts";
import { readManifest, readManifestText } from "../manifest/manifest.ts";
import { egressPatterns } from "../sandbox/sandbox.ts";
import type { Domain, Services } from "./domain.ts";
import { nextStep, UNSEEN } from "./next-step.ts";
import { pendingPermissions } from "./pending-permissions.ts";

function agentSummary(domain: Domain, services: Services, agent: AgentRecord): AgentJson {
  const pending = pendingPermissions(services, agent.agentId);
  return {
    agent_id: agent.agentId,
    name: agent.name,
    version: agent.version,
    description: agent.description,
    status: agent.status,
    build_status: agent.buildStatus,
    build_last_at: agent.buildLastAt,
    last_error: agent.lastError,
    source_git_url: agent.gitUrl,
    source_ref: agent.ref,
    source_commit: agent.commit,
    manifest_path: agent.manifestPath,
    manifest_hash: agent.manifestHash,
    install_path: agent.installPath,
    discovered_path: agent.discoveredPath,
    missing_since: agent.missingSince,
    keywords: agent.keywords,
    restart_policy: agent.restartPolicy ?? domain.defaultRestartPolicy,
    ...services.launcher.pendingRestart(agent.agentId),
    pending_permissions: pending,
    next_step: nextStep(domain, services, agent, UNSEEN, pending !== null),
  };
}

/** In a list. The manifest of a folder run in place is read now: its author changes it without an act of Core. */
export async function listedAgent(domain: Domain, services: Services, agent: AgentRecord): Promise<AgentJson> {
  const isInPlace = agent.installPath !== null && agent.commit === null;
  const file = isInPlace ? await readManifest(agent.installPath ?? "").catch(() => undefined) : undefined;
  return agentSummary(domain, services, asOnDisk(agent, file));
}

/** After an update; `before` is the agent as it was. */
export async function updatedAgent(domain: Domain, services: Services, before: AgentRecord): Promise<UpdatedAgentJson> {
  const agent = services.catalog.get(before.agentId);
  const isMoved = before.commit !== null && before.commit !== agent.commit;
  return {
    ...(await agentDetail(domain, services, before.agentId)),
    moved_from: isMoved ? { commit: before.commit ?? "", version: before.version } : null,
    pinned: isPinned(agent),
  };
}

/** What moved, and what stands beside it; its next step is what follows the look at it. Throws `agent.not_found`. */
export async function agentDiff(domain: Domain, services: Services, agentId: string): Promise<AgentDiffJson> {
  const { drift, approval, source_commit, manifest_changed, repair_step, next_step } = await agentDetail(
    domain,
    services,
    agentId,
  );
  const next = drift?.next_step ?? next_step;
  return { drift, approval, source_commit, manifest_changed, repair_step, next_step: next };
}

/** Throws `agent.not_found`. */
export async function agentDetail(domain: Domain, services: Services, agentId: string): Promise<AgentDetailJson> {
  const { manifest: file, isManifestForeign, drift, repairStep } = await services.enablement.inspect(agentId);
  const agent = asOnDisk(services.catalog.get(agentId), file);
  const approval = services.enablement.newest(agentId);
  const run = services.launcher.find(agentId);
  const summary = agentSummary(domain, services, agent);
  const { manifest } = agent;
  return {
    ...summary,
    next_step:
      summary.restart_at === null
        ? nextStep(domain, services, agent, { drift, repairStep }, summary.pending_permissions !== null)
        : `opensentience agents logs ${agentId} -f`,
    entrypoint: {
      type: manifest.entrypoint.type,
      value: manifest.entrypoint.value,
      args: manifest.entrypoint.args ?? [],
    },
    requested_permissions: manifest.permissions.map((permission) => permissionView(domain, permission, approval)),
    capabilities: manifest.capabilities,
    approval,
    drift,
    run: run as RunJson | null,
    last_error_at: lastErrorAt(services, agent),
    ...foldersLeft(domain, agentId),
    repair_step: repairStep,
    held: heldText(domain.held, approval),
    manifest_changed: isManifestForeign,
    unknown_fields: unknownFields(manifest),
  };
}

/** Besides its source: they outlast a removal, each in its own way. */
function foldersLeft(
  { agentFolders }: Domain,
  agentId: string,
): { data_path: string | null; logs_path: string | null } {
  const { data, logs } = agentFolders(agentId);
  const ifThere = (path: string): string | null => (existsSync(path) ? path : null);
  return { data_path: ifThere(data), logs_path: ifThere(logs) };
}

/** A build that failed and a run that crashed each set the last error, and a build or a run that went well clears it. */
function lastErrorAt({ launcher }: Services, agent: AgentRecord): string | null {
  if (agent.lastError === null) return null;
  return agent.buildStatus === "failed" ? agent.buildLastAt : launcher.lastCrashAt(agent.agentId);
}

/** A run that has no way out has no proxy either: whoever looks for a refused host learns here why none is told. */
function heldText(held: Domain["held"], approval: ApprovalJson | null): string {
  const approved = approval?.status === "active" ? approval.approved_permissions : [];
  if (held.isolation !== "sandbox" || egressPatterns(approved).length > 0) return held.sentence;
  return `${held.sentence} No network:egress is approved for this agent: it reaches no host and finds no name, and what it tries is not on record.`;
}

/** What is reviewed and approved is what is installed now; the catalog learns of a change with the next scan only. */
function asOnDisk(agent: AgentRecord, file: { manifest: Manifest; manifestHash: string } | undefined): AgentRecord {
  if (file === undefined || file.manifest.id !== agent.agentId) return agent;
  const { manifest, manifestHash } = file;
  const { name, version, description, keywords = [] } = manifest;
  return { ...agent, name, version, description, keywords, manifest, manifestHash };
}

function permissionView(domain: Domain, permission: string, approval: ApprovalJson | null): PermissionJson {
  const { meaning, risk } = describePermission(permission);
  const parsed = parsePermission(permission);
  const value =
    parsed?.domain === "env" && parsed.pattern !== undefined ? domain.environmentValue(parsed.pattern) : undefined;
  const isShort = value !== undefined && Buffer.byteLength(value) < SHORTEST_SECRET_BYTES;
  const isUnset = parsed?.domain === "env" && parsed.action === "read" && value === undefined;
  return {
    permission,
    meaning,
    risk: joined([
      risk,
      isShort ? "Its value is too short to be kept out of logs." : null,
      isUnset ? "It is not set in Core's environment: approved, it keeps the agent from running." : null,
    ]),
    enforcement: enforcementOf(permission, domain.held),
    approved: approval?.status === "active" && approval.approved_permissions.includes(permission),
  };
}

/** Sentences each. */
function joined(texts: (string | null)[]): string | null {
  const there = texts.filter((text) => text !== null);
  return there.length === 0 ? null : there.join(" ");
}

/** Kept in the stored manifest as they came; shown, never used. */
function unknownFields(manifest: AgentRecord["manifest"]): string[] {
  const parsed = parseManifest(manifest);
  return parsed.ok ? parsed.unknownFields : [];
}

/** The file that the next scan, review or start would read. Throws `agent.not_found` and `manifest.*`. */
export async function manifestText({ catalog }: Services, agentId: string): Promise<ManifestTextJson> {
  const { installPath, discoveredPath } = catalog.get(agentId);
  const { path, text, manifestHash } = await readManifestText(installPath ?? discoveredPath ?? "", {
    isReal: installPath === null,
  });
  return { path, text, sha256: manifestHash };
}
