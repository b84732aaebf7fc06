import type { PsItemJson } from "@opensentience/protocol";
import { callRates, metricsStore, type Point, points, sumOfRuns } from "../live/metrics.ts";
import { useStore } from "../live/store.ts";
import { SparkLine } from "../ui/spark-line.tsx";
import { bytes, milliseconds, percent } from "../ui/time.tsx";

/** What runs, and how much it does, at a glance. Each tile shows the newest value over the last ten minutes. */
export function OverviewStrip({ agents, runs }: { agents: number | null; runs: readonly PsItemJson[] }) {
  const samples = useStore(metricsStore);
  const newest = samples.at(-1);
  const rates = callRates(samples);
  // A sample without a call has no latency: the last one that has stands for the moment.
  const called = samples.findLast(({ calls }) => calls.p95_ms !== null)?.calls;
  const running = runs.filter(({ status }) => status === "running").length;
  const [memory = "", memoryUnit = ""] = bytes(newest === undefined ? null : sumOfRuns(newest, "memory_bytes")).split(
    " ",
  );
  const cpu = newest === undefined ? null : sumOfRuns(newest, "cpu_percent");
  return (
    <section className="strip" aria-label="Overview">
      <Tile
        name="Running"
        value={String(running)}
        unit={agents === null ? "" : `of ${agents.toLocaleString()}`}
        line={points(samples, (sample) => sample.runs.length)}
      />
      <Tile
        name="CPU in use"
        value={percent(cpu)}
        line={points(samples, (sample) => sumOfRuns(sample, "cpu_percent"))}
      />
      <Tile
        name="Memory in use"
        value={memory}
        unit={memoryUnit}
        line={points(samples, (sample) => sumOfRuns(sample, "memory_bytes"))}
      />
      <Tile name="Tool calls" value={rate(rates.at(-1)?.value ?? null)} unit="per second" line={rates} />
      <Tile
        name="Latency, 95 of 100"
        value={milliseconds(called?.p95_ms ?? null)}
        second={called === undefined ? "" : `median ${milliseconds(called.p50_ms)}`}
        line={points(samples, (sample) => sample.calls.p95_ms)}
      />
    </section>
  );
}

function rate(value: number | null): string {
  if (value === null) return "–";
  return value >= 10 ? String(Math.round(value)) : value.toFixed(1);
}

type TileProps = { name: string; value: string; unit?: string; second?: string; line: Point[] };

function Tile({ name, value, unit = "", second = "", line }: TileProps) {
  return (
    <div className="tile">
      <p className="tile-name">{name}</p>
      <p className="tile-value">
        {value} <span className="tile-unit">{unit}</span>
        <span className="tile-unit tile-second">{second}</span>
      </p>
      <SparkLine points={line} />
    </div>
  );
}
