/** A build plan as the audit log keeps it: shortened for reading, with a digest of all of it. */
import { hash } from "node:crypto";
import { shortened, type Redactor } from "../audit-log/audit-log.ts";
import type { BuildStep } from "./plan.ts";

/** Room for all steps together in the record of a build. */
const SUMMARY_CHARACTERS = 4_000;

/** The arguments of each step stand as JSON, so that no two commands look alike. */
export function recordedPlan(steps: BuildStep[], redactor: Redactor): { plan_digest: string; steps: string[] } {
  const each = Math.max(100, Math.floor(SUMMARY_CHARACTERS / Math.max(1, steps.length)));
  return {
    plan_digest: hash("sha256", JSON.stringify(steps), "hex"),
    steps: steps.map(({ phase, argv }) => shortened(`${phase}: ${JSON.stringify(redactor.arguments(argv))}`, each)),
  };
}
