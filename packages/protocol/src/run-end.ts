/** How a run ended, in words. Pure. */
import type { RunJson } from "./control-shapes.ts";

/**
 * `exit code 0 (stopped)`, `signal SIGTERM (killed after timeout)`, `end unknown (core_lost)`; the reason alone where it
 * names the exit code or the signal itself. The reason is as it was recorded: not yet fit to be shown.
 */
export function runEnd({ exit_code: code, signal, reason }: Pick<RunJson, "exit_code" | "signal" | "reason">): string {
  const end = signal !== null ? `signal ${signal}` : code !== null ? `exit code ${code}` : "end unknown";
  if (reason === null) return end;
  const exited = `exited with code ${code}`;
  const isNamed = signal !== null ? reason.includes(signal) : reason === exited || reason.startsWith(`${exited} `);
  return isNamed ? reason : `${end} (${reason})`;
}
