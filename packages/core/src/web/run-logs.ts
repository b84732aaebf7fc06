/** The output of an agent while it comes: of one run, or of one run after the other. */
import type { RunJson } from "@opensentience/protocol";
import type { Launcher } from "../launcher/launcher.ts";
import { followLog, type LogRecord, type ReadOptions } from "../logs/logs.ts";

/**
 * The log of `first`, and, unless only that one is wanted, of what follows it, for as long as a restart is pending or
 * another run begins. A record of Core stands between two runs.
 */
export async function* followRuns(
  launcher: Launcher,
  first: RunJson,
  { isOneRun, signal, ...options }: ReadOptions & { isOneRun: boolean; signal: AbortSignal },
): AsyncGenerator<LogRecord, void, undefined> {
  const follow = (run: RunJson, what: ReadOptions): AsyncIterable<LogRecord> =>
    followLog(run.log_path ?? "", { ...what, signal, isLive: () => launcher.isLive(run.run_id) });
  yield* follow(first, options);
  if (isOneRun) return;
  for (let last = first; ;) {
    const next = await launcher.next(last, signal);
    if (next === null) return;
    const { reason } = launcher.get(last.run_id);
    const line = `— run ended: ${reason ?? "end unknown"}; the next run began —`;
    yield { at: new Date().toISOString(), stream: "core", line, truncated: false };
    yield* follow(next, {});
    last = next;
  }
}
