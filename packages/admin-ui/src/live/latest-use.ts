import type { MetricsSampleJson, PsItemJson } from "@opensentience/protocol";

/** The runs with what the newest sample says they use; without one, with what was read with them. */
export function latestUse(runs: readonly PsItemJson[], samples: readonly MetricsSampleJson[]): PsItemJson[] {
  const byRun = new Map(samples.at(-1)?.runs.map((sample) => [sample.run_id, sample]) ?? []);
  return runs.map((run) => {
    const sample = byRun.get(run.run_id);
    if (sample === undefined) return run;
    return { ...run, cpu_percent: sample.cpu_percent, memory_bytes: sample.memory_bytes };
  });
}
