/**
 * Live secrets: values that Core knows to be secret while a run, a session or Core itself is alive. Each value is
 * searched in every form in which programs usually print it. The caller forgets it when the secret is dead.
 */

import { LiteralSet } from "./literal-set.ts";
import type { Span } from "./span.ts";

/** Shorter values would redact ordinary words; the operator is told so when such a value is approved. */
export const SHORTEST_SECRET_BYTES = 8;
/** A longer value is searched in pieces of this size (a multiple of 3 keeps the base64 of the pieces aligned). */
const PIECE_BYTES = 4095;
/** A shorter line of a value of several lines is not looked for on its own. */
const SHORTEST_LINE = 8;

type Entry = { count: number; label: string; forms: string[] };

export class LiveSecrets {
  readonly #entries = new Map<string, Entry>();
  #set = new LiteralSet([]);
  #labels: string[] = [];
  #multiLine: string[] = [];

  /** Longest form in UTF-16 units: what a stream has to hold back. */
  get longest(): number {
    return this.#set.longest;
  }

  add(value: string, label: string): () => void {
    if (Buffer.byteLength(value) < SHORTEST_SECRET_BYTES) return () => {};
    const entry = this.#entries.get(value);
    if (entry === undefined) {
      this.#entries.set(value, { count: 1, label: cleanLabel(label), forms: formsOf(value) });
      this.#rebuild();
    } else entry.count += 1;
    let forgotten = false;
    return () => {
      if (forgotten) return;
      forgotten = true;
      this.#release(value);
    };
  }

  #release(value: string): void {
    const entry = this.#entries.get(value);
    if (entry === undefined) return;
    entry.count -= 1;
    if (entry.count > 0) return;
    this.#entries.delete(value);
    this.#rebuild();
  }

  #rebuild(): void {
    const labels = new Map<string, string>();
    for (const entry of this.#entries.values())
      for (const form of entry.forms) if (!labels.has(form)) labels.set(form, entry.label);
    const forms = [...labels.keys()];
    this.#labels = [...labels.values()];
    this.#multiLine = forms.filter((form) => form.includes("\n"));
    this.#set = new LiteralSet(forms);
  }

  /** Every place at which a secret stands, in order; they may overlap, since one may begin inside another. */
  spans(text: string): Span[] {
    const spans: Span[] = [];
    this.#set.search(text, ({ start, end, index }) =>
      spans.push({ from: start, start, end, label: this.#labels[index] ?? "secret" }),
    );
    return spans;
  }

  /**
   * Where a secret with a line break begins that reaches over `border`, or may do so once the text goes on;
   * `border` if there is none.
   */
  unfinishedFrom(text: string, border: number): number {
    let earliest = border;
    for (const form of this.#multiLine) {
      const first = form.charAt(0);
      let at = text.indexOf(first, Math.max(0, border - form.length + 1));
      while (at !== -1 && at < earliest) {
        if (form.startsWith(text.slice(at)) || (at + form.length > border && text.startsWith(form, at))) earliest = at;
        at = text.indexOf(first, at + 1);
      }
    }
    return earliest;
  }
}

function cleanLabel(label: string): string {
  return label.replaceAll(/[^A-Za-z0-9_.:-]/g, "_").slice(0, 64) || "secret";
}

function formsOf(value: string): string[] {
  const forms = new Set<string>();
  for (const text of printedWays(value)) addForms(text, forms);
  return [...forms].filter((form) => form.length >= 3);
}

/** As it is, without the white space around it (a file's last line end), and with the other kind of line ends. */
function printedWays(value: string): Set<string> {
  const ways = new Set<string>();
  for (const text of [value, value.trim()])
    if (Buffer.byteLength(text) >= SHORTEST_SECRET_BYTES) {
      ways.add(text);
      ways.add(text.replaceAll(/\r\n?/g, "\n"));
      ways.add(text.replaceAll(/\r?\n/g, "\r\n"));
    }
  return ways;
}

function addForms(value: string, forms: Set<string>): void {
  for (const text of textPieces(value)) {
    forms.add(text);
    for (const encoded of urlForms(text.toWellFormed())) forms.add(encoded);
    for (const escaped of jsonForms(text)) forms.add(escaped);
    for (const quoted of quotedForms(text)) forms.add(quoted);
    // A secret of several lines is often printed with a prefix per line; its longer lines are secret on their own.
    if (/[\r\n]/.test(text))
      for (const line of text.split(/[\r\n]+/).map((one) => one.trim()))
        if (line.length >= SHORTEST_LINE && !line.startsWith("-----")) forms.add(line);
  }
  const bytes = Buffer.from(value);
  for (const at of pieceStarts(bytes.length)) {
    const piece = bytes.subarray(at, at + PIECE_BYTES);
    forms.add(piece.toString("hex"));
    forms.add(piece.toString("hex").toUpperCase());
    for (const form of base64Forms(piece)) forms.add(form);
  }
}

/**
 * Where the pieces of a long value begin; a short rest is covered by a last piece that overlaps the one before, at a
 * multiple of 3 like the others.
 */
function pieceStarts(length: number): number[] {
  const starts: number[] = [];
  for (let at = 0; at < length; at += PIECE_BYTES) {
    const isShort = at > 0 && length - at < SHORTEST_SECRET_BYTES;
    starts.push(isShort ? at - Math.ceil(SHORTEST_SECRET_BYTES / 3) * 3 : at);
  }
  return starts;
}

const textPieces = (value: string): string[] =>
  pieceStarts(value.length).map((at) => value.slice(at, at + PIECE_BYTES));

/**
 * Percent signs as JavaScript writes them, as RFC 3986 asks for (all but letters, digits and `-._~`), as forms do (space
 * as `+`, `~` encoded), and with `/` left alone; each in both cases of hex.
 */
function urlForms(text: string): string[] {
  const usual = encodeURIComponent(text);
  const percent = (mark: string): string => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`;
  const strict = usual.replaceAll(/[!'()*]/g, percent);
  const form = usual.replaceAll(/[!'()~]/g, percent).replaceAll("%20", "+");
  const forms = [usual, strict, form, usual.replaceAll("%20", "+"), strict.replaceAll("%20", "+")];
  for (const one of [usual, strict]) forms.push(one.replaceAll("%2F", "/"));
  return forms.flatMap((one) => [one, one.replaceAll(/%[0-9A-F]{2}/g, (code) => code.toLowerCase())]);
}

/**
 * The ways in which JSON writers escape: as JavaScript does, with `\/`, in ASCII only, without the marks of HTML (Go those
 * of brackets and `&`, .NET quotes and `+` too), and JSON inside JSON; `\u` in both cases of hex.
 */
function jsonForms(text: string): string[] {
  const plain = JSON.stringify(text).slice(1, -1);
  const escape = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  const unicode = plain.replaceAll('\\"', escape('"'));
  const forms = [
    plain,
    plain.replaceAll(/[\u007f-\uffff]/g, escape),
    plain.replaceAll(/[<>&\u2028\u2029]/g, escape),
    plain.replaceAll(/[<>&'\u007f-\uffff]/g, escape),
    unicode.replaceAll(/[<>&'+`\u007f-\uffff]/g, escape),
    plain.replaceAll("/", "\\/"),
    plain.replaceAll("/", "\\/").replaceAll(/[\u007f-\uffff]/g, escape),
    JSON.stringify(plain).slice(1, -1),
  ];
  return forms.flatMap((one) => [one, one.replaceAll(/\\u[0-9a-f]{4}/g, upperCaseHex)]);
}

const upperCaseHex = (code: string): string => `\\u${code.slice(2).toUpperCase()}`;

/** Inside single quotes as programs and as a shell write them, and with the backslashes of a literal in code. */
function quotedForms(text: string): string[] {
  const doubled = text.replaceAll("\\", "\\\\");
  return [
    text.replaceAll("'", "\\'"),
    doubled.replaceAll("'", "\\'"),
    text.replaceAll("'", "'\\''"),
    text.replaceAll("'", `'"'"'`),
  ];
}

/** Base64 of the bytes alone, and what of it survives inside the base64 of a longer text, at each of 3 alignments. */
function base64Forms(bytes: Buffer): string[] {
  const forms = [bytes.toString("base64"), bytes.toString("base64url")];
  for (const offset of [0, 1, 2]) {
    const shifted = Buffer.concat([Buffer.alloc(offset), bytes]).toString("base64");
    const core = shifted.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6));
    forms.push(core, core.replaceAll("+", "-").replaceAll("/", "_"));
  }
  forms.push((forms[0] ?? "").replace(/=+$/, ""));
  return forms;
}
