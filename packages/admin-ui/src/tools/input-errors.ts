/** What Core found wrong with an input, by the field that it is about. Pure. */
import { safeText } from "@opensentience/protocol";
import { toProblem } from "../api/problem.ts";

type Found = { path: string; rule: string; message?: string };
/** `path` from the top of the input; empty for what concerns the whole. `rule`: the keyword that Core names. */
export type InputError = { path: readonly string[]; rule: string; text: string };

/** Empty for every other problem. The texts are made of the tool's schema, which is the agent's. */
export function inputErrors(problem: unknown): readonly InputError[] {
  if (problem === undefined) return [];
  const { code, details } = toProblem(problem);
  const issues: unknown = code === "tool.invalid_input" ? details["issues"] : undefined;
  if (!Array.isArray(issues)) return [];
  return issues.filter(isFound).map(({ path, rule, message }) => ({
    path: path.split("/").slice(1).map(unescaped),
    rule,
    text: safeText(message ?? `does not keep to "${rule}"`),
  }));
}

function isFound(issue: unknown): issue is Found {
  if (typeof issue !== "object" || issue === null) return false;
  const { path, rule, message } = issue as Record<string, unknown>;
  return typeof path === "string" && typeof rule === "string" && (message === undefined || typeof message === "string");
}

/** RFC 6901. */
function unescaped(part: string): string {
  return part.replaceAll("~1", "/").replaceAll("~0", "~");
}
