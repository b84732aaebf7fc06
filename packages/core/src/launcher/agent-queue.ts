/** One thing at a time per agent: starts, stops and restarts of one agent never interleave; others do not wait. */
export class AgentQueue {
  readonly #tails = new Map<string, Promise<unknown>>();

  run<T>(agentId: string, act: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(agentId) ?? Promise.resolve();
    const result = before.then(act, act);
    const tail = result
      .catch(() => undefined)
      .then(() => {
        if (this.#tails.get(agentId) === tail) this.#tails.delete(agentId);
      });
    this.#tails.set(agentId, tail);
    return result;
  }

  /** Resolves when nothing of the agent is under way any more. */
  async settled(agentId: string): Promise<void> {
    while (this.#tails.has(agentId)) await this.#tails.get(agentId);
  }

  /** Resolves when nothing is under way any more. */
  async idle(): Promise<void> {
    while (this.#tails.size > 0) await Promise.all(this.#tails.values());
  }
}
