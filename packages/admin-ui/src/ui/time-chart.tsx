import { type PointerEvent, useState } from "react";
import type { Point } from "../live/metrics.ts";
import { paths } from "./spark-line.tsx";
import { clockTime } from "./time.tsx";

const WIDTH = 480;
const HEIGHT = 96;
/** The highest value stays away from the top, so that a constant one reads as a line. */
const HEADROOM = 1.3;

type Props = { name: string; points: readonly Point[]; format: (value: number | null) => string };

/** One value over the last minutes, from zero. Under the pointer it reads out one sample; without, the newest. */
export function TimeChart({ name, points, format }: Props) {
  const [hovered, setHovered] = useState<number>();
  const values = points.flatMap(({ value }) => (value === null ? [] : [value]));
  const highest = Math.max(0, ...values);
  const { line, area } = paths(points, WIDTH, HEIGHT, highest * HEADROOM || 1);
  const first = points[0]?.at ?? 0;
  const last = points.at(-1)?.at ?? 0;
  const chosen = hovered === undefined ? points.findLast(({ value }) => value !== null) : points[hovered];
  const move = (event: PointerEvent<SVGSVGElement>): void => {
    const box = event.currentTarget.getBoundingClientRect();
    const at = first + ((event.clientX - box.left) / box.width) * (last - first);
    setHovered(nearest(points, at));
  };
  const summary = `${name}: now ${format(values.at(-1) ?? null)}, highest ${format(values.length === 0 ? null : highest)}`;
  return (
    <figure className="chart">
      <figcaption className="chart-head">
        <span className="chart-name">{name}</span>
        <span className="chart-value">{format(chosen?.value ?? null)}</span>
        <span className="chart-when">{hovered !== undefined && chosen !== undefined && clockTime(chosen.at)}</span>
      </figcaption>
      <svg
        className="chart-lines"
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={summary}
        onPointerMove={move}
        onPointerLeave={() => setHovered(undefined)}
      >
        <path className="chart-grid" d={`M0 2H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}M0 ${HEIGHT - 1}H${WIDTH}`} />
        <path className="spark-area" d={area} />
        <path className="spark-line" d={line} />
        {hovered !== undefined && chosen !== undefined && last > first && (
          <path className="chart-cursor" d={`M${((chosen.at - first) / (last - first)) * WIDTH} 0V${HEIGHT}`} />
        )}
      </svg>
      <div className="chart-foot" aria-hidden="true">
        <span>{points.length < 2 ? "Waiting for samples…" : clockTime(first)}</span>
        <span>highest {format(values.length === 0 ? null : highest)}</span>
        <span>{points.length < 2 ? "" : clockTime(last)}</span>
      </div>
    </figure>
  );
}

function nearest(points: readonly Point[], at: number): number {
  let best = 0;
  points.forEach((point, index) => {
    if (Math.abs(point.at - at) < Math.abs((points[best]?.at ?? 0) - at)) best = index;
  });
  return best;
}
