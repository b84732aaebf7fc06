/**
 * The state machine of one run, pure: (state, event) → (state, effects). The launcher carries out the effects.
 *
 *   starting ──released──▶ running ──ended──▶ crashed
 *      │                      │
 *      │ stop_requested       │ stop_requested
 *      ▼                      ▼
 *   stopping ──────ended──▶ stopped          (ended with processes left over: crashed, reason leaked)
 *   starting ──start_failed──▶ crashed
 *   running ──condemned──▶ running, its tree signalled ──ended──▶ crashed, with that reason
 *
 * An end after a stop was asked for is `stopped`, whatever the exit code; any other end is `crashed`, an exit code of
 * 0 included: an agent is meant to stay. Events that make no sense in a state change nothing.
 */
export type RunStatus = "starting" | "running" | "stopping" | "stopped" | "crashed";

export type RunEnd = {
  exitCode: number | null;
  signal: string | null;
  killedAfterTimeout: boolean;
  /** How many processes were killed after the timeout although the first one had ended by itself. */
  outlivedLeader?: number | undefined;
  leaked: number[];
};

export type RunEvent =
  | { type: "released" }
  | { type: "stop_requested" }
  /** Core ends the run because it cannot be governed any more; not what the operator asked for. `isFault`: nor what the agent did. */
  | { type: "condemned"; reason: string; isFault: boolean }
  | { type: "start_failed"; reason: string }
  /** `note`: what is added to the reason of an end that nobody asked for; `cause`: what is certain of it. */
  | ({ type: "ended"; note?: string; cause?: string | undefined } & RunEnd);

type Ended = Extract<RunEvent, { type: "ended" }>;

/** `isFault`: Core ended it for a fault, and so it failed, however politely it went. */
export type RunState = { status: RunStatus; reason: string | null; verdict?: string; isFault?: boolean };

export type RunEffect = "record_running" | "record_stopping" | "signal_tree" | "record_end" | "consider_restart";

export const INITIAL: RunState = { status: "starting", reason: null };

export function step(state: RunState, event: RunEvent): { state: RunState; effects: RunEffect[] } {
  const stay = { state, effects: [] };
  switch (event.type) {
    case "released":
      return state.status === "starting"
        ? { state: { ...state, status: "running" }, effects: ["record_running"] }
        : stay;
    case "stop_requested":
      return state.status === "starting" || state.status === "running"
        ? { state: { ...state, status: "stopping" }, effects: ["record_stopping", "signal_tree"] }
        : stay;
    case "condemned":
      return state.status === "running" && state.verdict === undefined
        ? { state: { ...state, verdict: event.reason, isFault: event.isFault }, effects: ["signal_tree"] }
        : stay;
    case "start_failed":
      return isOver(state) ? stay : { state: { status: "crashed", reason: event.reason }, effects: ["record_end"] };
    case "ended": {
      if (isOver(state)) return stay;
      const reason = endReason(state, event);
      if (event.leaked.length > 0) return { state: { status: "crashed", reason }, effects: ["record_end"] };
      if (state.status === "stopping") return { state: { status: "stopped", reason }, effects: ["record_end"] };
      return { state: { status: "crashed", reason }, effects: ["record_end", "consider_restart"] };
    }
  }
}

export function isOver(state: RunState): boolean {
  return state.status === "stopped" || state.status === "crashed";
}

function endReason(state: RunState, end: Ended): string {
  if (end.leaked.length > 0) return `leaked: processes ${end.leaked.join(", ")} are still alive`;
  if (state.status === "stopping") return stopReason(end);
  if (state.verdict !== undefined) return verdictReason(state.verdict, end);
  const note = end.note ?? "";
  if (end.signal === "SIGKILL") return `killed by SIGKILL that Core did not send${note || " (out of memory?)"}`;
  return end.signal === null ? `exited with code ${end.exitCode ?? "unknown"}${note}` : `ended by ${end.signal}${note}`;
}

/** What Core noticed first may be what the kernel's act looked like: the socket of a process that is killed closes. */
function verdictReason(verdict: string, { cause, ...end }: Ended): string {
  if (cause === undefined) return verdict;
  if (end.signal !== "SIGKILL" || end.killedAfterTimeout) return `${verdict} (${cause})`;
  return `killed by SIGKILL that Core did not send (${cause}); ${verdict}`;
}

/** An agent that obeyed is not called killed because something that it started did not. */
function stopReason({ killedAfterTimeout, outlivedLeader, signal, cause }: Ended): string {
  if (!killedAfterTimeout) return signal === "SIGKILL" && cause !== undefined ? `stopped (${cause})` : "stopped";
  if (outlivedLeader === undefined || outlivedLeader === 0) return "killed after timeout";
  return outlivedLeader === 1
    ? "stopped; 1 process of it was killed after timeout"
    : `stopped; ${outlivedLeader} processes of it were killed after timeout`;
}
