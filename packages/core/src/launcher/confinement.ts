/**
 * Whether a run gets a sandbox, and which. Fail closed: where none can be made nothing runs, unless the operator said
 * so for this very approval and for a time (`unsandboxed`), or for this Core (`sandbox.mode`).
 */
import { CoreError, type Enforcement } from "@opensentience/protocol";
import type { Runnable } from "../enablement/enablement.ts";
import type { SandboxMode } from "../host/config.ts";
import {
  runPolicy,
  UNCONFINED,
  type BoxLimits,
  type BoxPolicy,
  type CoreFolders,
  type SandboxProbe,
  type Unconfined,
} from "../sandbox/sandbox.ts";

export type SandboxSettings = {
  mode: SandboxMode;
  /** Refuse a run of which an approved permission is only advisory. */
  requireEnforced: boolean;
  core: CoreFolders;
};

export type Confinement = {
  policy: BoxPolicy | Unconfined;
  /** Who said that there is no sandbox; undefined where there is one. */
  unsandboxedBy?: "setting" | "approval";
};

/** Throws `sandbox.required`. */
export function decideConfinement(
  probe: SandboxProbe,
  mode: SandboxMode,
  runnable: Pick<Runnable, "isUnsandboxed" | "agent">,
): Confinement["unsandboxedBy"] {
  if (mode === "off") return "setting";
  if (probe.features !== undefined) return undefined;
  // SECURITY: a sandbox that silently is not there would make every approval a promise again; pinned by "where no
  // sandbox can be made nothing runs without a grant that says so".
  if (runnable.isUnsandboxed) return "approval";
  throw new CoreError("sandbox.required", `there is no sandbox here: ${probe.reason ?? "it cannot be made"}`, {
    details: { reason: probe.reason },
    nextStep: "opensentience doctor",
  });
}

/** Throws `sandbox.not_enforced`. */
export function refuseAdvisory(agentId: string, held: Record<string, Enforcement>): void {
  const advisory = Object.entries(held).flatMap(([permission, how]) => (how === "advisory" ? [permission] : []));
  if (advisory.length === 0) return;
  throw new CoreError(
    "sandbox.not_enforced",
    `sandbox.require_enforced is set, and here nothing holds ${advisory.slice(0, 3).join(", ")}`,
    { details: { permissions: advisory }, nextStep: `opensentience agents enable ${agentId}` },
  );
}

/** Throws what `runPolicy` throws. */
export async function confinementOf(
  unsandboxedBy: Confinement["unsandboxedBy"],
  run: {
    approvedPermissions: readonly string[];
    source: string;
    data: string;
    socketFolder: string;
    toolPath: string;
    program: string;
    limits: BoxLimits;
    core: CoreFolders;
  },
): Promise<Confinement> {
  if (unsandboxedBy !== undefined) return { policy: UNCONFINED, unsandboxedBy };
  return { policy: await runPolicy({ ...run, network: "none" }) };
}
