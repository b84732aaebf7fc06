/** An agent that ends within its start window: shows the run and its last lines before the error itself is printed. */
import { CoreError, type LogRecordJson, type RunJson } from "@opensentience/protocol";
import { safeText } from "@opensentience/protocol";
import type { Style } from "./format.ts";
import type { Output } from "./output.ts";
import { endOf, logLine } from "./run-view.ts";

const MAX_LINES = 20;

/**
 * Starts something of an agent. `label` is shown once Core let the program run; a refusal executes nothing and says
 * nothing of it. Passes every error on; `launcher.exited_early` is explained on stderr first.
 */
export async function showingEarlyExit<T>(output: Output, label: string, act: () => Promise<T>): Promise<T> {
  try {
    const started = await act();
    output.note(label);
    return started;
  } catch (error) {
    if (error instanceof CoreError && error.code === "launcher.exited_early" && !output.json) {
      output.note(label);
      output.ask(earlyExitText(output.askStyle, error.details));
    }
    throw error;
  }
}

/** Core's details: `run` and `last_lines`, the latter as plain texts or as log records. */
export function earlyExitText(style: Style, details: Record<string, unknown>): string {
  const run = details["run"] as Partial<RunJson> | undefined;
  const lines = Array.isArray(details["last_lines"])
    ? (details["last_lines"] as (string | LogRecordJson)[]).slice(-MAX_LINES)
    : [];
  const rows = style.fields([
    ["run", run?.run_id],
    ["pid", run?.pid === undefined || run.pid === null ? null : String(run.pid)],
    [
      "ended",
      run === undefined
        ? null
        : endOf({ exit_code: run.exit_code ?? null, signal: run.signal ?? null, reason: run.reason ?? null }),
    ],
    ["log", run?.log_path],
  ]);
  const shown = lines.map((line) => `  | ${typeof line === "string" ? safeText(line) : logLine(style, line)}`);
  return [rows, ...shown]
    .filter((text) => text !== "")
    .map((text) => `${text}\n`)
    .join("");
}
