/**
 * What text from outside may be shown to a person. A manifest or a permission is read by somebody who decides on
 * what is seen, so characters that hide or reorder text are refused where the text is parsed, and taken out where
 * refused text has to be quoted in an error. What is shown all the same shows them as escapes (see display.ts).
 */

import { HIDDEN } from "./hidden-characters.ts";

const CONTROLS = "\\u0000-\\u001f\\u007f-\\u009f";

/** Whole strings that hold no control, bidi, zero-width or other invisible character. */
export const PRINTABLE_TEXT: RegExp = new RegExp(`^[^${CONTROLS}${HIDDEN}]*$`, "u");

/** As PRINTABLE_TEXT, but tab and newline are allowed: arguments of a program may span lines. */
export const PRINTABLE_ARGUMENT: RegExp = new RegExp(
  `^[^\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f${HIDDEN}]*$`,
  "u",
);

const UNPRINTABLE = new RegExp(`[${CONTROLS}${HIDDEN}]`, "gu");

/** Quotes foreign text in a message: hidden characters removed, cut at `limit` UTF-16 units with an ellipsis. */
export function echoText(text: string, limit = 80): string {
  // One hidden character counts too, so only a bounded piece is ever looked at.
  const visible = text.slice(0, limit * 4).replace(UNPRINTABLE, "");
  if (visible.length <= limit && text.length <= limit * 4) return visible;
  return `${visible.slice(0, limit - 1).toWellFormed()}…`;
}
