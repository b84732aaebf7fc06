/**
 * What text from outside may be shown to a person. A manifest or a permission is read by somebody who decides on
 * what is seen, so characters that hide or reorder text are refused where the text is parsed, and taken out where
 * refused text has to be quoted in an error. What is shown all the same shows them as escapes (see display.ts).
 */

/**
 * Invisible characters, as the body of a character class: everything that Unicode says to ignore in display (zero
 * width, joiners, fillers, variation selectors, tags), bidirectional marks and overrides, line separators, the empty
 * Braille pattern, format controls of notations and of shorthand, and lone surrogates. The ranges are named as well
 * where a property has them today, so that no version of the Unicode tables takes them out.
 */
export const HIDDEN: string = [
  "\\p{Default_Ignorable_Code_Point}\\p{Bidi_Control}\\p{Surrogate}",
  "\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f",
  "\\u2800\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff9-\\ufffb",
  "\\u{1bca0}-\\u{1bca3}\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e0fff}",
].join("");
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
