/**
 * How many calls an agent gets: so many at once, and so many in a row before they have to come back. The rate is a bucket that
 * holds one unit's worth of calls, is full at first and fills evenly: within any time t at most `calls` + t * `calls` / `perMs`.
 * Monotonic time throughout.
 */
import { CoreError, MAX_IN_FLIGHT } from "@opensentience/protocol";

export type Limits = {
  maxConcurrent: number;
  rate: { calls: number; perMs: number };
};

/** As the manifest has them: `15s`, 3, `60/minute`; bare numbers are seconds, and calls per minute. */
type Asked =
  | {
      max_tool_call_duration?: string | number | undefined;
      max_concurrent_calls?: number | undefined;
      rate_limit?: string | number | undefined;
    }
  | undefined;

const UNITS = { second: 1_000, minute: 60_000, hour: 3_600_000 } as const;
const DURATIONS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;

/** The manifest asks, the operator's settings are the most it gets. */
export function limitsOf(asked: Asked, most: Limits): Limits {
  const rate = rateOf(asked?.rate_limit) ?? most.rate;
  return {
    maxConcurrent: Math.min(asked?.max_concurrent_calls ?? most.maxConcurrent, most.maxConcurrent),
    rate: rate.calls / rate.perMs < most.rate.calls / most.rate.perMs ? rate : most.rate,
  };
}

/** One call at least: the manifest of an agent that takes none would offer no tools. */
function rateOf(asked: string | number | undefined): Limits["rate"] | undefined {
  const [, calls, unit = "minute"] = /^(\d+(?:\.\d+)?)(?:\/(second|minute|hour))?$/.exec(String(asked ?? "")) ?? [];
  return calls === undefined
    ? undefined
    : { calls: Math.max(1, Number(calls)), perMs: UNITS[unit as keyof typeof UNITS] };
}

/** How long one call may take in all, in ms: what the manifest asks for, at most `mostMs`. */
export function totalMsOf(asked: Asked, mostMs: number): number {
  const [, amount, unit = "s"] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(String(asked?.max_tool_call_duration ?? "")) ?? [];
  if (amount === undefined) return mostMs;
  return Math.min(Math.max(1, Math.round(Number(amount) * DURATIONS[unit as keyof typeof DURATIONS])), mostMs);
}

/** A token bucket beside a counter. */
export class CallGate {
  readonly #limits: Limits;
  #inFlight = 0;
  /** Of each calling agent. */
  readonly #ofCallers = new Map<string, number>();
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

  /**
   * Throws `limit.inflight`, `limit.concurrency`, `limit.rate`; the given function ends what was entered. `callerAgentId`: of
   * a call that an agent makes.
   */
  enter(nowMs: number, callerAgentId?: string): () => void {
    this.#checkRoom(callerAgentId);
    this.count(nowMs);
    this.#inFlight += 1;
    if (callerAgentId === undefined) return () => (this.#inFlight -= 1);
    this.#ofCallers.set(callerAgentId, this.#of(callerAgentId) + 1);
    return () => {
      this.#inFlight -= 1;
      const left = this.#of(callerAgentId) - 1;
      if (left > 0) this.#ofCallers.set(callerAgentId, left);
      else this.#ofCallers.delete(callerAgentId);
    };
  }

  #of(callerAgentId: string): number {
    return this.#ofCallers.get(callerAgentId) ?? 0;
  }

  #checkRoom(callerAgentId: string | undefined): void {
    const { maxConcurrent } = this.#limits;
    if (this.#inFlight >= MAX_IN_FLIGHT) throw new CoreError("limit.inflight", `${MAX_IN_FLIGHT} calls are under way`);
    if (this.#inFlight >= maxConcurrent) {
      throw new CoreError("limit.concurrency", `the agent takes ${maxConcurrent} calls at once`, {
        details: { calls_at_once: maxConcurrent },
      });
    }
    // SECURITY: an agent that calls and calls must leave room for others. Pinned by "an agent gets half of another's calls".
    const share = Math.ceil(Math.min(maxConcurrent, MAX_IN_FLIGHT) / 2);
    if (callerAgentId !== undefined && this.#of(callerAgentId) >= share) {
      throw new CoreError("limit.concurrency", `the agent takes ${share} calls at once of one other agent`, {
        details: { calls_at_once: maxConcurrent, share_of_one_agent: share },
      });
    }
  }

  /** One call more. Throws `limit.rate`. */
  count(nowMs: number): void {
    const { rate } = this.#limits;
    this.#tokens = Math.min(rate.calls, this.#tokens + ((nowMs - this.#filledAtMs) * rate.calls) / rate.perMs);
    this.#filledAtMs = nowMs;
    if (this.#tokens < 1) {
      throw rateUsedUp(rate, Math.ceil(((1 - this.#tokens) * rate.perMs) / rate.calls));
    }
    this.#tokens -= 1;
  }
}

function rateUsedUp({ calls, perMs }: Limits["rate"], waitMs: number): CoreError {
  const unit = Object.entries(UNITS).find(([, ms]) => ms === perMs)?.[0] ?? `${perMs} ms`;
  const wait = waitMs < 120_000 ? `${Math.ceil(waitMs / 100) / 10} s` : `${Math.ceil(waitMs / 60_000)} minutes`;
  return new CoreError("limit.rate", `the agent's calls are used up (${calls} per ${unit}); again in ${wait}`, {
    details: { retry_after_ms: waitMs },
    nextStep: `wait ${wait}, then call again`,
  });
}
