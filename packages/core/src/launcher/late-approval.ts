import { coversPermission, isMadeAtStart } from "@opensentience/protocol";
import type { RunPlan } from "./live-run.ts";

/** Whether that run began without the permission and cannot be given it before its end: nothing it began with covers it. */
export function isLacking(
  { permissions, unsandboxedBy }: Pick<RunPlan, "permissions" | "unsandboxedBy">,
  permission: string,
): boolean {
  if (permission in permissions || !isMadeAtStart(permission)) return false;
  // Without a sandbox nothing of files and network is closed to it.
  if (unsandboxedBy !== undefined && !permission.startsWith("env:")) return false;
  return !Object.keys(permissions).some((held) => coversPermission(held, permission));
}
