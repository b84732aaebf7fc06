/** What an approval that was given while its agent runs will change at the next start. */
import {
  coversPermission,
  type Enforcement,
  isMadeAtStart,
  type PendingPermissionsJson,
} from "@opensentience/protocol";
import { isLacking } from "../launcher/launcher.ts";
import type { Services } from "./domain.ts";

/** Null where nothing runs, and where the run has what is approved; what a wider one covers is had. */
export function pendingPermissions({ launcher, enablement }: Services, agentId: string): PendingPermissionsJson | null {
  const begun = launcher.atStart(agentId);
  if (begun === undefined) return null;
  const approval = enablement.newest(agentId);
  // Without an approval Core is ending the run: there is no next start to wait for.
  if (approval?.status !== "active") return null;
  const now = approval.approved_permissions;
  // What nothing holds in this run was never closed to it: taking it away changes nothing at its restart either.
  const isHeld = (how: Enforcement): boolean => how !== "advisory" && how !== "unsupported";
  // Most stand in both as they are, and comparing all with all would take long.
  const same = new Set(now);
  const isApproved = (permission: string): boolean =>
    same.has(permission) || now.some((one) => coversPermission(one, permission));
  const removed = Object.entries(begun.permissions).flatMap(([permission, how]) =>
    isHeld(how) && isMadeAtStart(permission) && !isApproved(permission) ? [permission] : [],
  );
  const added = now.filter((permission) => isLacking(begun, permission));
  return removed.length + added.length === 0 ? null : { removed, added };
}
