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
