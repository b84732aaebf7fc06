/**
 * JSON as a person would read it: text that two parsers could understand differently is refused. Linear in time,
 * bounded in depth. Errors give place and reason and never quote the text.
 */

const MAX_NESTING = 32;

/** What was refused and where; line and column count from 1, the column in UTF-16 units. Both texts are safe to show. */
export class StrictJsonError extends Error {
  readonly reason: string;
  readonly line: number;
  readonly column: number;

  constructor(text: string, at: number, reason: string) {
    const before = text.slice(0, at);
    const line = before.split("\n").length;
    const column = at - before.lastIndexOf("\n");
    super(`${line}:${column}: ${reason}`);
    this.name = "StrictJsonError";
    this.reason = reason;
    this.line = line;
    this.column = column;
  }
}

type Cursor = { readonly text: string; at: number; depth: number };

/**
 * Parses one JSON document. Beyond what JSON.parse refuses, it refuses duplicate keys, the keys `__proto__` and
 * `constructor`, nesting over 32, numbers that are not finite, a byte order mark and lone surrogates.
 * Throws StrictJsonError.
 */
export function parseStrictJson(text: string): unknown {
  const cursor: Cursor = { text, at: 0, depth: 0 };
  if (text.startsWith("\ufeff")) fail(cursor, "a byte order mark is not allowed; save the file as plain UTF-8");
  skipSpace(cursor);
  const value = parseValue(cursor);
  skipSpace(cursor);
  if (cursor.at < text.length) fail(cursor, "nothing may follow the JSON value");
  return value;
}

function fail({ text, at }: Cursor, reason: string): never {
  throw new StrictJsonError(text, at, reason);
}

function skipSpace(cursor: Cursor): void {
  for (;;) {
    const code = cursor.text.charCodeAt(cursor.at);
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
    cursor.at += 1;
  }
}

function parseValue(cursor: Cursor): unknown {
  switch (cursor.text[cursor.at]) {
    case "{":
      return parseObject(cursor);
    case "[":
      return parseArray(cursor);
    case '"':
      return parseString(cursor);
    case "t":
      return parseWord(cursor, "true", true);
    case "f":
      return parseWord(cursor, "false", false);
    case "n":
      return parseWord(cursor, "null", null);
    case undefined:
      return fail(cursor, "the text ends where a value is needed");
    default:
      return parseNumber(cursor);
  }
}

function parseWord<T>(cursor: Cursor, word: string, value: T): T {
  if (!cursor.text.startsWith(word, cursor.at)) fail(cursor, "a value is needed here");
  cursor.at += word.length;
  return value;
}

function enter(cursor: Cursor): void {
  // SECURITY: bounded, so that a deep document cannot exhaust the stack; pinned by "refuses nesting over 32".
  if (cursor.depth === MAX_NESTING) fail(cursor, `nesting deeper than ${MAX_NESTING} is not allowed`);
  cursor.depth += 1;
  cursor.at += 1;
  skipSpace(cursor);
}

/** After one entry: true when another follows, false when the container ended. */
function hasNext(cursor: Cursor, end: string): boolean {
  skipSpace(cursor);
  const found = cursor.text[cursor.at];
  if (found !== "," && found !== end) fail(cursor, `a comma or ${end} is needed here`);
  cursor.at += 1;
  if (found === end) return false;
  skipSpace(cursor);
  return true;
}

function isEmpty(cursor: Cursor, end: string): boolean {
  if (cursor.text[cursor.at] !== end) return false;
  cursor.at += 1;
  return true;
}

function parseArray(cursor: Cursor): unknown[] {
  const list: unknown[] = [];
  enter(cursor);
  if (!isEmpty(cursor, "]")) {
    do list.push(parseValue(cursor));
    while (hasNext(cursor, "]"));
  }
  cursor.depth -= 1;
  return list;
}

function parseObject(cursor: Cursor): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  enter(cursor);
  if (!isEmpty(cursor, "}")) {
    do {
      const key = parseKey(cursor, object);
      object[key] = parseValue(cursor);
    } while (hasNext(cursor, "}"));
  }
  cursor.depth -= 1;
  return object;
}

function parseKey(cursor: Cursor, object: Record<string, unknown>): string {
  const start = cursor.at;
  if (cursor.text[start] !== '"') fail(cursor, "a key in double quotes is needed here");
  const key = parseString(cursor);
  // SECURITY: `__proto__` would set the prototype, and of two equal keys each parser picks its own;
  // pinned by "refuses duplicate keys and keys that reach a prototype".
  if (key === "__proto__" || key === "constructor") fail({ ...cursor, at: start }, "this key is not allowed");
  if (Object.hasOwn(object, key)) fail({ ...cursor, at: start }, "this key appears twice in one object");
  skipSpace(cursor);
  if (cursor.text[cursor.at] !== ":") fail(cursor, "a colon is needed after the key");
  cursor.at += 1;
  skipSpace(cursor);
  return key;
}

const ESCAPES: Record<string, string> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

function parseString(cursor: Cursor): string {
  const { text } = cursor;
  const start = cursor.at;
  const pieces: string[] = [];
  let from = start + 1;
  for (cursor.at = from; ; cursor.at += 1) {
    const code = text.charCodeAt(cursor.at);
    if (Number.isNaN(code)) fail({ ...cursor, at: start }, "this string is never closed");
    if (code === 0x22) break;
    if (code < 0x20) fail(cursor, "control characters must be escaped in a string");
    if (code !== 0x5c) continue;
    pieces.push(text.slice(from, cursor.at), parseEscape(cursor));
    from = cursor.at + 1;
  }
  pieces.push(text.slice(from, cursor.at));
  cursor.at += 1;
  const value = pieces.join("");
  if (!value.isWellFormed()) fail({ ...cursor, at: start }, "this string holds half a surrogate pair");
  return value;
}

/** Leaves the cursor on the last character of the escape. */
function parseEscape(cursor: Cursor): string {
  const letter = cursor.text[cursor.at + 1] ?? "";
  if (letter === "u") {
    const digits = cursor.text.slice(cursor.at + 2, cursor.at + 6);
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) fail(cursor, "four hexadecimal digits are needed after \\u");
    cursor.at += 5;
    return String.fromCharCode(Number.parseInt(digits, 16));
  }
  const character = Object.hasOwn(ESCAPES, letter) ? ESCAPES[letter] : undefined;
  if (character === undefined) fail(cursor, "this escape is not known in JSON");
  cursor.at += 1;
  return character;
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

function parseNumber(cursor: Cursor): number {
  NUMBER.lastIndex = cursor.at;
  const match = NUMBER.exec(cursor.text);
  if (match === null) return fail(cursor, "a value is needed here");
  const value = Number(match[0]);
  if (!Number.isFinite(value)) fail(cursor, "this number is too large");
  cursor.at += match[0].length;
  return value;
}
