/**
 * When a run that ended by itself is started again; pure. Exponential backoff with jitter and a cap; gives up after
 * `maxAttempts` restarts within `windowMs`; the counter starts anew after a run that lasted `stableMs`.
 * All times are monotonic milliseconds, so a jump of the clock changes nothing.
 */
import type { RestartPolicy } from "@opensentience/protocol";

export type RestartLimits = {
  maxAttempts: number;
  windowMs: number;
  initialMs: number;
  maxMs: number;
  stableMs: number;
};
export type RestartHistory = { attemptsAtMs: number[]; consecutive: number };
export type RestartDecision =
  | { action: "leave" }
  | { action: "give_up"; attempts: number }
  | { action: "restart"; delayMs: number; history: RestartHistory };

export const NO_RESTARTS: RestartHistory = { attemptsAtMs: [], consecutive: 0 };

/** `random` is in [0, 1): the delay is between half of the backoff and all of it. */
export function decideRestart(
  policy: RestartPolicy,
  limits: RestartLimits,
  history: RestartHistory,
  end: { isFailure: boolean; ranForMs: number; nowMs: number; random: number },
): RestartDecision {
  if (policy === "never" || (policy === "on-failure" && !end.isFailure)) return { action: "leave" };
  const isStable = end.ranForMs >= limits.stableMs;
  const recent = isStable ? [] : history.attemptsAtMs.filter((atMs) => end.nowMs - atMs < limits.windowMs);
  if (recent.length >= limits.maxAttempts) return { action: "give_up", attempts: recent.length };
  const consecutive = isStable ? 0 : history.consecutive;
  const backoffMs = Math.min(limits.maxMs, limits.initialMs * 2 ** Math.min(consecutive, 30));
  return {
    action: "restart",
    delayMs: Math.round(backoffMs * (0.5 + end.random / 2)),
    history: { attemptsAtMs: [...recent, end.nowMs], consecutive: consecutive + 1 },
  };
}
