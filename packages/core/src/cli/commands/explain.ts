import { CoreError, ERROR_ADVICE, ERROR_CODES, ERROR_KINDS, type ErrorCode } from "@opensentience/protocol";
import { nearest } from "../../host/config.ts";
import { type CommandContext, required } from "../context.ts";
import { exitCodeOf } from "../output.ts";

const MAX_MEANT = 3;

/** Throws `usage.unknown_code`, which names the nearest if one is near. */
export async function run(context: CommandContext): Promise<number> {
  const typed = required(context, 0);
  const code = typed.toLowerCase();
  if (!isCode(code)) {
    const meant = codesMeant(code);
    const [near] = meant;
    const shown = typed.slice(0, 80);
    throw new CoreError(
      "usage.unknown_code",
      near === undefined
        ? `there is no error code "${shown}"`
        : `there is no error code "${shown}"; did you mean ${meant.map((each) => `"${each}"`).join(" or ")}?`,
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

/** By letters the nearest one; else those of the same part of Core that share a word with it, however it is inflected. */
function codesMeant(typed: string): string[] {
  const codes = Object.keys(ERROR_CODES);
  const near = nearest(typed, codes);
  const [area, ...words] = typed.slice(0, 80).split(/[._\s-]+/);
  const sharedBy = (code: string): number => {
    const own = code.split(/[._]/).slice(1);
    return words.filter((word) => own.some((each) => word.length > 2 && stem(each) === stem(word))).length;
  };
  const akin = codes
    .filter((code) => code.startsWith(`${area}.`) && sharedBy(code) > 0)
    .sort((a, b) => sharedBy(b) - sharedBy(a));
  return [...new Set([...(near === undefined ? [] : [near]), ...akin])].slice(0, MAX_MEANT);
}

function stem(word: string): string {
  return word.slice(0, 4);
}

function isCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}
