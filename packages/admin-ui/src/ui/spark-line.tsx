import type { Point } from "../live/metrics.ts";

const WIDTH = 120;
const HEIGHT = 28;

/** A small line without axes, from zero; an ornament beside the number that it belongs to. */
export function SparkLine({ points }: { points: readonly Point[] }) {
  const { line, area } = paths(points, WIDTH, HEIGHT);
  return (
    <svg className="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      {line === "" ? (
        <path className="spark-none" d={`M0 ${HEIGHT - 1}H${WIDTH}`} />
      ) : (
        <>
          <path className="spark-area" d={area} />
          <path className="spark-line" d={line} />
        </>
      )}
    </svg>
  );
}

/** SVG paths of the points over the whole width; a gap of values is a gap of the line. `top` is the value at the top. */
export function paths(
  points: readonly Point[],
  width: number,
  height: number,
  top = 1.3 * Math.max(0, ...points.map(({ value }) => value ?? 0)) || 1,
): { line: string; area: string } {
  const first = points[0]?.at ?? 0;
  const span = (points.at(-1)?.at ?? 0) - first || 1;
  const pieces: [number, number][][] = [[]];
  for (const { at, value } of points) {
    if (value === null) pieces.push([]);
    else pieces.at(-1)?.push([((at - first) / span) * width, height - 1 - (value / top) * (height - 3)]);
  }
  const drawn = pieces.filter((piece) => piece.length > 1);
  const line = drawn.map((piece) => `M${piece.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}`).join("");
  const area = drawn
    .map((piece) => {
      const [left] = piece[0] as [number, number];
      const [right] = piece.at(-1) as [number, number];
      return `M${left.toFixed(1)} ${height}L${piece.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}L${right.toFixed(1)} ${height}Z`;
    })
    .join("");
  return { line, area };
}
