/** Shared by every peer of the comparison, so that all are measured alike. */

export type Speed = { p50: number; perSecond: number };

/** Median latency in microseconds, and calls per second, with so many calls in flight. */
export async function measured(call: () => Promise<unknown>, calls: number, inFlight: number): Promise<Speed> {
  const latencies: number[] = [];
  let left = calls;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const started = performance.now();
      await call();
      latencies.push(performance.now() - started);
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: inFlight }, worker));
  const seconds = (performance.now() - started) / 1000;
  latencies.sort((a, b) => a - b);
  return { p50: (latencies[latencies.length >> 1] ?? 0) * 1000, perSecond: calls / seconds };
}
