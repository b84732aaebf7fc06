import { createHash } from "node:crypto";

/** Some 100 bytes each. */
const MAX_STATES = 1_024;

/**
 * In which states an agent's drift was recorded already. A set and not the last one: a manifest that is switched to and
 * fro between two states would else be recorded, signed and synced at every switch.
 * SECURITY: an agent could flood the audit log with that; pinned by "two states that take turns are two rows".
 */
export class RecordedDrift {
  readonly #byAgent = new Map<string, { approvalId: string; states: Set<string> }>();
  readonly #maxStates: number;

  constructor(maxStates = MAX_STATES) {
    this.#maxStates = maxStates;
  }

  has(agentId: string, approvalId: string, state: string): boolean {
    const known = this.#byAgent.get(agentId);
    return known?.approvalId === approvalId && known.states.has(digest(state));
  }

  /** What is known of the agent's earlier approvals is forgotten; of too many states the oldest. */
  add(agentId: string, approvalId: string, state: string): void {
    let known = this.#byAgent.get(agentId);
    if (known?.approvalId !== approvalId) {
      known = { approvalId, states: new Set() };
      this.#byAgent.set(agentId, known);
    }
    known.states.add(digest(state));
    for (const oldest of known.states) {
      if (known.states.size <= this.#maxStates) break;
      known.states.delete(oldest);
    }
  }
}

function digest(state: string): string {
  return createHash("sha256").update(state).digest("base64");
}
