// Shared by every peer of the comparison, so that all are measured alike: the median latency in microseconds, and calls per second.
export async function measured(call, calls, inFlight, clock = performance) {
  const latencies = [];
  let left = calls;
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      const started = clock.now();
      await call();
      latencies.push(clock.now() - started);
    }
  };
  const started = clock.now();
  await Promise.all(Array.from({ length: inFlight }, worker));
  const seconds = (clock.now() - started) / 1000;
  latencies.sort((a, b) => a - b);
  return { p50: latencies[latencies.length >> 1] * 1000, perSecond: calls / seconds };
}
