/** Runs and log records as text for people. Pure. */
import type { LogRecordJson, PendingRestartJson, PsItemJson, RunJson } from "@opensentience/protocol";
import { limitsText, restartNotice, runEnd, safeText } from "@opensentience/protocol";
import { type Column, fittedTable } from "./fitted-table.ts";
import { type Cell, duration, oneLine, shortTime, size, type Style } from "./format.ts";

const STATUS_COLORS = {
  starting: "yellow",
  running: "green",
  stopping: "yellow",
  stopped: "dim",
  crashed: "red",
} as const;

export const HEALTH_COLORS = { ok: "green", degraded: "yellow", unhealthy: "red" } as const;

const COLUMNS: readonly Column[] = [
  { name: "AGENT", gives: "middle" },
  { name: "STATUS" },
  { name: "HEALTH", gives: "spare" },
  { name: "PID" },
  { name: "CPU%", gives: "spare" },
  { name: "MEMORY", gives: "spare" },
  { name: "UPTIME" },
  // Why a run ended is what one looks for; what it used by then is gone.
  { name: "END", gives: "end", readable: 36 },
  { name: "RUN", gives: "drop" },
];

/** Run ids are left out where they do not fit; `--json` has them. */
export function runRows(style: Style, runs: readonly PsItemJson[]): string {
  const rows = runs.map((run): Cell[] => [
    run.agent_id,
    run.logs_degraded
      ? { text: `${run.status} (logs degraded)`, color: "yellow" }
      : { text: run.status, color: STATUS_COLORS[run.status] },
    run.health === null ? "-" : { text: run.health, color: HEALTH_COLORS[run.health] },
    run.pid === null ? "-" : String(run.pid),
    run.cpu_percent === null ? "-" : run.cpu_percent.toFixed(1),
    size(run.memory_bytes),
    uptime(run),
    run.stopped_at === null ? "-" : endOf(run),
    run.run_id,
  ]);
  return fittedTable(style, COLUMNS, rows);
}

/** Of a run that was lost with Core only what its log proves is known. */
function uptime(run: PsItemJson): string {
  if (!run.uptime_is_least) return duration(run.uptime_ms);
  return run.uptime_ms === 0 ? "unknown" : `≥ ${duration(run.uptime_ms)}`;
}

/** A line for each agent that Core is about to start again. */
export function restartLines(waiting: readonly (PendingRestartJson & { agent_id: string })[]): string[] {
  return waiting.flatMap((one) => {
    const notice = restartNotice(one, Date.now());
    return notice === null ? [] : [`${oneLine(one.agent_id)} ${notice}`];
  });
}

/** Whatever is no sandbox holds no permission, and is shown so. */
function heldText({ isolation }: RunJson): Cell | null {
  if (isolation === null || isolation === "sandbox") return isolation;
  return { text: `${isolation.replaceAll("_", " ")}, no sandbox`, color: "red" };
}

export function runState(style: Style, run: RunJson): string {
  return style.fields([
    ["agent", run.agent_id],
    ["run", run.run_id],
    ["status", { text: run.status, color: STATUS_COLORS[run.status] }],
    ["pid", run.pid === null ? null : String(run.pid)],
    ["started", shortTime(run.started_at)],
    ["ended", run.stopped_at === null ? null : `${shortTime(run.stopped_at)}, ${endOf(run)}`],
    ["restarts", run.restart_count === 0 ? null : String(run.restart_count)],
    ["then", restartNotice(run, Date.now())],
    ["log", run.log_path],
    ["held", heldText(run)],
    ["limits", limitsText(run.limits)],
    [
      "leaked",
      run.leaked_pids.length === 0 ? null : { text: `could not end pids ${run.leaked_pids.join(", ")}`, color: "red" },
    ],
    ["logs", run.logs_degraded ? { text: "output cannot be written to disk", color: "yellow" } : null],
  ]);
}

/** How a run ended: exit code or signal, and the reason. */
export function endOf(run: Pick<RunJson, "exit_code" | "signal" | "reason">): string {
  return oneLine(runEnd(run));
}

/** One captured line; what the agent wrote is made safe for a terminal. */
export function logLine(style: Style, record: LogRecordJson): string {
  const cut = record.truncated === true ? style.paint("dim", "…") : "";
  const line = safeText(record.line);
  const marked =
    record.stream === "stdout"
      ? line
      : record.stream === "stderr"
        ? `${style.paint("yellow", "err")} ${line}`
        : style.paint("blue", `core: ${record.line}`);
  return `${style.paint("dim", shortTime(record.at))} ${marked}${cut}`;
}
