/** Errors as Core sends them (problem details, `{"error": …}` lines, the report of a starting Core) back into CoreError. */
import { CoreError, ERROR_CODES, type ErrorCode } from "@opensentience/protocol";

/** A code of a newer Core that this command line does not know becomes `core.internal` and is named in the details. */
export function toError(value: unknown): CoreError {
  const problem = isRecord(value) ? value : {};
  const sent = textOf(problem["code"]) ?? "core.internal";
  const message =
    textOf(problem["detail"]) ??
    textOf(problem["message"]) ??
    textOf(problem["title"]) ??
    "Core refused without a reason";
  const details = isRecord(problem["details"]) ? problem["details"] : {};
  const nextStep = textOf(problem["next_step"]);
  const options = nextStep === undefined ? {} : { nextStep };
  if (isKnown(sent)) return new CoreError(sent, message, { details, ...options });
  return new CoreError("core.internal", `${message} (${sent})`, { details: { ...details, code: sent }, ...options });
}

function isKnown(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
