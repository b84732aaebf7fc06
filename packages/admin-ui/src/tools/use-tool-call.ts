import type { ToolCallJson } from "@opensentience/protocol";
import { useEffect, useRef, useState } from "react";
import { records } from "../api/client.ts";

export type Chunk = { seq: number; channel: string; text?: string | undefined; json?: unknown };

export type CallState =
  | { at: "idle" }
  | { at: "running"; chunks: readonly Chunk[]; dropped: number; startedAt: number }
  | { at: "ended"; chunks: readonly Chunk[]; dropped: number; result: ToolCallJson }
  | { at: "canceled"; chunks: readonly Chunk[]; dropped: number }
  | { at: "failed"; chunks: readonly Chunk[]; dropped: number; problem: unknown };

/** Older chunks leave the page; the number of those that did is shown. */
const MAX_CHUNKS = 5_000;

type ToolCall = { state: CallState; start: (input: Record<string, unknown>) => Promise<void>; cancel: () => void };

/** One call at a time. Leaving the screen cancels it: nobody would read its output. */
export function useToolCall(agentId: string, toolName: string): ToolCall {
  const [state, setState] = useState<CallState>({ at: "idle" });
  const running = useRef<AbortController>(undefined);
  useEffect(() => () => running.current?.abort(), []);

  const start = async (input: Record<string, unknown>): Promise<void> => {
    const abort = (running.current = new AbortController());
    let chunks: Chunk[] = [];
    let dropped = 0;
    let frame = 0;
    const startedAt = Date.now();
    const show = (): void => {
      frame = 0;
      setState({ at: "running", chunks, dropped, startedAt });
    };
    show();
    try {
      const request = { params: { agent_id: agentId, tool_name: toolName }, body: { input } };
      for await (const line of records("stream_tool_call", request, abort.signal)) {
        if ("result" in line) {
          setState({ at: "ended", chunks, dropped, result: line.result });
          return;
        }
        chunks = [...chunks, line.stream];
        if (chunks.length > MAX_CHUNKS) {
          dropped += chunks.length - MAX_CHUNKS / 2;
          chunks = chunks.slice(-MAX_CHUNKS / 2);
        }
        frame ||= requestAnimationFrame(show);
      }
      throw new Error("the answer ended before its result");
    } catch (problem) {
      setState(abort.signal.aborted ? { at: "canceled", chunks, dropped } : { at: "failed", chunks, dropped, problem });
    } finally {
      cancelAnimationFrame(frame);
    }
  };
  return { state, start, cancel: () => running.current?.abort() };
}
