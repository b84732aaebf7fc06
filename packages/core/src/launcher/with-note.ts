import { CoreError } from "@opensentience/protocol";

/** The same refusal, that says what became of the agent too; where it has no next step, the agent's own is asked for. */
export function withNote(error: unknown, agentId: string, note: string): unknown {
  if (!(error instanceof CoreError)) return error;
  const { code, message, details, nextStep = `opensentience agents info ${agentId}` } = error;
  return new CoreError(code, `${message}; ${agentId} ${note}`, { details, nextStep, cause: error });
}
