/**
 * Idempotency keys: a call with a key that its caller used before gives the outcome of the first one, not a second effect.
 * Kept in memory for a while and up to a size, and gone with Core: contents of calls are never stored.
 */
import { CoreError } from "@opensentience/protocol";

/** How long an outcome is remembered, in ms. */
const KEPT_MS = 600_000;
const MAX_KEPT = 1_000;

type Entry<T> = { inputDigest: string; outcome: Promise<T>; atMs: number };

export class RecordedOutcomes<T> {
  readonly #entries = new Map<string, Entry<T>>();

  /**
   * The outcome recorded for `key`, or that of `act`. A key whose call was refused before it was sent (`act` rejects) is free
   * again. Throws `tool.invalid_input` when the key came with another input.
   */
  once(key: string, inputDigest: string, act: () => Promise<T>): Promise<T> {
    const nowMs = performance.now();
    this.#forget(nowMs);
    const known = this.#entries.get(key);
    if (known !== undefined) {
      if (known.inputDigest === inputDigest) return known.outcome;
      throw new CoreError("tool.invalid_input", "the idempotency key was used with another input");
    }
    const outcome = act();
    this.#entries.set(key, { inputDigest, outcome, atMs: nowMs });
    outcome.catch(() => this.#entries.delete(key));
    return outcome;
  }

  /** Oldest first, which is the order of a Map. */
  #forget(nowMs: number): void {
    for (const [key, { atMs }] of this.#entries) {
      if (this.#entries.size < MAX_KEPT && nowMs - atMs < KEPT_MS) return;
      this.#entries.delete(key);
    }
  }
}
