/**
 * Who waits for a call and may go away. What an AbortSignal is elsewhere; a controller with a listener would be a good part
 * of what a call between agents costs.
 */
export class WaitingCaller {
  #isGone = false;
  #onGone: (() => void) | undefined;

  /** One that goes away when the signal is aborted. */
  static until(signal: AbortSignal): WaitingCaller {
    const caller = new WaitingCaller();
    if (signal.aborted) caller.leave();
    else signal.addEventListener("abort", () => caller.leave(), { once: true });
    return caller;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  leave(): void {
    this.#isGone = true;
    this.#onGone?.();
  }

  /** The one who is to hear of it; nobody, when undefined. */
  onGone(listener: (() => void) | undefined): void {
    this.#onGone = listener;
  }
}
