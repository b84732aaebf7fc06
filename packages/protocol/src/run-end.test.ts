import { expect, test } from "vitest";
import { runEnd } from "./run-end.ts";

test.each([
  [{ exit_code: 0, signal: null, reason: "stopped" }, "exit code 0 (stopped)"],
  [{ exit_code: null, signal: "SIGTERM", reason: "stopped" }, "signal SIGTERM (stopped)"],
  [{ exit_code: 3, signal: null, reason: "exited with code 3" }, "exited with code 3"],
  [{ exit_code: 1, signal: null, reason: "exited with code 13" }, "exit code 1 (exited with code 13)"],
  [{ exit_code: null, signal: "SIGXFSZ", reason: "ended by SIGXFSZ (a file grew)" }, "ended by SIGXFSZ (a file grew)"],
  [{ exit_code: 7, signal: null, reason: null }, "exit code 7"],
  [{ exit_code: null, signal: "SIGKILL", reason: null }, "signal SIGKILL"],
  [{ exit_code: null, signal: null, reason: "core_lost; 2 were left" }, "end unknown (core_lost; 2 were left)"],
  [{ exit_code: null, signal: null, reason: null }, "end unknown"],
])("%j ended with: %s", (run, text) => {
  expect(runEnd(run)).toBe(text);
});
