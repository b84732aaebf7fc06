/** What an approval that was given while its agent runs will change at the next start. */
import { isMadeAtStart, type PendingPermissionsJson } from "@opensentience/protocol";
import type { Services } from "./domain.ts";

/** Null where nothing runs, and where the run has exactly what is approved. */
export function pendingPermissions({ launcher, enablement }: Services, agentId: string): PendingPermissionsJson | null {
  const atStart = launcher.atStart(agentId)?.permissions;
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
