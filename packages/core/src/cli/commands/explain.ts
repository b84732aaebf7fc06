import { CoreError, ERROR_CODES, ERROR_KINDS, type ErrorCode, type ErrorKind } from "@opensentience/protocol";
import { nearest } from "../../host/config.ts";
import { type CommandContext, required } from "../context.ts";
import { exitCodeOf } from "../output.ts";

const WHAT_TO_DO: Record<ErrorKind, string> = {
  invalid: "Correct what the message names, then try again.",
  usage: "Correct the command line; `opensentience help COMMAND` shows its form.",
  not_found: "Look at what is there, for example with `opensentience agents list`.",
  conflict: "Wait for the other act to end, or stop it, then try again.",
  unauthorized: "Identify yourself to Core, then try again.",
  denied: "Policy refused it. `opensentience agents info ID` shows what is missing; only a person can approve it.",
  unavailable:
    "Something it needs is not there now. `opensentience core status` shows the state; a later try can succeed.",
  timeout: "It took longer than its limit. Try again, or raise the limit in config.toml.",
  canceled: "Somebody ended it. Nothing is half done; try again when wanted.",
  internal: "A fault in Core. Its log has the cause; `opensentience core status` shows the home it is in.",
};

/** Throws `usage.unknown_code`, which names the nearest. */
export async function run(context: CommandContext): Promise<number> {
  const code = required(context, 0);
  if (!isCode(code)) {
    const near = nearest(code, Object.keys(ERROR_CODES));
    throw new CoreError(
      "usage.unknown_code",
      `there is no error code "${code.slice(0, 80)}"; did you mean "${near}"?`,
      {
        details: { nearest: near },
        nextStep: `opensentience explain ${near}`,
      },
    );
  }
  const { kind, meaning } = ERROR_CODES[code];
  const exitCode = exitCodeOf(new CoreError(code, meaning));
  const whatToDo = WHAT_TO_DO[kind];
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
