/** The building blocks of the manifest's schema: bounded texts, lists, paths and quantities, each with its message. */
import { z } from "zod";
import { PRINTABLE_ARGUMENT, PRINTABLE_TEXT, echoText } from "../printable-text.ts";

type Issue = { input?: unknown };

/** `hint` completes the sentence "write …". */
export function missingOr(kind: string, hint: string): (issue: Issue) => string {
  return ({ input }) => (input === undefined ? `is missing; write ${hint}` : `must be ${kind}; write ${hint}`);
}

/** A refused value in quotes, or nothing when it is no text. */
export function quoted({ input }: Issue): string {
  return typeof input === "string" ? `"${echoText(input)}"` : "this value";
}

const INVISIBLE = "holds control, direction or invisible characters; write it without them";

export function text(max: number, hint: string): z.ZodString {
  return z
    .string({ error: missingOr("a text", hint) })
    .max(max, { abort: true, error: `is over ${max} characters; shorten it` })
    .refine((value) => PRINTABLE_TEXT.test(value), { abort: true, error: INVISIBLE });
}

/** One element of an argument vector; tab and newline are allowed. */
export function argument(max: number): z.ZodString {
  return z
    .string({ error: "must be a text; write each argument as its own string" })
    .max(max, { abort: true, error: `is over ${max} characters; shorten it` })
    .refine((value) => PRINTABLE_ARGUMENT.test(value), { error: INVISIBLE });
}

export function textList(maxItems: number, maxChars: number, hint: string): z.ZodArray<z.ZodString> {
  return z
    .array(text(maxChars, hint), { error: missingOr("a list of texts", `a list such as ["${hint}"]`) })
    .max(maxItems, { abort: true, error: `has over ${maxItems} entries; remove some` });
}

const SEGMENT = String.raw`(?!\.{1,2}(?:\/|$))[^\/\\]+`;
/** Relative, inside the folder: no leading `/`, no `..`, no backslash; a leading `./` may stand. */
export const INNER_PATH: RegExp = new RegExp(`^(?:\\.\\/)?${SEGMENT}(?:\\/${SEGMENT})*$`, "u");
/** An inner path that contains a `/`, or the bare name of a program. */
export const PROGRAM: RegExp = new RegExp(
  `^(?:[A-Za-z0-9_][A-Za-z0-9._+-]*|\\.\\/${SEGMENT}(?:\\/${SEGMENT})*|${SEGMENT}(?:\\/${SEGMENT})+)$`,
  "u",
);

/** A number, or a text of the given form such as `256Mi`. */
export function quantity(form: RegExp, hint: string): z.ZodType<string | number> {
  const error = `is not understood; write ${hint}`;
  const number = z.number({ error }).min(0, { error }).max(Number.MAX_SAFE_INTEGER, { error });
  const written = z.string({ error }).max(32, { abort: true, error }).regex(form, { error });
  return z.union([number, written], { error });
}

const MAX_DEPTH = 32;

/** Display-only data: any JSON whose keys and texts can be shown as they are. */
export function showable<T extends z.ZodType>(schema: T): T {
  return schema.refine((value) => isShowable(value, MAX_DEPTH), {
    error: `${INVISIBLE} (texts up to 2000 characters)`,
  });
}

function isShowable(value: unknown, depth: number): boolean {
  if (typeof value === "string") return value.length <= 2000 && PRINTABLE_TEXT.test(value);
  if (typeof value !== "object" || value === null) return true;
  return (
    depth > 0 && Object.entries(value).every(([key, entry]) => PRINTABLE_TEXT.test(key) && isShowable(entry, depth - 1))
  );
}
