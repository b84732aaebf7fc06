/**
 * What runs use of the machine and how calls go, as samples of the last quarter of an hour: for charts that do not begin
 * empty. Every two seconds while somebody looks, more seldom while runs are live and nobody does, never when nothing runs.
 */
import type { MetricsSampleJson, PsItemJson } from "@opensentience/protocol";
import type { CallCounts } from "../runtime/runtime.ts";
import type { Services } from "./domain.ts";

const UNWATCHED_MS = 10_000;
const KEEP_MS = 15 * 60_000;
const MAX_SAMPLES = 450;
/** Of one sample; more runs than that are not drawn. */
const MAX_RUNS = 100;

export class RunMetrics {
  readonly #services: Services;
  readonly #onFault: (what: string, error: unknown) => void;
  #samples: { takenMs: number; sample: MetricsSampleJson }[] = [];
  /** Run id → what of it changes without a record. */
  #states = new Map<string, string>();
  #callsSeen = 0;
  readonly #timer: NodeJS.Timeout;

  constructor(services: Services, onFault: (what: string, error: unknown) => void) {
    this.#services = services;
    this.#onFault = onFault;
    this.#timer = setInterval(() => this.#takeUnwatched(), UNWATCHED_MS).unref();
  }

  /** `changed` are runs of which something that is no row of the audit log is not as it was. */
  take(): { sample: MetricsSampleJson; changed: string[] } {
    const { launcher, runtime } = this.#services;
    const runs = launcher.list({ liveOnly: true, limit: MAX_RUNS }).items;
    const sample: MetricsSampleJson = {
      at: new Date().toISOString(),
      runs: runs.filter((run) => run.cpu_percent !== null).map(usageOf),
      calls: this.#calls(runtime.router.counts),
    };
    const nowMs = performance.now();
    this.#samples = this.#samples.filter(({ takenMs }) => nowMs - takenMs < KEEP_MS).slice(1 - MAX_SAMPLES);
    this.#samples.push({ takenMs: nowMs, sample });
    return { sample, changed: this.#changed(runs) };
  }

  history(): MetricsSampleJson[] {
    const nowMs = performance.now();
    return this.#samples.filter(({ takenMs }) => nowMs - takenMs < KEEP_MS).map(({ sample }) => sample);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #takeUnwatched(): void {
    const last = this.#samples.at(-1)?.takenMs ?? Number.NEGATIVE_INFINITY;
    if (this.#services.launcher.liveCount() === 0 || performance.now() - last < UNWATCHED_MS / 2) return;
    try {
      this.take();
    } catch (error) {
      this.#onFault("a sample of the runs could not be taken", error);
    }
  }

  #changed(runs: readonly PsItemJson[]): string[] {
    const now = new Map(
      runs.map((run) => [run.run_id, `${run.logs_degraded} ${run.restart_at} ${run.leaked_pids.length}`]),
    );
    const changed = [...now].filter(([runId, state]) => (this.#states.get(runId) ?? state) !== state);
    this.#states = now;
    return changed.map(([runId]) => runId);
  }

  #calls(counts: CallCounts): MetricsSampleJson["calls"] {
    const newest = counts.newestDurations(counts.total - this.#callsSeen).toSorted((a, b) => a - b);
    this.#callsSeen = counts.total;
    return {
      in_flight: counts.inFlight,
      ended: { ...counts.ended },
      refused: counts.refused,
      p50_ms: percentile(newest, 0.5),
      p95_ms: percentile(newest, 0.95),
    };
  }
}

function usageOf(run: PsItemJson): MetricsSampleJson["runs"][number] {
  const { run_id, agent_id, cpu_percent, memory_bytes, uptime_ms } = run;
  return { run_id, agent_id, cpu_percent, memory_bytes, uptime_ms };
}

function percentile(sorted: readonly number[], part: number): number | null {
  const value = sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)];
  return value === undefined ? null : Math.round(value * 100) / 100;
}
