/** What an approval takes away, in words. Pure. */
import type { AgentDetailJson } from "./control-shapes.ts";
import { safeText } from "./display.ts";
import { coversPermission } from "./permissions.ts";

type Approval = Pick<AgentDetailJson, "approval" | "pending_permissions">;

/** What the approval before held and this one does not cover, a line for each moment; a run keeps some of it until its end. */
export function noLongerApproved(before: Approval, now: Approval): string[] {
  if (before.approval?.status !== "active") return [];
  const held = now.approval?.approved_permissions ?? [];
  const lost = before.approval.approved_permissions.filter(
    (permission) => !held.some((one) => coversPermission(one, permission)),
  );
  const kept = lost.filter((permission) => now.pending_permissions?.removed.includes(permission));
  return [
    ...line(
      lost.filter((permission) => !kept.includes(permission)),
      "takes effect at once",
    ),
    ...line(kept, "takes effect at the next start"),
  ];
}

function line(permissions: readonly string[], when: string): string[] {
  if (permissions.length === 0) return [];
  const names = permissions.map((permission) => safeText(permission.replace(/[\t\r\n]+/g, " ")));
  return [`no longer approved: ${names.join(", ")}; ${when}`];
}
