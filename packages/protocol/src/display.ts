/**
 * Text from outside (agents, manifests, git) shown on a terminal: nothing in it may move the cursor, change colours,
 * reverse the direction of reading or hide characters.
 */
import { HIDDEN } from "./hidden-characters.ts";

/** Nothing in it is unsafe. Nearly every text is so, and then the expression below, dear to build, is not needed. */
const PLAIN = /^[\t\x20-\x7e]*$/;
const PLAIN_LINES = /^[\t\n\x20-\x7e]*$/;

let built: RegExp | undefined;
const unsafe = (): RegExp => (built ??= new RegExp(`[\\x00-\\x08\\x0a-\\x1f\\x7f-\\x9f${HIDDEN}]`, "gu"));

const SHORT: Record<string, string> = { "\n": "\\n", "\r": "\\r" };

/**
 * The text with control characters (C0, C1, DEL), terminal escapes, bidirectional overrides, zero-width characters and
 * lone surrogates as visible escapes such as `\x1b` or `\u202e`. Tabs stay; line breaks become `\n`, so split first.
 */
export function safeText(text: string): string {
  if (PLAIN.test(text)) return text;
  return text.replaceAll(unsafe(), (found) => SHORT[found] ?? escaped(found.codePointAt(0) ?? 0));
}

function escaped(code: number): string {
  const digits = code.toString(16);
  if (code <= 0xff) return `\\x${digits.padStart(2, "0")}`;
  return code <= 0xffff ? `\\u${digits.padStart(4, "0")}` : `\\u{${digits}}`;
}

/**
 * An argument vector as a shell would need it written: `a b` and `"a b"` differ. For reading, not for running: what
 * hides something is escaped.
 */
export function commandText(argv: readonly string[]): string {
  return argv.map(shellWord).join(" ");
}

function shellWord(argument: string): string {
  if (/^[\w@%+=:,./-]+$/.test(argument)) return argument;
  const safe = safeText(argument);
  if (safe === argument) return `'${argument.replaceAll("'", String.raw`'\''`)}'`;
  // Only in this form does an escape stand for what it says, so that `\n` typed and a line break differ too.
  return `$'${safeText(argument.replaceAll("\\", "\\\\")).replaceAll("'", String.raw`\'`)}'`;
}

/** So much of a name is shown. */
const MAX_NAME = 200;

/**
 * File names that somebody else chose, in one line: each is written as a shell would need it, so that a comma and a space
 * within a name do not pass for the end of it, and cut when it is very long; of more than `most` the first are named.
 */
export function namesText(names: readonly string[], most: number): string {
  return names
    .slice(0, most)
    .map((name) => shellWord(shortName(name)))
    .join(", ");
}

/** At most 200 UTF-16 units of a name, with an ellipsis where it was longer. */
export function shortName(name: string): string {
  return name.length <= MAX_NAME ? name : `${name.slice(0, MAX_NAME - 1).toWellFormed()}…`;
}

/**
 * The value as JSON text that is safe on a terminal: what `safeText` would escape is a `\uXXXX`, which every JSON reader
 * takes for the same character. `indent` as for JSON.stringify.
 */
export function safeJson(value: unknown, indent?: number): string {
  // JSON.stringify has escaped the line breaks inside of strings, so those that are left stand between values.
  const text = JSON.stringify(value, null, indent);
  if (PLAIN_LINES.test(text)) return text;
  return text.replaceAll(unsafe(), (found) => (found === "\n" ? found : unitEscapes(found)));
}

/** JSON knows only escapes of UTF-16 units. */
function unitEscapes(character: string): string {
  return Array.from(
    { length: character.length },
    (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`,
  ).join("");
}
