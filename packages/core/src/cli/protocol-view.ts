/** The report of a conformance test as text for people. Pure; a reason may quote the agent and is made safe. */
import { oneLine, type Style } from "./format.ts";

type Outcome = { name: string; says: string; status: string; reason?: string };

const COLORS: Record<string, "green" | "red" | "yellow" | "dim"> = {
  passed: "green",
  failed: "red",
  not_run: "yellow",
};
/** Width of the longest name of a case. */
const NAME = 24;

/** The case and how it ended; below a failure what was to be, and what was. */
export function caseLine(style: Style, { name, says, status, reason }: Outcome): string {
  const word = style.paint(COLORS[status] ?? "dim", status.replace("_", " "));
  const line = `${name.padEnd(NAME)} ${word}`;
  if (status === "passed") return line;
  if (status === "failed") return `${line}\n    expected: ${says}\n    but: ${oneLine(reason ?? "")}`;
  return `${line}: ${oneLine(reason ?? "")}`;
}

export function countLine(counts: { passed: number; failed: number; not_applicable: number; not_run: number }): string {
  const { passed, failed, not_applicable: notApplicable, not_run: notRun } = counts;
  const rest = notRun === 0 ? "" : `, ${notRun} not run`;
  return `${passed} passed, ${failed} failed, ${notApplicable} not applicable${rest}`;
}
