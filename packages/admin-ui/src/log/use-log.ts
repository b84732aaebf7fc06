import type { LogRecordJson } from "@opensentience/protocol";
import { useCallback, useEffect, useRef, useState } from "react";
import { records } from "../api/client.ts";
import { onEvent, watchRun } from "../live/events.ts";
import { afterHistory, type LogLine, toLine, withLines } from "./log-lines.ts";

/** Lines of the history that are read at first. */
const TAIL = 2_000;

/** Whose output: a run's, or that of the agent's newest build. */
export type LogOf = { run: string } | { build: true };

export type Log = {
  lines: readonly LogLine[];
  /** Lines that arrived while paused. */
  waiting: number;
  isLoading: boolean;
  problem: unknown;
  reload: () => void;
};

/**
 * The output of a run or of a build: its history, then, of a run, what comes, which the event stream brings. It is listened for before the
 * history is read, so that nothing falls between the two. While paused new lines wait.
 */
export function useLog(agentId: string, of: LogOf, isLive: boolean, isPaused: boolean): Log {
  const [lines, setLines] = useState<readonly LogLine[]>([]);
  const [isLoading, setLoading] = useState(true);
  const [problem, setProblem] = useState<unknown>(null);
  const [round, setRound] = useState(0);
  const [waiting, setWaiting] = useState(0);
  const held = useRef<LogLine[]>([]);
  const paused = useRef(isPaused);
  const runId = "run" in of ? of.run : null;

  const show = useCallback((): void => {
    setWaiting(paused.current ? held.current.length : 0);
    if (paused.current || held.current.length === 0) return;
    const more = held.current;
    held.current = [];
    setLines((before) => withLines(before, more));
  }, []);
  useEffect(() => {
    paused.current = isPaused;
    show();
  }, [isPaused, show]);

  useEffect(() => {
    const abort = new AbortController();
    let early: LogRecordJson[] | undefined = [];
    let frame = 0;
    const take = (items: readonly LogRecordJson[]): void => {
      held.current.push(...items.map(toLine));
      // One change of the screen per frame, however many events a flood brings.
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        show();
      });
    };
    const off =
      isLive && runId !== null
        ? [
            onEvent("log", (event) => {
              if (event.run_id !== runId) return;
              const items = event.skipped === true ? [skippedNote(event.items), ...event.items] : event.items;
              if (early === undefined) take(items);
              else early.push(...items);
            }),
            onEvent("reset", () => setRound((before) => before + 1)),
            watchRun(runId),
          ]
        : [];
    setLoading(true);
    setProblem(null);
    readHistory(agentId, runId, abort.signal).then(
      (history) => {
        held.current = [];
        setLines(history.map(toLine));
        take(afterHistory(history, early ?? []));
        early = undefined;
        setLoading(false);
      },
      (thrown: unknown) => {
        if (abort.signal.aborted) return;
        setProblem(thrown);
        setLoading(false);
      },
    );
    return () => {
      abort.abort();
      cancelAnimationFrame(frame);
      for (const end of off) end();
    };
  }, [agentId, runId, isLive, round, show]);

  return { lines, waiting, isLoading, problem, reload: () => setRound((before) => before + 1) };
}

/** A flood is not sent whole: Core says so, and the file has it. */
function skippedNote(items: readonly LogRecordJson[]): LogRecordJson {
  const at = items[0]?.at ?? new Date().toISOString();
  return { at, stream: "core", line: "— more was printed here than can be shown live; load the log again to see it —" };
}

async function readHistory(agentId: string, runId: string | null, signal: AbortSignal): Promise<LogRecordJson[]> {
  const history: LogRecordJson[] = [];
  const request = {
    params: { agent_id: agentId },
    query: { tail: TAIL, ...(runId === null ? { build: true } : { run: runId }) },
  };
  for await (const record of records("read_logs", request, signal)) history.push(record);
  return history;
}
