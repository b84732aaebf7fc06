/** What an approval that was given while its agent runs will change at the next start. */
import { parsePermission, type PendingPermissionsJson } from "@opensentience/protocol";
import type { Services } from "./domain.ts";

/**
 * The box, its way out and the environment are made at the start of a run and stay what they are. Tools are asked for
 * with every call, so what changes of those holds at once and is never pending.
 */
const MADE_AT_START = new Set(["filesystem", "network", "env"]);

/** Null where nothing runs, and where the run has exactly what is approved. */
export function pendingPermissions({ launcher, enablement }: Services, agentId: string): PendingPermissionsJson | null {
  const atStart = launcher.permissionsAtStart(agentId);
  if (atStart === undefined) return null;
  const approval = enablement.newest(agentId);
  // Without an approval Core is ending the run: there is no next start to wait for.
  if (approval?.status !== "active") return null;
  const now = new Set(approval.approved_permissions);
  // What nothing holds in this run was never closed to it: taking it away changes nothing at its restart either.
  const removed = Object.entries(atStart).flatMap(([permission, how]) =>
    !now.has(permission) && isMadeAtStart(permission) && how !== "advisory" && how !== "unsupported"
      ? [permission]
      : [],
  );
  const added = [...now].filter((permission) => !(permission in atStart) && isMadeAtStart(permission));
  return removed.length + added.length === 0 ? null : { removed, added };
}

function isMadeAtStart(permission: string): boolean {
  return MADE_AT_START.has(parsePermission(permission)?.domain ?? "");
}
