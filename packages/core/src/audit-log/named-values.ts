/**
 * `NAME=value`, `"name": "value"`, `name: value`, `--name value` and `<name>value</name>` where the name says that
 * a secret follows. Written by hand instead of as one pattern: every step is bounded, so no input makes it slow.
 */

import { isSecretName } from "./secret-names.ts";
import type { Span } from "./span.ts";

/** Every name that says a secret follows contains one of these, in any case. */
export const NAME_STEMS: readonly string[] =
  "pass pwd secret token key cookie credential authorization jwt bearer mnemonic phrase".split(" ");
const STEMS = NAME_STEMS.join("|");
/** Cheap necessary condition for `namedValueSpans` to find anything; for lines that hold one of the stems. */
export const NAMED_VALUE_HINT: RegExp = new RegExp(
  `(?:${STEMS})[\\w.-]{0,14}["'\`\\\\\\] \\t]{0,8}[:=>]|--[\\w-]{0,40}(?:${STEMS})[\\w-]{0,14}[ \\t]`,
  "i",
);

/** Longest quoted value that is looked at for its closing quote. */
const LONGEST_VALUE = 4096;
const LONGEST_NAME = 80;
/**
 * So many characters of values are judged in a window, each as often as a name stands before it; when they are used up,
 * a value is judged by this much of its beginning.
 */
const MOST_JUDGED = 32_768;
const JUDGED_BEGINNING = 64;
/** A longer value is no word of prose, whatever stands after it. */
const LONGEST_HARMLESS = 64;

/** What stands after a telling name in prose, type declarations and templates, and is no secret. */
const HARMLESS_VALUES = new Set(
  (
    "true false null none nil undefined yes no string number boolean bool str int object any unknown optional required missing invalid valid " +
    "expired must is was are be should cannot can may will not too has have incorrect wrong changed reset updated needed field for to the an and " +
    "or of in on at it if with this that your set unset empty expected unexpected found given ok failed denied refused accepted rotated revoked " +
    "created deleted removed generated redacted hidden masked omitted unavailable disabled enabled refreshed rejected length size count name type"
  ).split(" "),
);
const REFERENCE =
  /^(?:\$\{[^}]*\}|\$[A-Z_][A-Z0-9_]{0,80}$|\$\(|<[^>]{0,80}>|[*•]{3,}|process\.env|os\.environ|os\.getenv|import\.meta\.env|\{\{|%[sdv]$|\[redacted|\[REDACTED|redacted)/;

/** A value is judged by what is seen of it; all of it goes. */
const COLOUR = /\x1b\[[\d;]{0,16}m/g;

/**
 * A window of a line, and what is known of it by now. SECURITY: thousands of names whose values are no secrets reach to
 * the same end: where a bare value ends, and a header, is looked up once for all of them, and judging has a budget;
 * pinned by "names without a secret take linear time".
 */
type Scan = { piece: string; spans: Span[]; budget: number; bare: BareEnd; header: Reach };

/** For every value that begins at `from` or after it, and before `end`. */
type Reach = { from: number; end: number };
/** `closers` is where the closing brackets right before the end begin. */
type BareEnd = Reach & { closers: number };

const NOWHERE = { from: Infinity, end: -1 };

/** `piece` is one line or a window of one, at most 8 KiB. */
export function namedValueSpans(piece: string): Span[] {
  const scan: Scan = {
    piece,
    spans: [],
    budget: MOST_JUDGED,
    bare: { ...NOWHERE, closers: -1 },
    header: NOWHERE,
  };
  const { spans } = scan;
  // What stands inside a value that was found is part of it; looking there again would take quadratic time.
  for (const match of piece.matchAll(/[:=]/g))
    if (match.index >= (spans.at(-1)?.end ?? 0)) assignmentSpan(scan, match.index);
  for (const match of piece.matchAll(/(?<![\w-])--([A-Za-z][\w-]{1,60})[ \t]{1,4}(?=[^\s-])/g))
    if (isSecretName(match[1] ?? "")) pushValue(scan, match.index, match.index + match[0].length, match[1] ?? "");
  for (const match of piece.matchAll(/<([A-Za-z][\w:.-]{0,60})>([^<>\n]{3,1024})(?=<\/)/g))
    if (isSecretName(match[1] ?? ""))
      spans.push(
        spanOf(
          match.index,
          match.index + match[0].length - (match[2] ?? "").length,
          match.index + match[0].length,
          match[1] ?? "",
        ),
      );
  return spans;
}

function assignmentSpan(scan: Scan, separator: number): void {
  const { piece } = scan;
  const next = piece.charAt(separator + 1);
  const colon = piece.charAt(separator) === ":";
  // `a::b` and `secret://path` are no assignments; of `:=` and `==` the last character is the separator.
  if (
    colon &&
    (next === ":" || piece.charAt(separator - 1) === ":" || (next === "/" && piece.charAt(separator + 2) === "/"))
  )
    return;
  if (next === "=") return;
  let end = separator;
  while (end > 0 && separator - end < 12 && /[\s"'`\\\]:=]/.test(piece.charAt(end - 1))) end -= 1;
  let start = end;
  while (start > 0 && end - start < LONGEST_NAME && /[\w.$-]/.test(piece.charAt(start - 1))) start -= 1;
  // A file such as /etc/passwd, followed by what is wrong with it.
  if (colon && piece.charAt(start - 1) === "/") return;
  let name = piece.slice(start, end);
  // `ESC[32mPWD`: the end of a colour is no part of the name.
  if (/\x1b\[[\d;]{0,16}$/.test(piece.slice(Math.max(0, start - 18), start))) name = name.replace(/^\d{0,3}m/, "");
  if (/^keys?$/i.test(name)) {
    const earlier = /([A-Za-z]{3,10})[ \t]$/.exec(piece.slice(Math.max(0, start - 12), start))?.[1];
    if (earlier !== undefined) name = `${earlier}_${name}`;
  }
  if (name === "" || !isSecretName(name)) return;
  pushValue(scan, start, separator + (next === ">" ? 2 : 1), name);
}

function pushValue(scan: Scan, from: number, valueAt: number, name: string): void {
  const { piece } = scan;
  let at = valueAt;
  while (at - valueAt < 8 && /[ \t]/.test(piece.charAt(at))) at += 1;
  if (/^[bu]["']/.test(piece.slice(at, at + 2))) at += 1;
  const list = piece.charAt(at) === "[" && /^\[\s{0,4}\\{0,3}["']/.test(piece.slice(at, at + 9));
  const quote = /^\\{0,7}["'`]/.exec(piece.slice(at, at + 8))?.[0];
  if (quote === undefined && refersElsewhere(piece, at, name)) return;
  let end: number;
  if (list) end = endOf(piece, "]", at + 1);
  else if (quote === undefined) end = isHeader(name) ? headerEnd(scan, at) : bareEnd(scan, at);
  else {
    at += quote.length;
    end = quotedEnd(piece, at, quote);
  }
  if (list || isSecretValue(judgedPart(scan, at, end), name)) scan.spans.push(spanOf(from, at, end, name));
}

function judgedPart(scan: Scan, at: number, end: number): string {
  let length = end - at;
  if (length > JUDGED_BEGINNING) {
    if (length > scan.budget) length = JUDGED_BEGINNING;
    else scan.budget -= length;
  }
  return scan.piece.slice(at, at + length).replaceAll(COLOUR, "");
}

/** Known from the first characters, before the end of the value is looked for. */
function refersElsewhere(piece: string, at: number, name: string): boolean {
  if (/^(?:old)?pwd$/i.test(name) && /[/~]/.test(piece.charAt(at))) return true;
  return REFERENCE.test(piece.slice(at, at + 100));
}

function endOf(piece: string, mark: string, at: number): number {
  const end = piece.indexOf(mark, at);
  return end === -1 ? Math.min(piece.length, at + LONGEST_VALUE) : end;
}

function quotedEnd(piece: string, at: number, quote: string): number {
  if (quote.length > 1) {
    // JSON inside JSON: more backslashes before the quote mean a quote inside the value.
    let end = piece.indexOf(quote, at);
    while (end > at && piece.charAt(end - 1) === "\\") end = piece.indexOf(quote, end + 1);
    return end === -1 ? piece.length : end;
  }
  for (let end = at; end < piece.length; end += 1) {
    const character = piece.charAt(end);
    if (character === "\\") end += 1;
    else if (character === quote) return end;
  }
  return piece.length;
}

const BARE_STOP = /[\s"'`&,;\\]/g;
const BARE_END = /^(?:[&,;](?:$|[\s"'`\\{]|[\w.%-]{1,60}[=:])|\\+["nrt])/;
const HEADER_STOP = /["'`\r\n]/g;

/** End of a value without quotes. `&`, `,` and `;` end it only where something else follows. */
function bareEnd(scan: Scan, at: number): number {
  if (at < scan.bare.from || at > scan.bare.end) {
    const end = bareStop(scan.piece, at);
    let closers = end;
    while (closers > at && /[)\]}>]/.test(scan.piece.charAt(closers - 1))) closers -= 1;
    scan.bare = { from: at, end, closers };
  }
  const { end, closers } = scan.bare;
  return Math.max(closers, Math.min(end, at + 3));
}

function bareStop(piece: string, at: number): number {
  BARE_STOP.lastIndex = at;
  for (let stop = BARE_STOP.exec(piece); stop !== null; stop = BARE_STOP.exec(piece)) {
    const after = piece.slice(stop.index, stop.index + 64);
    if (!/^[&,;\\]/.test(after) || BARE_END.test(after)) return stop.index;
  }
  return piece.length;
}

/** Headers take the line. */
function headerEnd(scan: Scan, at: number): number {
  if (at < scan.header.from || at > scan.header.end) {
    HEADER_STOP.lastIndex = at;
    scan.header = { from: at, end: HEADER_STOP.exec(scan.piece)?.index ?? scan.piece.length };
  }
  return scan.header.end;
}

function isHeader(name: string): boolean {
  return /(?:authorization|cookie)$/i.test(name);
}

function isSecretValue(value: string, name: string): boolean {
  if (value.length < 3 || REFERENCE.test(value) || value.startsWith("{")) return false;
  if (value.length <= LONGEST_HARMLESS && HARMLESS_VALUES.has(value.toLowerCase().replace(/[.,;:!?)]+$/, "")))
    return false;
  if (/cookie$/i.test(name)) return /[^\s=;]=[^\s;]/.test(value) || /^[^\s]{16,}$/.test(value);
  if (/authorization$/i.test(name))
    return (
      /^(?:bearer|basic|digest|negotiate|ntlm|token|apikey|api-key|hawk|dpop|aws4-hmac-sha256)\s+(?!\[redacted)\S{4,}/i.test(
        value,
      ) || /^(?=\S*\d)\S{12,}$/.test(value)
    );
  return !(/token$/i.test(name) && /^\d{1,5}$/.test(value));
}

function spanOf(from: number, start: number, end: number, name: string): Span {
  const label = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "_")
    .replaceAll(/^_+|_+$/g, "")
    .slice(0, 40);
  return { from, start, end, label: label === "" ? "secret" : label };
}
