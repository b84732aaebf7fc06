/**
 * The calls of this page, one per tool at a time. They live as long as the page does, whatever screen is shown: who
 * looks at the log meanwhile finds the call, its output and the way to cancel it where they were. Closing the page
 * cancels what is under way, as Ctrl-C does.
 */
import type { ToolCallJson } from "@opensentience/protocol";
import { useEffect } from "react";
import { records } from "../api/client.ts";
import { lostDuringCall, Problem } from "../api/problem.ts";
import { Store, useStore } from "../live/store.ts";
import { announce } from "../shell/announcer.tsx";

export type Chunk = { seq: number; channel: string; text?: string | undefined; json?: unknown };
export type Input = Record<string, unknown>;

export type CallState =
  | { at: "idle" }
  | { at: "running"; chunks: readonly Chunk[]; dropped: number; startedAt: number }
  | { at: "ended"; chunks: readonly Chunk[]; dropped: number; result: ToolCallJson }
  | { at: "canceled"; chunks: readonly Chunk[]; dropped: number; durationMs: number }
  | { at: "failed"; chunks: readonly Chunk[]; dropped: number; problem: unknown };

/** What other screens need to know of a call: not its output. */
export type CallMark = { agentId: string; toolName: string; at: CallState["at"] };

/** Older chunks leave the page; the number of those that did is shown. */
const MAX_CHUNKS = 5_000;
/** A browser has six connections to Core over HTTP/1.1; every call holds one, and so does the event stream. */
const MAX_AT_ONCE = 3;
/** Calls that ended and are kept to be looked at. */
const MAX_KEPT = 20;

export const callMarks = new Store<readonly CallMark[]>([]);
const calls = new Map<string, PageCall>();
/** By agent the tool that was looked at last: it is shown again where the address names none. */
const lastLooked = new Map<string, string>();

export function lastTool(agentId: string): string | undefined {
  return lastLooked.get(agentId);
}

export function keepLastTool(agentId: string, toolName: string): void {
  lastLooked.set(agentId, toolName);
}

/** When somebody signs out, in whichever tab: whoever comes next finds no input and no output of theirs. */
export function forgetCalls(): void {
  const all = [...calls.values()];
  calls.clear();
  lastLooked.clear();
  for (const call of all) call.forget();
  marksChanged();
}

class PageCall {
  readonly agentId: string;
  readonly toolName: string;
  readonly state = new Store<CallState>({ at: "idle" });
  /** What was typed into its form, or undefined before anything was. */
  input: Input | undefined;
  /** How often it is on the screen. */
  shown = 0;
  #running: AbortController | undefined;
  #isForgotten = false;

  constructor(agentId: string, toolName: string) {
    this.agentId = agentId;
    this.toolName = toolName;
  }

  get isRunning(): boolean {
    return this.state.get().at === "running";
  }

  cancel = (): void => this.#running?.abort();

  forget(): void {
    this.#isForgotten = true;
    this.cancel();
    this.input = undefined;
    this.state.set({ at: "idle" });
  }

  start = async (input: Input): Promise<void> => {
    if (this.isRunning) return;
    if ([...calls.values()].filter((call) => call.isRunning).length >= MAX_AT_ONCE) return this.#set(tooMany());
    const abort = (this.#running = new AbortController());
    let chunks: Chunk[] = [];
    let dropped = 0;
    let frame = 0;
    const startedAt = Date.now();
    const show = (): void => {
      frame = 0;
      this.#set({ at: "running", chunks: [...chunks], dropped, startedAt });
    };
    show();
    const end = (state: CallState): void => {
      cancelAnimationFrame(frame);
      if (this.#isForgotten) return;
      this.#set(state);
      if (this.shown === 0) announce(`${this.toolName} of ${this.agentId} ${endInWords(state)}`);
    };
    try {
      const request = { params: { agent_id: this.agentId, tool_name: this.toolName }, body: { input } };
      for await (const line of records("stream_tool_call", request, abort.signal)) {
        if ("result" in line) return end({ at: "ended", chunks, dropped, result: line.result });
        chunks.push(line.stream);
        if (chunks.length > MAX_CHUNKS) {
          dropped += chunks.length - MAX_CHUNKS / 2;
          chunks = chunks.slice(-MAX_CHUNKS / 2);
        }
        frame ||= requestAnimationFrame(show);
      }
      throw lostDuringCall();
    } catch (thrown) {
      const durationMs = Date.now() - startedAt;
      // What is no problem is the connection, which ended in the middle of the answer.
      const problem = thrown instanceof Problem ? thrown : lostDuringCall();
      end(
        abort.signal.aborted
          ? { at: "canceled", chunks, dropped, durationMs }
          : { at: "failed", chunks, dropped, problem },
      );
    }
  };

  #set(state: CallState): void {
    const before = this.state.get().at;
    this.state.set(state);
    if (state.at !== before) marksChanged();
  }
}

/** The call of one tool, and what the screen does with it. */
export function useToolCall(agentId: string, toolName: string): { call: PageCall; state: CallState } {
  const call = callOf(agentId, toolName);
  const state = useStore(call.state);
  useEffect(() => {
    call.shown += 1;
    return () => void (call.shown -= 1);
  }, [call]);
  return { call, state };
}

function callOf(agentId: string, toolName: string): PageCall {
  const key = `${agentId}/${toolName}`;
  const known = calls.get(key);
  if (known !== undefined) return known;
  const made = new PageCall(agentId, toolName);
  calls.set(key, made);
  const unseen = [...calls].filter(([, call]) => call !== made && call.shown === 0 && !call.isRunning);
  for (const [old] of unseen.slice(0, Math.max(0, unseen.length - MAX_KEPT))) calls.delete(old);
  return made;
}

function marksChanged(): void {
  const all = [...calls.values()].map(({ agentId, toolName, state }) => ({ agentId, toolName, at: state.get().at }));
  callMarks.set(all.filter(({ at }) => at !== "idle"));
}

function tooMany(): CallState {
  const problem = new Problem({
    code: "page.too_many_calls",
    detail: `${MAX_AT_ONCE} calls of this page are under way, and a browser has no connection for one more. Cancel one, or wait for its end.`,
    details: {},
    next_step: null,
    status: 0,
  });
  return { at: "failed", chunks: [], dropped: 0, problem };
}

function endInWords(state: CallState): string {
  if (state.at === "ended") return state.result.status;
  return state.at === "canceled" ? "was canceled" : "failed";
}
