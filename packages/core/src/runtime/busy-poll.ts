/**
 * Keeps the event loop turning for a moment after a call was sent to an agent, and after its result.
 *
 * A processor that sleeps takes 30 to 80 µs to read what comes, and as long again until its caches are warm: more than a
 * whole call costs Core. Most tools answer at once, and who calls one calls another; so Core looks at its sockets again and
 * again for AWAKE_MS, and everything else has its turn as always. Linux does it for sockets (`net.core.busy_poll`) and for
 * guests (`guest_halt_poll_ns`). Where no result came in that time it was in vain: the next call, then the next two, four, …
 * up to MOST_SKIPPED go without. So a slow tool costs next to nothing.
 *
 * SECURITY: what an agent sends by itself keeps nobody awake, only calls that were let through, of which there are
 * `runtime.calls_per_minute` at most. Pinned by "only a call keeps it awake".
 */
import { availableParallelism } from "node:os";

/** An agent that has been asleep answers within it; in ms. */
const AWAKE_MS = 0.3;
const MOST_SKIPPED = 64;

export class BusyPoll {
  #untilMs = 0;
  #isAwake = false;
  #hasHelped = false;
  /** After the next one in vain so many are left out; so many are still to be left out. */
  #backoff = 1;
  #skipped = 0;
  readonly #isUseful: boolean;

  /** With one processor it would be the agent that has to wait. */
  constructor(processors: number = availableParallelism()) {
    this.#isUseful = processors > 1;
  }

  get isAwake(): boolean {
    return this.#isAwake;
  }

  /** A call was sent to an agent. */
  called(): void {
    if (this.#isAwake) return this.#extend();
    if (!this.#isUseful) return;
    if (this.#skipped > 0) {
      this.#skipped -= 1;
      return;
    }
    this.#isAwake = true;
    this.#hasHelped = false;
    this.#extend();
    setImmediate(this.#turn);
  }

  /** The result of a call came. */
  answered(): void {
    if (!this.#isAwake) return;
    this.#hasHelped = true;
    this.#extend();
  }

  #extend(): void {
    this.#untilMs = performance.now() + AWAKE_MS;
  }

  readonly #turn = (): void => {
    if (performance.now() < this.#untilMs) {
      setImmediate(this.#turn);
      return;
    }
    this.#isAwake = false;
    this.#skipped = this.#hasHelped ? 0 : this.#backoff;
    this.#backoff = this.#hasHelped ? 1 : Math.min(this.#backoff * 2, MOST_SKIPPED);
  };
}
