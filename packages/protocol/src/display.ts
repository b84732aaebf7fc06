/**
 * Text from outside (agents, manifests, git) shown on a terminal: nothing in it may move the cursor, change colours,
 * reverse the direction of reading or hide characters.
 */

/* oxlint-disable no-control-regex -- these are the characters that are looked for */
const UNSAFE =
  /[\x00-\x08\x0a-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|[\u{e0000}-\u{e0fff}]|\p{Surrogate}/gu;
/* oxlint-enable no-control-regex */

const SHORT: Record<string, string> = { "\n": "\\n", "\r": "\\r" };

/**
 * The text with control characters (C0, C1, DEL), terminal escapes, bidirectional overrides, zero-width characters and
 * lone surrogates as visible escapes such as `\x1b` or `\u202e`. Tabs stay; line breaks become `\n`, so split first.
 */
export function safeText(text: string): string {
  return text.replaceAll(UNSAFE, (found) => SHORT[found] ?? escaped(found.codePointAt(0) ?? 0));
}

function escaped(code: number): string {
  const digits = code.toString(16);
  if (code <= 0xff) return `\\x${digits.padStart(2, "0")}`;
  return code <= 0xffff ? `\\u${digits.padStart(4, "0")}` : `\\u{${digits}}`;
}
