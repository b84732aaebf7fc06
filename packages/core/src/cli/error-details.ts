/** What an error's details add for people: the end of a failed build with the path of its log, every problem of a manifest or of a tool's input. */
import type { CoreError } from "@opensentience/protocol";
import { oneLine, type Style } from "./format.ts";

const MAX_LINES = 10;
const MAX_PROBLEMS = 20;
/** The message of the error names so many itself. */
const NAMED_PROBLEMS = 3;

/** Whole lines, or empty text. `outputWasShown`: the output of the build stands on the screen already. */
export function errorDetails(style: Style, error: CoreError, outputWasShown: boolean): string {
  const lines = [...buildLines(style, error, outputWasShown), ...problemLines(style, error), ...issueLines(error)];
  return lines.map((line) => `${line}\n`).join("");
}

function buildLines(style: Style, error: CoreError, outputWasShown: boolean): string[] {
  if (!error.code.startsWith("build.")) return [];
  const { last_lines: last, log_path: path } = error.details;
  const lines = !outputWasShown && Array.isArray(last) ? (last as unknown[]).slice(-MAX_LINES) : [];
  return [
    ...lines.map((line) => `  | ${oneLine(String(line))}`),
    ...(typeof path === "string" ? [style.fields([["build log", path]])] : []),
  ];
}

/** Of a value that breaks a tool's schema in several places: the message has the first. */
export function issueLines({ code, details }: { code: string; details: Record<string, unknown> }): string[] {
  const issues = code === "tool.invalid_input" || code === "tool.invalid_output" ? details["issues"] : undefined;
  if (!Array.isArray(issues) || issues.length < 2) return [];
  return (issues as { message?: unknown }[]).slice(0, MAX_LINES).map(({ message }) => `  ${oneLine(String(message))}`);
}

function problemLines(style: Style, error: CoreError): string[] {
  const problems = error.code === "manifest.invalid" ? error.details["problems"] : undefined;
  if (!Array.isArray(problems) || problems.length <= NAMED_PROBLEMS) return [];
  const shown = (problems as { path?: unknown; message?: unknown }[])
    .slice(0, MAX_PROBLEMS)
    .map(({ path, message }) => `  ${style.paint("red", oneLine(String(path)))} ${oneLine(String(message))}`);
  return problems.length > MAX_PROBLEMS ? [...shown, `  … and ${problems.length - MAX_PROBLEMS} more`] : shown;
}
