import { CoreError, ERROR_ADVICE, ERROR_CODES, ERROR_KINDS, type ErrorCode } from "@opensentience/protocol";
import { nearest } from "../../host/config.ts";
import { type CommandContext, required } from "../context.ts";
import { exitCodeOf } from "../output.ts";

/** Throws `usage.unknown_code`, which names the nearest if one is near. */
export async function run(context: CommandContext): Promise<number> {
  const code = required(context, 0);
  if (!isCode(code)) {
    const near = nearest(code, Object.keys(ERROR_CODES));
    const shown = code.slice(0, 80);
    throw new CoreError(
      "usage.unknown_code",
      near === undefined
        ? `there is no error code "${shown}"`
        : `there is no error code "${shown}"; did you mean "${near}"?`,
      {
        details: { nearest: near ?? null },
        nextStep: near === undefined ? "opensentience help explain" : `opensentience explain ${near}`,
      },
    );
  }
  const { kind, meaning } = ERROR_CODES[code];
  const exitCode = exitCodeOf(new CoreError(code, meaning));
  const whatToDo = ERROR_ADVICE[code];
  context.output.result(
    { code, kind, meaning, what_to_do: whatToDo, exit_code: exitCode, http_status: ERROR_KINDS[kind].status },
    (style) =>
      `${style.paint("bold", code)}\n${style.fields([
        ["meaning", meaning],
        ["what to do", whatToDo],
        ["exit code", String(exitCode)],
      ])}`,
  );
  return 0;
}

function isCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}
