/**
 * Searches text for live secrets and for the shapes of credentials. Cheap conditions run over whole chunks; only
 * lines that meet one are looked at closely, in windows of 8 KiB, so no input makes a pattern slow.
 */

import { HIDDEN } from "@opensentience/protocol";
import { LiteralScan } from "./literal-scan.ts";
import type { LiveSecrets } from "./live-secrets.ts";
import { NAMED_VALUE_HINT, NAME_STEMS, namedValueSpans } from "./named-values.ts";
import { SHAPE_ANCHORS, shapeSpans } from "./secret-shapes.ts";
import { mergeSpans, renderSpans, type Span } from "./span.ts";

/** No pattern runs on more than this many characters at once. */
export const WINDOW = 8192;
const OVERLAP = 1024;

const HINTS = new LiteralScan(SHAPE_ANCHORS, NAME_STEMS);

/**
 * Escapes as a terminal takes them: parameters and control characters inside a CSI do not end it, CAN and SUB cut off
 * every kind of sequence, strings end with BEL or either form of ST. One that begins with a single unit (C1) counts only
 * with its end: alone it is a damaged letter.
 */
const ESCAPES =
  /(?:\x1b\[|\x9b)[\x00-\x09\x0b-\x17\x19\x1c-\x3f]{0,2048}(?:[@-~]|\x18|\x1a)?|\x1b[\]PX^_][^\x07\x18\x1a\x1b\x9c\n]{0,2048}(?:[\x07\x18\x1a\x9c]|\x1b\\)?|[\x90\x98\x9d-\x9f][^\x07\x18\x1a\x1b\x9c\n]{0,2048}(?:[\x07\x18\x1a\x9c]|\x1b\\)|\x1b[ -/]{0,4}[0-~]?/g;
const UNSEEN = new RegExp(`[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f${HIDDEN}]+`, "gu");
/** Units that may be half of an unseen character beyond the first plane count as unseen. */
const UNSEEN_UNIT = new RegExp(UNSEEN.source, "u");

/** 1 for every UTF-16 unit that may be invisible; a table is ten times faster than the pattern on text that is not Latin. */
const INVISIBLE: Uint8Array = invisibleUnits();

function invisibleUnits(): Uint8Array {
  const table = new Uint8Array(65_536);
  for (const [first, end] of [
    [0, 0x3200],
    [0xfe00, 0x10000],
  ] as const)
    for (let unit = first; unit < end; unit += 1) if (UNSEEN_UNIT.test(String.fromCharCode(unit))) table[unit] = 1;
  // The lead halves of shorthand controls, of musical ones and of tags.
  for (const lead of [0xd82f, 0xd834, 0xdb40, 0xdb41, 0xdb42, 0xdb43]) table[lead] = 1;
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

/** A line that holds an anchor of a shape, or of a telling name a stem. */
type HintedLine = { start: number; end: number; anchors: Set<string>; named: boolean };

/** What one look over a text shows. `plain`: only ASCII, nothing of it unseen. `lines`: where to look closely, in order. */
export type Hints = { plain: boolean; lines: HintedLine[] };

export function hintsOf(text: string): Hints {
  const lines: HintedLine[] = [];
  let last: HintedLine | undefined;
  const plain = HINTS.search(text, (place, literal) => {
    if (last === undefined || place >= last.end) {
      const end = text.indexOf("\n", place);
      last = {
        start: place === 0 ? 0 : text.lastIndexOf("\n", place - 1) + 1,
        end: end === -1 ? text.length : end,
        anchors: new Set(),
        named: false,
      };
      lines.push(last);
    }
    const anchor = SHAPE_ANCHORS[literal];
    if (anchor === undefined) last.named = true;
    else last.anchors.add(anchor);
  });
  return { plain, lines };
}

/**
 * Everything in `text` that must go, sorted and without overlaps. `hints` are those of the text; they may be of a longer
 * one that goes on after a line end.
 */
export function secretSpans(text: string, live: LiveSecrets, hints: Hints = hintsOf(text)): Span[] {
  const spans = live.spans(text);
  for (const hinted of hints.lines) {
    if (hinted.start >= text.length) break;
    const line = text.slice(hinted.start, hinted.end);
    if (hinted.anchors.size === 0 && !NAMED_VALUE_HINT.test(line)) continue;
    for (const span of lineSpans(line, hinted)) spans.push(moved(span, hinted.start));
  }
  return mergeSpans(spans);
}

function moved(span: Span, by: number): Span {
  return { from: span.from + by, start: span.start + by, end: span.end + by, label: span.label };
}

/** Windows overlap; a match that touches the end of its window is searched again from its own beginning. */
function lineSpans(line: string, { anchors, named }: HintedLine): Span[] {
  const spans: Span[] = [];
  let at = 0;
  for (;;) {
    const end = Math.min(at + WINDOW, line.length);
    const piece = line.slice(at, end);
    const found = shapeSpans(piece, anchors)
      .concat(named ? namedValueSpans(piece) : [])
      .map((span) => moved(span, at));
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

/** Redacts text of whole lines. `hints` as for `secretSpans`. */
export function redactLines(text: string, live: LiveSecrets, hints: Hints = hintsOf(text)): string {
  if (text === "") return "";
  const spans = secretSpans(text, live, hints);
  if (hints.plain || !hasInvisible(text)) return renderSpans(text, spans);
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
