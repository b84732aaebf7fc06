/** `/metrics` in the Prometheus text format (version 0.0.4): what Core does, in numbers; no names, no content. */
import { DURATION_BUCKETS_MS, type CallCounts } from "../runtime/runtime.ts";
import type { Services } from "./domain.ts";

export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export function metricsText(services: Services | null): string {
  const lines = [
    ...metric("resident_bytes", "gauge", "Memory of Core.", process.memoryUsage.rss()),
    ...metric("uptime_seconds", "gauge", "Since Core's start.", Math.round(process.uptime())),
  ];
  if (services === null) return text(lines);
  const { runtime, launcher, catalog, audit } = services;
  const sessions = runtime.sessions();
  const unhealthy = sessions.filter(({ health }) => health === "unhealthy").length;
  return text([
    ...lines,
    ...metric("agents", "gauge", "Agents in the catalog.", catalog.count()),
    ...metric("runs", "gauge", "Live runs.", launcher.liveCount()),
    ...metric("sessions", "gauge", "Runs that shook hands.", sessions.length),
    ...metric("sessions_unhealthy", "gauge", "Of them, unhealthy.", unhealthy),
    ...metric("audit_events_total", "counter", "Rows of the audit log.", audit.head.seq),
    ...callMetrics(runtime.router.counts),
  ]);
}

function callMetrics(counts: CallCounts): string[] {
  const { ended, refused, dropped, inFlight, durations, durationSumMs } = counts;
  const total = ended.succeeded + ended.failed + ended.canceled;
  return [
    "# HELP opensentience_tool_calls_total Calls by outcome.",
    "# TYPE opensentience_tool_calls_total counter",
    ...Object.entries({ ...ended, refused }).map(
      ([name, count]) => `opensentience_tool_calls_total{outcome="${name}"} ${count}`,
    ),
    ...metric("tool_calls_in_flight", "gauge", "Calls under way.", inFlight),
    ...metric("tool_messages_dropped_total", "counter", "Chunks and results that belonged to no call.", dropped),
    "# HELP opensentience_tool_call_seconds Time from the check to the recorded outcome.",
    "# TYPE opensentience_tool_call_seconds histogram",
    ...DURATION_BUCKETS_MS.map(
      (bound, index) => `opensentience_tool_call_seconds_bucket{le="${bound / 1000}"} ${durations[index]}`,
    ),
    `opensentience_tool_call_seconds_bucket{le="+Inf"} ${total}`,
    `opensentience_tool_call_seconds_sum ${durationSumMs / 1000}`,
    `opensentience_tool_call_seconds_count ${total}`,
  ];
}

function metric(name: string, type: "gauge" | "counter", help: string, value: number): string[] {
  return [
    `# HELP opensentience_${name} ${help}`,
    `# TYPE opensentience_${name} ${type}`,
    `opensentience_${name} ${value}`,
  ];
}

function text(lines: readonly string[]): string {
  return `${lines.join("\n")}\n`;
}
