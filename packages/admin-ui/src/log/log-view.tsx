import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { Button } from "../ui/button.tsx";
import { Choice } from "../ui/field.tsx";
import { ProblemBox } from "../ui/problem-box.tsx";
import { SearchBox } from "../ui/search-box.tsx";
import { counted } from "../ui/time.tsx";
import { filterLines, type LogFilter } from "./log-lines.ts";
import { LogRow } from "./log-row.tsx";
import { useFill } from "./use-fill.ts";
import { type LogOf, useLog } from "./use-log.ts";

const LINE_PX = 20;
const NEAR_END_PX = 40;

const STREAMS = [
  ["", "All output"],
  ["stdout", "stdout"],
  ["stderr", "stderr"],
  ["core", "Core’s notes"],
] as const satisfies readonly (readonly [LogFilter["stream"], string])[];

/**
 * Output as it comes. It follows the end until somebody scrolls up, and follows again when the end is reached; pause
 * keeps the text still while lines go on arriving.
 */
export function LogView({ agentId, of, isLive }: { agentId: string; of: LogOf; isLive: boolean }) {
  const [isPaused, setPaused] = useState(false);
  const [isFollowing, setFollowing] = useState(true);
  const [isWrapped, setWrapped] = useState(true);
  const [filter, setFilter] = useState<LogFilter>({ stream: "", words: "" });
  const log = useLog(agentId, of, isLive, isPaused);
  const shown = useMemo(() => filterLines(log.lines, filter), [log.lines, filter]);
  const box = useRef<HTMLDivElement>(null);
  const fillPx = useFill(box);
  const rows = useVirtualizer({
    count: shown.length,
    getScrollElement: () => box.current,
    estimateSize: () => LINE_PX,
    overscan: 20,
    useFlushSync: false,
    getItemKey: (index) => shown[index]?.key ?? index,
  });
  useEffect(() => {
    if (isFollowing && shown.length > 0) rows.scrollToIndex(shown.length - 1, { align: "end" });
  }, [isFollowing, shown, rows]);
  const scrolled = (): void => {
    const { current } = box;
    if (current === null) return;
    setFollowing(current.scrollHeight - current.scrollTop - current.clientHeight < NEAR_END_PX);
  };
  return (
    <section className="log" aria-label="Output">
      <div className="log-tools">
        <SearchBox
          label="Search the output"
          value={filter.words}
          onChange={(words) => setFilter({ ...filter, words })}
        />
        <Choice
          label="Stream"
          hideLabel
          value={filter.stream}
          options={STREAMS}
          onChange={(stream) => setFilter({ ...filter, stream })}
        />
        <label className="toggle">
          <input type="checkbox" checked={isWrapped} onChange={(event) => setWrapped(event.target.checked)} /> Wrap
        </label>
        <label className="toggle">
          <input type="checkbox" checked={isFollowing} onChange={(event) => setFollowing(event.target.checked)} />{" "}
          Follow
        </label>
        {isLive && (
          <Button small icon={isPaused ? "play" : "pause"} onClick={() => setPaused(!isPaused)}>
            {isPaused ? `Go on${log.waiting === 0 ? "" : ` (${log.waiting} waiting)`}` : "Pause"}
          </Button>
        )}
      </div>
      {log.problem !== null && <ProblemBox problem={log.problem} onRetry={log.reload} />}
      <div
        ref={box}
        className={isWrapped ? "log-box log-wrap" : "log-box"}
        role="log"
        aria-live="off"
        aria-label={`Output of ${agentId}`}
        tabIndex={0}
        onScroll={scrolled}
        style={fillPx === undefined ? undefined : { height: fillPx }}
      >
        {shown.length === 0 && <p className="log-empty">{emptyText(log.isLoading, log.lines.length, isLive)}</p>}
        <div className="log-lines" style={{ height: rows.getTotalSize() }}>
          {rows.getVirtualItems().map(({ index, key, start }) => {
            const line = shown[index];
            if (line === undefined) return null;
            return (
              <div
                key={key}
                ref={rows.measureElement}
                data-index={index}
                className="log-place"
                style={{ transform: `translateY(${start}px)` }}
              >
                <LogRow line={line} words={filter.words} />
              </div>
            );
          })}
        </div>
      </div>
      <p className="log-foot">
        {shown.length === log.lines.length
          ? counted(log.lines.length, "line")
          : `${shown.length.toLocaleString()} of ${counted(log.lines.length, "line")}`}
        {isLive ? (isPaused ? " · paused" : " · live") : " · ended"}
      </p>
    </section>
  );
}

function emptyText(isLoading: boolean, lines: number, isLive: boolean): string {
  if (isLoading) return "Reading the output…";
  if (lines > 0) return "No line fits.";
  return isLive ? "It has not written anything yet." : "It wrote nothing.";
}
