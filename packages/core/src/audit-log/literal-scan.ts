/**
 * Finds short literals in one pass that reads two bytes a step. Of every literal two pairs of bytes are chosen, one at
 * an even and one at an odd place in it: wherever the literal stands, the search comes upon one of them. A table says
 * for each of the 65,536 pairs which literals to compare; ordinary text seldom holds one of the chosen pairs.
 */

import { BLOCK, BYTES, loadBlock, PAIRS, PAIRS_BEYOND } from "./low-bytes.ts";

/** From common to rare in ordinary output; what is not listed is rarer. */
const COMMON = " 0123456789-etaoinsrhldcumfpgwybv.:/k_=";
/** `offset` is where the pair begins in the literal; the unit at `checkAt` is compared next, with its case bit set. */
type Entry = { literal: number; folds: boolean; units: Uint8Array; offset: number; checkAt: number; check: number };

const CASE_BIT = 0x20;

/** In place of a bucket: one of the pair is a control character (but tab and line ends) or no ASCII. */
const NOT_PLAIN = 0xffff;
/** Pairs that are looked at together: nearly always none of them means anything. */
const STEP = PAIRS_BEYOND;

export class LiteralScan {
  readonly #bucketOf = new Uint16Array(65_536);
  /** The same, and where there is no bucket `NOT_PLAIN` if that is what the pair is. */
  readonly #bucketOrNotPlain = new Uint16Array(65_536);
  readonly #buckets: Entry[][] = [[]];
  readonly #overlap: number;

  /** ASCII literals of 3 characters or more; those of `anyCase`, in small letters, are found in any case. */
  constructor(exact: readonly string[], anyCase: readonly string[]) {
    const all = [...exact, ...anyCase];
    const lengths = all.map((literal) => literal.length);
    if (Math.min(...lengths) < 3) throw new RangeError("a literal is shorter than 3 characters");
    this.#overlap = Math.max(...lengths) * 2;
    for (const [index, literal] of all.entries()) this.#add(literal, index, index >= exact.length);
    for (let pair = 0; pair < 65_536; pair += 1)
      this.#bucketOrNotPlain[pair] =
        isPlain(pair & 0xff) && isPlain(pair >> 8) ? (this.#bucketOf[pair] ?? 0) : NOT_PLAIN;
  }

  #add(literal: string, index: number, folds: boolean): void {
    const units = new Uint8Array(Buffer.from(literal));
    for (const parity of [0, 1]) {
      const offset = rarestPair(literal, parity);
      const checkAt = offset === 0 ? 2 : offset - 1;
      const check = (units[checkAt] ?? 0) | CASE_BIT;
      for (const first of casesOf(literal.charAt(offset), folds))
        for (const second of casesOf(literal.charAt(offset + 1), folds))
          this.#bucketFor(pairOf(first, second)).push({ literal: index, folds, units, offset, checkAt, check });
    }
  }

  #bucketFor(pair: number): Entry[] {
    if (this.#bucketOf[pair] === 0) this.#bucketOf[pair] = this.#buckets.push([]) - 1;
    return this.#buckets[this.#bucketOf[pair] ?? 0] ?? [];
  }

  /**
   * Calls `found` for every literal in `text` with its index in `[...exact, ...anyCase]`, in order of place but for
   * literals that are close together; one may be told twice. A unit that is not Latin may be taken for a letter.
   * Answers whether the text is plain: of ASCII alone and without control characters but tab and line ends.
   */
  search(text: string, found: (place: number, literal: number) => void): boolean {
    let plain = Buffer.byteLength(text) === text.length;
    for (let from = 0; ; from += BLOCK - this.#overlap) {
      const length = loadBlock(text, from);
      plain = this.#searchBlock(length, plain, (place, literal) => found(from + place, literal));
      if (from + length >= text.length) return plain;
    }
  }

  /** Once the text is known not to be plain, no more is asked about that. */
  #searchBlock(length: number, plain: boolean, found: (place: number, literal: number) => void): boolean {
    let marks = plain ? this.#bucketOrNotPlain : this.#bucketOf;
    const end = (length + 1) >> 1;
    for (let at = nextMarked(marks, 0, end); at < end; at = nextMarked(marks, at, end))
      for (const stop = Math.min(at + STEP, end); at < stop; at += 1) {
        const bucket = marks[PAIRS[at] as number] as number;
        if (bucket === NOT_PLAIN) marks = this.#bucketOf;
        else if (bucket !== 0) this.#compare(bucket, at * 2, length, found);
      }
    return marks === this.#bucketOrNotPlain;
  }

  #compare(bucket: number, at: number, length: number, found: (place: number, literal: number) => void): void {
    const entries = this.#buckets[bucket] as Entry[];
    for (let index = 0; index < entries.length; index += 1) {
      const entry = entries[index] as Entry;
      const place = at - entry.offset;
      if (place < 0 || ((BYTES[place + entry.checkAt] as number) | CASE_BIT) !== entry.check) continue;
      if (place + entry.units.length <= length && standsAt(place, entry)) found(place, entry.literal);
    }
  }
}

/** From `from` on, the first place at which one of the next pairs is marked. This is the loop that all text goes through. */
function nextMarked(marks: Uint16Array, from: number, end: number): number {
  const pairs = PAIRS;
  let at = from;
  for (; at < end; at += STEP) {
    const first = (marks[pairs[at] as number] as number) | (marks[pairs[at + 1] as number] as number);
    const second = (marks[pairs[at + 2] as number] as number) | (marks[pairs[at + 3] as number] as number);
    if ((first | second) !== 0) break;
  }
  return at;
}

function isPlain(byte: number): boolean {
  return (byte >= 0x20 && byte < 0x7f) || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}

function standsAt(place: number, entry: Entry): boolean {
  const { units, folds } = entry;
  for (let at = 0; at < units.length; at += 1) {
    const unit = BYTES[place + at] as number;
    if (unit !== units[at] && !(folds && unit >= 0x41 && unit <= 0x5a && (unit | 0x20) === units[at])) return false;
  }
  return true;
}

/** The pair as the processor reads it, whatever its byte order. */
function pairOf(first: number, second: number): number {
  return new Uint16Array(Uint8Array.of(first, second).buffer)[0] ?? 0;
}

function casesOf(letter: string, folds: boolean): Set<number> {
  return new Set([letter, folds ? letter.toUpperCase() : letter].map((unit) => unit.charCodeAt(0)));
}

/** The offset of this parity at which the least common pair begins. */
function rarestPair(literal: string, parity: number): number {
  let best = parity;
  let bestRank = -1;
  for (let offset = parity; offset + 1 < literal.length; offset += 2) {
    const rank = rarity(literal.charAt(offset)) + rarity(literal.charAt(offset + 1));
    if (rank > bestRank) [best, bestRank] = [offset, rank];
  }
  return best;
}

function rarity(unit: string): number {
  const rank = COMMON.indexOf(unit);
  return rank === -1 ? COMMON.length : rank;
}
