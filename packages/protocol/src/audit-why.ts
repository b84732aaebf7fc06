/** Why an event ended as it did, in one word or sentence. */
import type { AuditEventJson } from "./control-shapes.ts";

/** Nothing of a run ended here, which the type of the event alone would let one think. */
const CALLED_OFF = "restart called off";

/** The code of a refusal or failure, else the reason that the event gives; null where it gives none. Not made safe to show. */
export function auditWhy({ metadata }: Pick<AuditEventJson, "metadata">): string | null {
  const phase = metadata?.["phase"] === CALLED_OFF ? CALLED_OFF : undefined;
  const why = metadata?.["code"] ?? metadata?.["reason"] ?? phase;
  return typeof why === "string" && why !== "" ? why : null;
}
