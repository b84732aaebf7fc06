/** What the router counts of calls, for the metrics: no ids, no content. */
import type { CallAnswer } from "./tool-router.ts";

/** Upper bounds of the buckets of durations, in ms. */
export const DURATION_BUCKETS_MS = [1, 5, 25, 100, 500, 2_500, 10_000, 60_000] as const;

/** Of the newest calls, for percentiles. */
const NEWEST = 1_024;

export class CallCounts {
  /** Outcome → calls that were sent and had it. */
  readonly ended: Record<CallAnswer["status"], number> = { succeeded: 0, failed: 0, canceled: 0 };
  /** Calls that were refused before anything was sent. */
  refused = 0;
  /** Stream chunks and results that belonged to no call. */
  dropped = 0;
  inFlight = 0;
  readonly durations: number[] = DURATION_BUCKETS_MS.map(() => 0);
  durationSumMs = 0;
  readonly #newest = new Float64Array(NEWEST);
  /** Calls that have ended. */
  total = 0;

  /** Of the newest `count` calls, in ms; of fewer when there were fewer, or more than are kept. */
  newestDurations(count: number): number[] {
    const kept = Math.min(count, this.total, NEWEST);
    return Array.from({ length: kept }, (_, back) => this.#newest[(this.total - 1 - back) % NEWEST] ?? 0);
  }

  end(answer: CallAnswer): void {
    this.#newest[this.total % NEWEST] = answer.durationMs;
    this.total += 1;
    this.ended[answer.status] += 1;
    this.durationSumMs += answer.durationMs;
    for (const [index, bound] of DURATION_BUCKETS_MS.entries()) {
      if (answer.durationMs <= bound) this.durations[index] = (this.durations[index] ?? 0) + 1;
    }
  }
}
