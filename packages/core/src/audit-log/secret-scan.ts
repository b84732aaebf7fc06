/**
 * Searches text for live secrets and for the shapes of credentials. Cheap conditions run over whole chunks; only
 * lines that meet one are looked at closely, in windows of 8 KiB, so no input makes a pattern slow.
 */

import { LiteralSet } from "./literal-set.ts";
import type { LiveSecrets } from "./live-secrets.ts";
import { NAMED_VALUE_HINT, namedValueSpans } from "./named-values.ts";
import { SHAPE_ANCHORS, shapeSpans } from "./secret-shapes.ts";
import { mergeSpans, renderSpans, type Span } from "./span.ts";

/** No pattern runs on more than this many characters at once. */
export const WINDOW = 8192;
const OVERLAP = 1024;

const ANCHORS = new LiteralSet(SHAPE_ANCHORS);

/* oxlint-disable no-control-regex -- these are the characters that are looked for */
const ESCAPES =
  /(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]|\x1b[\]PX^_][^\x07\x1b\n]{0,2048}(?:\x07|\x1b\\)?|\x1b[ -/]{0,4}[0-~]?/g;
const UNSEEN =
  /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0]|\udb40[\udc00-\udfff]/g;
/* oxlint-enable no-control-regex */

/** 1 for every UTF-16 unit that may be invisible; a table is ten times faster than the pattern on text that is not Latin. */
const INVISIBLE: Uint8Array = invisibleUnits();

function invisibleUnits(): Uint8Array {
  const table = new Uint8Array(65_536);
  const single = new RegExp(UNSEEN.source.slice(0, UNSEEN.source.indexOf("|")));
  for (const [first, end] of [
    [0, 0x3200],
    [0xfe00, 0x10000],
  ] as const)
    for (let unit = first; unit < end; unit += 1) if (single.test(String.fromCharCode(unit))) table[unit] = 1;
  // The lead half of a tag character.
  table[0xdb40] = 1;
  return table;
}

/** Whether the text holds characters that a reader does not see and that could hide a secret. */
export function hasInvisible(text: string): boolean {
  const table = INVISIBLE;
  for (let at = 0; at < text.length; at += 1) if (table[text.charCodeAt(at)] === 1) return true;
  return false;
}

/** Without terminal escapes, control characters (but tab and line ends) and zero-width characters. */
export function visibleText(text: string): string {
  return text.replaceAll(ESCAPES, "").replaceAll(UNSEEN, "");
}

/** Everything in `text` that must go, sorted and without overlaps. */
export function secretSpans(text: string, live: LiveSecrets): Span[] {
  const spans = live.spans(text);
  let at = 0;
  let named = namedFrom(text, 0);
  let shape = ANCHORS.find(text, 0)?.start ?? Infinity;
  while (at < text.length) {
    if (named < at) named = namedFrom(text, at);
    if (shape < at) shape = ANCHORS.find(text, at)?.start ?? Infinity;
    const hit = Math.min(named, shape);
    if (hit === Infinity) break;
    const lineStart = hit === 0 ? 0 : text.lastIndexOf("\n", hit - 1) + 1;
    const lineEnd = text.indexOf("\n", hit);
    at = lineEnd === -1 ? text.length : lineEnd;
    for (const span of lineSpans(text.slice(lineStart, at))) spans.push(moved(span, lineStart));
  }
  return mergeSpans(spans);
}

function namedFrom(text: string, at: number): number {
  NAMED_VALUE_HINT.lastIndex = at;
  return NAMED_VALUE_HINT.exec(text)?.index ?? Infinity;
}

function moved(span: Span, by: number): Span {
  return { from: span.from + by, start: span.start + by, end: span.end + by, label: span.label };
}

/** Windows overlap; a match that touches the end of its window is searched again from its own beginning. */
function lineSpans(line: string): Span[] {
  const spans: Span[] = [];
  let at = 0;
  for (;;) {
    const end = Math.min(at + WINDOW, line.length);
    const piece = line.slice(at, end);
    const found = [...shapeSpans(piece), ...namedValueSpans(piece)].map((span) => moved(span, at));
    spans.push(...found);
    if (end === line.length) return spans;
    // The next window begins with a whole word, so that a long token is in one of the two.
    const wordStart = at + startOfWord(piece, WINDOW - OVERLAP);
    let next = wordStart > at ? wordStart : end - OVERLAP;
    const last = mergeSpans(found).at(-1);
    if (last !== undefined && last.end === end) {
      if (last.from > at) next = Math.min(next, last.from);
      else {
        next = end + endOfWord(line.slice(end));
        spans.push({ ...last, end: next });
      }
    }
    at = next;
  }
}

function startOfWord(text: string, place: number): number {
  let start = place;
  while (start > 0 && !/[\s"'`]/.test(text.charAt(start - 1))) start -= 1;
  return start;
}

/** How far a value goes on that is too long to be matched as a whole. */
export function endOfWord(text: string): number {
  const end = text.search(/[\s"'`&,;<>]/);
  return end === -1 ? text.length : end;
}

/** Redacts text of whole lines. */
export function redactLines(text: string, live: LiveSecrets): string {
  if (text === "") return "";
  const spans = secretSpans(text, live);
  if (!hasInvisible(text)) return renderSpans(text, spans);
  if (spans.length === 0 && secretSpans(visibleText(text), live).length === 0) return text;
  // Live secrets first and over all lines: one may contain a line break.
  const known = renderSpans(text, mergeSpans(live.spans(text)));
  return known
    .split("\n")
    .map((line) => redactLine(line, live))
    .join("\n");
}

/** SECURITY: escapes inside a secret must not hide it; pinned by "finds secrets behind escapes and zero-width characters". */
function redactLine(line: string, live: LiveSecrets): string {
  const shown = renderSpans(line, secretSpans(line, live));
  if (!hasInvisible(shown)) return shown;
  const visible = visibleText(shown);
  const hidden = secretSpans(visible, live);
  return hidden.length === 0 ? shown : renderSpans(visible, hidden);
}
