/**
 * The abort of one call. Its signal is made when somebody asks for it, which most handlers never do: an AbortController
 * with a listener is a good part of what a call costs.
 */
export class CallAbort {
  #controller: AbortController | undefined;
  #reason: Error | undefined;
  readonly #listeners = new Set<() => void>();

  /** Why, or undefined while it is not aborted. */
  get reason(): Error | undefined {
    return this.#reason;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  /** Idempotent: the first reason stays. */
  abort(reason: Error): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#controller?.abort(reason);
    for (const listener of this.#listeners) listener();
  }

  /** Not called for what is aborted already. Returns how to take it back. */
  onAbort(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
