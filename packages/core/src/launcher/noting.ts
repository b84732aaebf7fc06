import { CoreError } from "@opensentience/protocol";
import type { LiveRun } from "./live-run.ts";

/** Throws the same refusal, that says what became of the run too; where it has no next step, the agent's own is asked for. */
export function noting(run: LiveRun | undefined, note: string): (error: unknown) => never {
  return (error) => {
    if (run === undefined || !(error instanceof CoreError)) throw error;
    const { agentId } = run.plan;
    const { code, message, details, nextStep = `opensentience agents info ${agentId}` } = error;
    throw new CoreError(code, `${message}; ${agentId} ${note}`, { details, nextStep, cause: error });
  };
}
