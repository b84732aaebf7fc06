/**
 * The threads (correlation ids) of the calls that one agent was handed: what it asks of others for such a call belongs there.
 *
 * SECURITY: any other id is the agent's own text, which would go into the log as it is, where no redaction and no erasure
 * reaches it, or would hang its calls into a thread it has nothing to do with. Pinned by "an agent's own correlation id does
 * not reach the log".
 */

/** The newest; who asks for an older one begins a thread of its own. */
const MAX_THREADS = 1_000;

export class Threads {
  readonly #ids = new Set<string>();

  handed(id: string): void {
    this.#ids.delete(id);
    this.#ids.add(id);
    if (this.#ids.size > MAX_THREADS) for (const oldest of this.#ids) return void this.#ids.delete(oldest);
  }

  /** The id, if the agent was handed it; null for every other. */
  known(id: string | undefined): string | null {
    return id !== undefined && this.#ids.has(id) ? id : null;
  }
}
