/** The restarts that are to come, one per agent at most: when, which one it is, and who waits for it. */
import type { PendingRestartJson } from "@opensentience/protocol";

type Pending = { runId: string; at: string; attempt: number; timer: NodeJS.Timeout; over: PromiseWithResolvers<void> };

export class PendingRestarts {
  readonly #limit: number;
  readonly #byAgent = new Map<string, Pending>();

  /** `limit`: after how many restarts Core gives up. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** `runId` is the run that ended; `start` is called when the time has come, the restart is not pending any more then. */
  schedule(agentId: string, due: { runId: string; delayMs: number; attempt: number }, start: () => void): void {
    this.cancel(agentId);
    const over = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      this.#byAgent.delete(agentId);
      start();
      over.resolve();
    }, due.delayMs);
    const at = new Date(Date.now() + due.delayMs).toISOString();
    this.#byAgent.set(agentId, { runId: due.runId, attempt: due.attempt, at, timer, over });
  }

  cancel(agentId: string): void {
    const pending = this.#byAgent.get(agentId);
    if (pending === undefined) return;
    clearTimeout(pending.timer);
    this.#byAgent.delete(agentId);
    pending.over.resolve();
  }

  has(agentId: string): boolean {
    return this.#byAgent.has(agentId);
  }

  agentIds(): string[] {
    return [...this.#byAgent.keys()];
  }

  /** The runs that ended and are followed by a restart. */
  runIds(): string[] {
    return [...this.#byAgent.values()].map(({ runId }) => runId);
  }

  /** Resolves when the agent's restart has begun or was called off; undefined when none is pending. */
  over(agentId: string): Promise<void> | undefined {
    return this.#byAgent.get(agentId)?.over.promise;
  }

  /** As the interfaces show it; with `runId`, only if it is that run that ended. */
  json(agentId: string, runId?: string): PendingRestartJson {
    const pending = this.#byAgent.get(agentId);
    if (pending === undefined || (runId !== undefined && pending.runId !== runId))
      return { restart_at: null, restart_attempt: null, restart_limit: null };
    return { restart_at: pending.at, restart_attempt: pending.attempt, restart_limit: this.#limit };
  }
}
