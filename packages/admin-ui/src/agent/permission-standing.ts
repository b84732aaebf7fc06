import type { ApprovalJson, DriftJson } from "@opensentience/protocol";

/** How a permission that is asked for now stands to the approval: one that it holds has no word of its own. */
export type PermissionStanding = "new" | "wider" | "not approved" | undefined;

/**
 * "new" and "wider" are said only of what the approved manifest did not ask for: what the operator left out then, and is
 * asked for as before, is "not approved", whatever else of the agent has moved.
 */
export function standingOf(
  permission: string,
  approval: Pick<ApprovalJson, "approved_permissions"> | null,
  drift: Pick<DriftJson, "diff"> | null,
): PermissionStanding {
  if (approval === null || approval.approved_permissions.includes(permission)) return undefined;
  const moved = drift?.diff.permissions;
  if (moved?.widened.some(({ to }) => to === permission) === true) return "wider";
  return moved?.added.includes(permission) === true ? "new" : "not approved";
}
