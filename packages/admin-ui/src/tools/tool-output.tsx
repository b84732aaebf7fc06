import { memo, useEffect, useMemo, useRef } from "react";
import { Badge, type Tone } from "../ui/badge.tsx";
import { OutsideText } from "../ui/outside-text.tsx";
import { ProblemBox } from "../ui/problem-box.tsx";
import { counted, duration, milliseconds, useNow } from "../ui/time.tsx";
import { Problem } from "../api/problem.ts";
import { hasChannels, type StreamPart, streamParts } from "./stream-parts.ts";
import type { CallState, Chunk } from "./tool-calls.ts";

const ENDS: Record<"succeeded" | "failed" | "canceled", { text: string; tone: Tone }> = {
  succeeded: { text: "Succeeded", tone: "ok" },
  failed: { text: "Failed", tone: "bad" },
  canceled: { text: "Canceled", tone: "warn" },
};

/** What a call streams, then its result; all of it is the agent's text. */
export function ToolOutput({ state }: { state: CallState }) {
  if (state.at === "idle") return null;
  return (
    <section className="card" aria-label="Output of the call">
      <div className="card-head" role="status">
        <h2>Output</h2>
        {state.at === "running" && <Running startedAt={state.startedAt} />}
        {state.at === "canceled" && <End status="canceled" durationMs={state.durationMs} />}
        {state.at === "ended" && <End status={state.result.status} durationMs={state.result.duration_ms} />}
      </div>
      <Chunks chunks={state.chunks} dropped={state.dropped} />
      {state.at === "failed" && <ProblemBox problem={state.problem} />}
      {state.at === "ended" && state.result.status === "succeeded" && (
        <pre className="block result" tabIndex={0} aria-label="Result">
          <OutsideText text={JSON.stringify(state.result.output, null, 2)} lines />
        </pre>
      )}
      {state.at === "ended" && state.result.error !== null && (
        <ProblemBox
          problem={
            new Problem({
              code: state.result.error.code,
              detail: state.result.error.message,
              details: state.result.error.details,
              next_step: null,
              status: 200,
            })
          }
        />
      )}
      {state.at === "ended" && (
        <p className="muted small">
          Call <code>{state.result.call_id}</code>
        </p>
      )}
    </section>
  );
}

function End({ status, durationMs }: { status: keyof typeof ENDS; durationMs: number | null }) {
  return (
    <span className="card-head-facts">
      <Badge tone={ENDS[status].tone}>{ENDS[status].text}</Badge>
      <span className="muted">
        {status === "canceled" ? "after" : "in"} {milliseconds(durationMs)}
      </span>
    </span>
  );
}

function Running({ startedAt }: { startedAt: number }) {
  return <Badge tone="info">Running, {duration(useNow() - startedAt)}</Badge>;
}

function Chunks({ chunks, dropped }: { chunks: readonly Chunk[]; dropped: number }) {
  const box = useRef<HTMLDivElement>(null);
  const parts = useMemo(() => streamParts(chunks), [chunks]);
  useEffect(() => {
    const { current } = box;
    if (current !== null) current.scrollTop = current.scrollHeight;
  }, [parts]);
  if (chunks.length === 0) return null;
  return (
    <>
      <div
        ref={box}
        className={hasChannels(parts) ? "block stream stream-channels" : "block stream"}
        tabIndex={0}
        role="log"
        aria-live="off"
        aria-label="Streamed output"
      >
        {parts.map(({ key, channel, text }) => (
          <Part key={key} channel={channel} text={text} />
        ))}
      </div>
      <p className="muted small">
        {counted(chunks.length + dropped, "chunk")}
        {dropped > 0 && `, the first ${dropped.toLocaleString()} no longer shown`}
      </p>
    </>
  );
}

/** Drawn again only when something was added to it. */
const Part = memo(function Part({ channel, text }: Omit<StreamPart, "key">) {
  return (
    <div className={`stream-part stream-${channel}`}>
      <span className="stream-channel">{channel.replaceAll("_", " ")}</span>
      <pre className="stream-text">
        <OutsideText text={text.replace(/\n$/, "")} lines />
      </pre>
    </div>
  );
});
