/** The samples of the last minutes, from Core's history and then live; charts and the overview draw from these. */
import type { MetricsSampleJson } from "@opensentience/protocol";
import { call } from "../api/client.ts";
import { connectionStore, onEvent } from "./events.ts";
import { Store } from "./store.ts";

/** Ten minutes at one sample every two seconds. */
const MAX_SAMPLES = 300;

export const metricsStore = new Store<readonly MetricsSampleJson[]>([]);

/** Begins to listen; the history fills in what was before. */
export function openMetrics(): void {
  onEvent("metrics", (sample) => add([sample]));
  connectionStore.watch(() => {
    if (connectionStore.get() === "live") void loadHistory();
  });
}

export function forgetMetrics(): void {
  metricsStore.set([]);
}

async function loadHistory(): Promise<void> {
  try {
    add((await call("metrics_history")).items);
  } catch {
    // A chart that begins empty is no fault worth a message: the live samples follow.
  }
}

function add(samples: readonly MetricsSampleJson[]): void {
  const byTime = new Map([...metricsStore.get(), ...samples].map((sample) => [sample.at, sample]));
  const sorted = [...byTime.values()].toSorted((a, b) => (a.at < b.at ? -1 : 1));
  metricsStore.set(sorted.slice(-MAX_SAMPLES));
}

export type Point = { at: number; value: number | null };

/** Calls that ended per second, between each two samples. A counter that went back belongs to another Core. */
export function callRates(samples: readonly MetricsSampleJson[]): Point[] {
  return samples.slice(1).map((sample, index) => {
    const before = samples[index] as MetricsSampleJson;
    const seconds = (Date.parse(sample.at) - Date.parse(before.at)) / 1_000;
    const ended = endedCalls(sample) - endedCalls(before);
    return { at: Date.parse(sample.at), value: seconds > 0 && ended >= 0 ? ended / seconds : null };
  });
}

function endedCalls({ calls: { ended } }: MetricsSampleJson): number {
  return ended.succeeded + ended.failed + ended.canceled;
}

export function points(
  samples: readonly MetricsSampleJson[],
  read: (sample: MetricsSampleJson) => number | null,
): Point[] {
  return samples.map((sample) => ({ at: Date.parse(sample.at), value: read(sample) }));
}

export function sumOfRuns(sample: MetricsSampleJson, key: "cpu_percent" | "memory_bytes"): number {
  return sample.runs.reduce((sum, run) => sum + (run[key] ?? 0), 0);
}

/** One run's values over time; null where a sample does not know the run. */
export function runPoints(
  samples: readonly MetricsSampleJson[],
  runId: string,
  key: "cpu_percent" | "memory_bytes",
): Point[] {
  return points(samples, (sample) => sample.runs.find((run) => run.run_id === runId)?.[key] ?? null);
}
