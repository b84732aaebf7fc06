/** Acts of two parts, each with a record of its own: what is told when the second cannot be recorded after the first was done. */
import { CoreError } from "@opensentience/protocol";
import { unrecorded, type Act } from "../audit-log/audit-log.ts";
import type { Services } from "./domain.ts";

/**
 * Removes, and ends the approval: what is not there any more is not approved any more. Throws what `remove` throws, and
 * `audit.outcome_unrecorded`; each part is then recorded as soon as it can be.
 */
export async function removeWithApproval(
  { install, enablement, audit }: Services,
  agentId: string,
  options: { keepData: boolean },
  act: Act,
): Promise<"agent" | "data" | "entry"> {
  const revoke = (): Promise<void> => enablement.revokeIfActive(agentId, act);
  const revokeLater = (cause: unknown): void =>
    void audit.owed.add(`the end of the approval of ${agentId}`, revoke, cause);
  const removed = await install.remove(agentId, options, act).catch((error: unknown) => {
    if (isOf(error, "audit.outcome_unrecorded")) revokeLater(error);
    throw error;
  });
  // What was forgotten has no approval.
  if (removed === "entry") return removed;
  await revoke().catch((error: unknown) => {
    if (!isOf(error, "audit.unavailable")) throw error;
    revokeLater(error);
    throw unrecorded(`${agentId} is removed; that its approval ends with it is not on record yet`, { cause: error });
  });
  return removed;
}

/** Goes back, and takes up the approval that fits again. Throws what `rollback` throws, and `audit.outcome_unrecorded`. */
export async function rollBackWithApproval(
  { install, enablement }: Services,
  agentId: string,
  act: Act,
): Promise<void> {
  await install.rollback(agentId, act);
  await enablement.reinstate(agentId, act).catch((error: unknown) => {
    if (!isOf(error, "audit.unavailable")) throw error;
    const message = `${agentId} is rolled back; an approval that fits it again could not be taken up, so it may have to be enabled`;
    throw unrecorded(message, { cause: error });
  });
}

function isOf(error: unknown, code: CoreError["code"]): boolean {
  return error instanceof CoreError && error.code === code;
}
