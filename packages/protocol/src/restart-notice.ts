/** A restart that is to come, in words. Pure. */
import type { PendingRestartJson } from "./control-shapes.ts";

/** `will be started again in 8 s (restart 3 of 5)`; null where no restart is pending. `nowMs` is the time of the day. */
export function restartNotice(pending: PendingRestartJson, nowMs: number): string | null {
  const { restart_at: at, restart_attempt: attempt, restart_limit: limit } = pending;
  if (at === null) return null;
  const seconds = Math.max(1, Math.ceil((Date.parse(at) - nowMs) / 1_000));
  return `will be started again in ${seconds} s (restart ${attempt ?? "?"} of ${limit ?? "?"})`;
}
