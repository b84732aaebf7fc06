/**
 * Redaction of text that arrives in pieces. Whole lines leave at once; of a line that has not ended yet the tail
 * stays here, long enough that no secret is cut in two. Private keys in PEM form are followed over many lines.
 */

import type { LiveSecrets } from "./live-secrets.ts";
import {
  endOfWord,
  type Hints,
  hasInvisible,
  hintsOf,
  redactLines,
  secretSpans,
  visibleText,
  WINDOW,
} from "./secret-scan.ts";
import { renderSpans } from "./span.ts";

/** What a pattern may need of an unfinished line, besides the longest live secret. */
const PATTERN_HOLD = 256;
/** An unfinished line is looked at again after this much more of it. */
const SLACK = 1024;

const KEY_NAME = "[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?";
const KEY_MARK = `-----BEGIN ${KEY_NAME}-----|---- BEGIN ${KEY_NAME} ----`;
const KEY_FOLLOWS = "[ \\t]{0,8}(?:\\\\{1,7}[rn]|[\\r\\n]|[A-Za-z0-9+/=]{16}";
const KEY_BEGIN = new RegExp(`(?:${KEY_MARK})(?=${KEY_FOLLOWS}))`);
const KEY_BEGIN_LAST = new RegExp(`(?:${KEY_MARK})(?=${KEY_FOLLOWS}|$))`);
const KEY_END = new RegExp(`-----END ${KEY_NAME}-----|---- END ${KEY_NAME} ----`);
const KEY_LINE =
  /^[\s"'+]{0,64}[A-Za-z0-9+/=]*(?:\\+[nr])?["'+,;\s]{0,64}$|[A-Za-z0-9+/=]{24}|^\s{0,64}(?:Proc-Type|DEK-Info|Comment|Version|Charset): /;
/** A key without its END line is given up after so many lines, characters, or lines in a row that are no part of a key. */
const KEY_LINES = 200;
const KEY_CHARACTERS = 65_536;
const FOREIGN_LINES = 8;

type OpenKey = { lines: number; characters: number; foreign: number; held: string };

export class RedactionStream {
  readonly #live: LiveSecrets;
  #pending = "";
  #key: OpenKey | undefined;
  #insideLongValue = false;
  /** What did not leave when it was looked at is looked at again when there is this much; 0: as soon as there is enough. */
  #lookAgainAt = 0;

  constructor(live: LiveSecrets) {
    this.#live = live;
  }

  /**
   * Takes the next piece, gives what may be shown by now. SECURITY: text of which nothing can leave yet, in writes of one
   * character: it is looked at again only after half as much more; pinned by "one character a time takes linear time".
   */
  push(text: string): string {
    this.#pending += text;
    const enough = Math.max(this.#hold() + SLACK, this.#lookAgainAt);
    if (!this.#insideLongValue && this.#pending.length <= enough && !text.includes("\n")) return "";
    const shown = this.#work(false);
    const left = this.#pending.length + (this.#key?.held.length ?? 0);
    this.#lookAgainAt = left > this.#hold() + SLACK ? this.#pending.length + Math.ceil(left / 2) : 0;
    return shown;
  }

  /** The text has ended: gives everything that is left. The stream can be used again afterwards. */
  flush(): string {
    const shown = this.#work(true);
    this.#insideLongValue = false;
    this.#lookAgainAt = 0;
    return shown;
  }

  #hold(): number {
    return this.#live.longest + PATTERN_HOLD;
  }

  /** SECURITY: many keys in one piece: of what follows each, nothing is copied or looked at twice; pinned by "many private keys take linear time". */
  #work(last: boolean): string {
    let shown = "";
    let plain: boolean | undefined;
    for (;;) {
      if (this.#insideLongValue) this.#skipLongValue();
      if (this.#key !== undefined) {
        shown += this.#skipKey(this.#key, last);
        if (this.#key !== undefined) return shown;
      }
      // What is left after a key is part of a text whose plainness is known.
      const hints = plain === undefined ? hintsOf(this.#pending) : undefined;
      plain ??= hints?.plain ?? false;
      const begin = this.#findKey(plain, last);
      if (begin === undefined) return shown + this.#release(hints ?? hintsOf(this.#pending), last);
      shown += `${redactLines(this.#pending.slice(0, begin.at), this.#live)}[redacted:private_key]`;
      this.#pending = this.#pending.slice(begin.end);
      this.#key = { lines: 0, characters: 0, foreign: 0, held: "" };
    }
  }

  #skipLongValue(): void {
    const end = endOfWord(this.#pending);
    this.#insideLongValue = end === this.#pending.length;
    this.#pending = this.#pending.slice(end);
  }

  #findKey(plain: boolean, last: boolean): { at: number; end: number } | undefined {
    const pattern = last ? KEY_BEGIN_LAST : KEY_BEGIN;
    let text = this.#pending;
    let match = text.includes("PRIVATE KEY") ? pattern.exec(text) : null;
    if (match === null && !plain && hasInvisible(text)) {
      text = visibleText(text);
      match = text.includes("PRIVATE KEY") ? pattern.exec(text) : null;
    }
    if (match === null) return undefined;
    this.#pending = text;
    return { at: match.index, end: match.index + match[0].length };
  }

  /**
   * Drops the lines of the key; gives what stands in their place besides its label. SECURITY: endless text after BEGIN;
   * pinned by "gives up a private key without an end".
   */
  #skipKey(key: OpenKey, last: boolean): string {
    const text = key.held + this.#pending;
    let at = key.held.length;
    // Lines that are no part of a key are shown after all when it is given up.
    let heldFrom = 0;
    for (;;) {
      const lineEnd = text.indexOf("\n", at) + 1;
      const whole = lineEnd > 0;
      const line = whole ? text.slice(at, lineEnd) : text.slice(at);
      const end = endOfKey(line);
      if (end !== undefined) {
        this.#pending = text.slice(at + end);
        this.#key = undefined;
        return "";
      }
      if (!whole && !last && line.length <= WINDOW) break;
      // Of an unfinished line a tail stays, in which END may be cut.
      const taken = whole || last ? line : line.slice(0, -128);
      at += taken.length;
      if (isOfKey(key, taken)) heldFrom = at;
      if (isGivenUp(key) || (last && at === text.length)) {
        this.#pending = text.slice(heldFrom);
        this.#key = undefined;
        return this.#pending === "" ? "" : "\n";
      }
    }
    key.held = text.slice(heldFrom, at);
    this.#pending = text.slice(at);
    return "";
  }

  #release(hints: Hints, last: boolean): string {
    const text = this.#pending;
    if (last) {
      this.#pending = "";
      return redactLines(text, this.#live, hints);
    }
    let end = text.lastIndexOf("\n") + 1;
    const unfinished = this.#live.unfinishedFrom(text, end);
    if (unfinished < end) end = unfinished === 0 ? 0 : text.lastIndexOf("\n", unfinished - 1) + 1;
    this.#pending = text.slice(end);
    return redactLines(text.slice(0, end), this.#live, hints) + this.#releasePart(hints.plain);
  }

  /** Lets the beginning of a very long unfinished line go. */
  #releasePart(plain: boolean): string {
    if (this.#pending.length <= this.#hold() + SLACK) return "";
    let hold = this.#hold();
    if (!plain && hasInvisible(this.#pending)) {
      const visible = visibleText(this.#pending);
      if (secretSpans(visible, this.#live).length > 0) this.#pending = visible;
      else hold *= 8;
    }
    const text = this.#pending;
    const spans = secretSpans(text, this.#live);
    let cut = Math.max(0, text.length - hold);
    for (const span of spans) {
      if (span.from >= cut || span.end < cut) continue;
      if (span.end < text.length) cut = span.end;
      else if (text.length - span.from <= WINDOW) cut = span.from;
      else {
        this.#pending = "";
        this.#insideLongValue = true;
        return renderSpans(text, spans);
      }
    }
    if (/[\ud800-\udbff]/.test(text.charAt(cut - 1))) cut -= 1;
    this.#pending = text.slice(cut);
    return renderSpans(
      text.slice(0, cut),
      spans.filter((span) => span.end <= cut),
    );
  }
}

/** Where the key's END in this line ends. One with escapes inside it takes the rest of its line along. */
function endOfKey(line: string): number | undefined {
  const end = KEY_END.exec(line);
  if (end !== null) return end.index + end[0].length;
  return hasInvisible(line) && KEY_END.test(visibleText(line)) ? line.trimEnd().length : undefined;
}

function isOfKey(key: OpenKey, line: string): boolean {
  key.characters += line.length;
  key.lines += 1;
  const begins = key.lines === 1 && line.trim() === "";
  const isOf = begins || KEY_LINE.test(line.slice(0, WINDOW));
  key.foreign = isOf ? 0 : key.foreign + 1;
  return isOf;
}

function isGivenUp(key: OpenKey): boolean {
  return key.lines >= KEY_LINES || key.characters >= KEY_CHARACTERS || key.foreign >= FOREIGN_LINES;
}
