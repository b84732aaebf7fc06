/** One refusal, looked at from every side: code, exit code, next step, and what the audit log says of it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ERROR_CODES, ERROR_KINDS, type ErrorCode } from "@opensentience/protocol";
import { expect } from "vitest";
import { auditRows, type AuditRow } from "./audit-rows.ts";
import type { CliError, CliOptions, CoreHome } from "./core-home.ts";

/**
 * The command must fail with exactly that code and exit code, say where to go on, and, when policy refused it, leave
 * exactly one `security.denied` (none otherwise). `about` is the agent that the event has to name.
 */
export async function refuse(
  home: CoreHome,
  args: string[],
  expected: { code: ErrorCode; exit: number; next?: string | RegExp; about?: string },
  options: CliOptions = {},
): Promise<CliError> {
  const before = denials(home).length;
  const { code: exit, error } = await home.fails(args, options);
  expect([error.code, exit], error.message).toEqual([expected.code, expected.exit]);
  expect(Object.keys(error).sort()).toEqual(["code", "details", "message", "next_step"]);
  expect(error.next_step, `next step of ${error.code}`).toEqual(
    expected.next instanceof RegExp ? expect.stringMatching(expected.next) : (expected.next ?? expect.any(String)),
  );
  // An approval that was asked for and not understood has its outcome, too; that is no refusal by policy.
  const recorded = denials(home)
    .slice(before)
    .filter(({ outcome }) => outcome !== "failed");
  const { kind } = ERROR_CODES[expected.code];
  expect(recorded.map(({ metadata }) => metadata["code"])).toEqual(kind === "denied" ? [expected.code] : []);
  expect(recorded.every(({ outcome }) => outcome === "denied")).toBe(true);
  if (kind === "denied" && expected.about !== undefined) expect(recorded[0]?.subject).toBe(expected.about);
  if (ERROR_KINDS[kind].exit !== exit) expect(exit).toBe(5);
  return error;
}

export function denials(home: CoreHome): AuditRow[] {
  return existsSync(join(home.folder, "state/core.sqlite3")) ? auditRows(home, "security.denied") : [];
}
