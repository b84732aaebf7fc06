/** How many calls an agent gets: so many at once, so many in a window of time. Monotonic time throughout. */
import { CoreError } from "@opensentience/protocol";

export type Limits = {
  maxConcurrent: number;
  rate: { calls: number; perMs: number };
};

/** Requests of one connection that are not answered yet (docs/protocol.md, "Limits"). */
export const MAX_IN_FLIGHT = 256;

const UNITS = { second: 1_000, minute: 60_000, hour: 3_600_000 } as const;

/** The manifest asks, the operator's settings are the most it gets. */
export function limitsOf(
  asked: { max_concurrent_calls?: number | undefined; rate_limit?: string | number | undefined } | undefined,
  most: Limits,
): Limits {
  const [, calls, unit] = /^(\d+)\/(second|minute|hour)$/.exec(String(asked?.rate_limit ?? "")) ?? [];
  const rate = calls === undefined ? most.rate : { calls: Number(calls), perMs: UNITS[unit as keyof typeof UNITS] };
  return {
    maxConcurrent: Math.min(asked?.max_concurrent_calls ?? most.maxConcurrent, most.maxConcurrent),
    rate: rate.calls / rate.perMs < most.rate.calls / most.rate.perMs ? rate : most.rate,
  };
}

/** A token bucket beside a counter. */
export class CallGate {
  readonly #limits: Limits;
  #inFlight = 0;
  #tokens: number;
  #filledAtMs: number;

  constructor(limits: Limits, nowMs: number) {
    this.#limits = limits;
    this.#tokens = limits.rate.calls;
    this.#filledAtMs = nowMs;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Throws `limit.inflight`, `limit.concurrency`, `limit.rate`; the given function ends what was entered. */
  enter(nowMs: number): () => void {
    const { maxConcurrent, rate } = this.#limits;
    if (this.#inFlight >= MAX_IN_FLIGHT) throw new CoreError("limit.inflight", `${MAX_IN_FLIGHT} calls are under way`);
    if (this.#inFlight >= maxConcurrent) {
      throw new CoreError("limit.concurrency", `the agent takes ${maxConcurrent} calls at once`);
    }
    this.#tokens = Math.min(rate.calls, this.#tokens + ((nowMs - this.#filledAtMs) * rate.calls) / rate.perMs);
    this.#filledAtMs = nowMs;
    if (this.#tokens < 1) {
      const waitMs = Math.ceil(((1 - this.#tokens) * rate.perMs) / rate.calls);
      throw new CoreError("limit.rate", `the agent takes ${rate.calls} calls per ${rate.perMs / 1000} s`, {
        details: { retry_after_ms: waitMs },
      });
    }
    this.#tokens -= 1;
    this.#inFlight += 1;
    return () => (this.#inFlight -= 1);
  }
}
