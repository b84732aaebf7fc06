/** What an approval is refused for: the state of the agent, and the choice of permissions. */
import { canonicalPermissions, CoreError, type DriftJson } from "@opensentience/protocol";
import { manifestRepairCommand, repairCommand, type AgentRecord } from "../catalog/catalog.ts";
import type { ManifestFile } from "../manifest/manifest.ts";
import { filesMoved, repairOf, type DiskState } from "./drift.ts";
import { parseExpiry } from "./expiry.ts";

/** `expected…`: what was reviewed. */
export type EnableRequest = {
  all?: boolean;
  approve?: string[];
  expires?: string;
  /** Where no sandbox can be made it may run without one, until the approval ends. */
  unsandboxed?: boolean;
  expectedManifestHash?: string;
  expectedCommit?: string;
};

/** Throws manifest.invalid, enablement.drifted, install.id_mismatch. */
export function approvable(agent: AgentRecord, disk: DiskState, request: EnableRequest): ManifestFile {
  if (disk.manifest === undefined) {
    throw new CoreError(
      "manifest.invalid",
      `the manifest of ${agent.agentId} cannot be approved: ${disk.manifestProblem ?? "unreadable"}`,
      { nextStep: manifestRepairCommand(agent) },
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
      nextStep: repairCommand(agent),
    });
  }
  if (filesMoved(disk)) throw drifted(agent, undefined, disk);
  return disk.manifest;
}

/** Throws enablement.choice_required and enablement.not_requested. */
export function chosenPermissions(agentId: string, file: ManifestFile, request: EnableRequest): string[] {
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

/** How long the approval holds, and whether it may do without a sandbox. */
export type Terms = { expiresAt: string | null; unsandboxed: boolean };

/** Throws enablement.invalid_expiry and enablement.expiry_required. */
export function termsOf(agentId: string, request: EnableRequest): Terms {
  const expiresAt = request.expires === undefined ? null : parseExpiry(request.expires, Date.now());
  const unsandboxed = request.unsandboxed === true;
  // SECURITY: what may run without a sandbox must not do so for ever because nobody looked again; pinned by "an
  // approval without a sandbox needs an end".
  if (unsandboxed && expiresAt === null)
    throw new CoreError("enablement.expiry_required", "an approval to run without a sandbox needs an end", {
      nextStep: `opensentience agents enable ${agentId} --all --unsandboxed --expires 1d`,
    });
  return { expiresAt, unsandboxed };
}

/** `enablement.drifted`, with what moved. */
export function drifted(agent: AgentRecord, drift: DriftJson | undefined, disk: DiskState): CoreError {
  const isTampered = filesMoved(disk);
  const layers = drift?.layers ?? ["commit"];
  // The review of `enable` begins with the difference, and takes one key when nothing more is asked for.
  const review = drift?.narrowing === true ? "enable" : "diff";
  const notItsCommit = "its files are not those of the installed commit";
  const why = disk.manifest === undefined ? "; its manifest cannot be read" : isTampered ? `; ${notItsCommit}` : "";
  return new CoreError(
    "enablement.drifted",
    drift === undefined && isTampered
      ? `${agent.agentId} cannot be approved: ${notItsCommit}`
      : `${agent.agentId} is no longer what was approved (${layers.join(", ")})${why}`,
    {
      details: { layers, diff: drift?.diff ?? { files: disk.files } },
      nextStep: repairOf(agent, disk) ?? `opensentience agents ${review} ${agent.agentId}`,
    },
  );
}
