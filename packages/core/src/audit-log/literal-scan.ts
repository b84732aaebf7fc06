/**
 * Finds short literals in one pass that reads two bytes a step. Of every literal two pairs of bytes are chosen, one at
 * an even and one at an odd place in it: wherever the literal stands, the search comes upon one of them. A table says
 * for each of the 65,536 pairs which literals to compare; ordinary text seldom holds one of the chosen pairs.
 */

/** From common to rare in ordinary output; what is not listed is rarer. */
const COMMON = " 0123456789-etaoinsrhldcumfpgwybv.:/k_=";
/** Text is searched in blocks of this size, which stay in the cache of the processor. Even, as pairs are. */
const BLOCK = 65_536;
/** Pairs that are looked at together: nearly always none of them means anything. */
const STEP = 4;

/** `offset` is where the pair begins in the literal; the unit at `checkAt` is compared next, with its case bit set. */
type Entry = { literal: number; folds: boolean; units: Uint8Array; offset: number; checkAt: number; check: number };

const CASE_BIT = 0x20;

/** The low bytes of the UTF-16 units of the block that is searched; shared, since a search never waits. */
const PAIRS = new Uint16Array(BLOCK / 2 + STEP);
const BYTES = Buffer.from(PAIRS.buffer);

const CONTROL_PAIRS: Uint16Array = controlPairs();

function controlPairs(): Uint16Array {
  const table = new Uint16Array(65_536);
  const isControl = (unit: number): boolean => unit === 0x7f || (unit < 0x20 && ![0x09, 0x0a, 0x0d].includes(unit));
  for (let first = 0; first < 128; first += 1)
    for (let second = 0; second < 128; second += 1)
      if (isControl(first) || isControl(second)) table[pairOf(first, second)] = 1;
  return table;
}

/** Text without control characters (but tab and line ends) and of ASCII alone: nothing in it is unseen. */
export function isPlain(text: string): boolean {
  if (Buffer.byteLength(text) !== text.length) return false;
  for (let from = 0; from < text.length; from += BLOCK) {
    const end = (load(text, from) + 1) >> 1;
    for (let at = nextMarked(CONTROL_PAIRS, 0, end); at < end; at = nextMarked(CONTROL_PAIRS, at, end))
      for (const stop = Math.min(at + STEP, end); at < stop; at += 1)
        if (CONTROL_PAIRS[PAIRS[at] as number] !== 0) return false;
  }
  return true;
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

export class LiteralScan {
  readonly #bucketOf = new Uint16Array(65_536);
  readonly #buckets: Entry[][] = [[]];
  readonly #overlap: number;

  /** ASCII literals of 3 characters or more; those of `anyCase`, in small letters, are found in any case. */
  constructor(exact: readonly string[], anyCase: readonly string[]) {
    const all = [...exact, ...anyCase];
    const lengths = all.map((literal) => literal.length);
    if (Math.min(...lengths) < 3) throw new RangeError("a literal is shorter than 3 characters");
    this.#overlap = Math.max(...lengths) * 2;
    for (const [index, literal] of all.entries()) this.#add(literal, index, index >= exact.length);
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
   */
  search(text: string, found: (place: number, literal: number) => void): void {
    for (let from = 0; ; from += BLOCK - this.#overlap) {
      const length = load(text, from);
      this.#searchBlock(length, (place, literal) => found(from + place, literal));
      if (from + length >= text.length) return;
    }
  }

  #searchBlock(length: number, found: (place: number, literal: number) => void): void {
    const bucketOf = this.#bucketOf;
    const end = (length + 1) >> 1;
    for (let at = nextMarked(bucketOf, 0, end); at < end; at = nextMarked(bucketOf, at, end))
      for (const stop = Math.min(at + STEP, end); at < stop; at += 1) {
        const bucket = bucketOf[PAIRS[at] as number] as number;
        if (bucket !== 0) this.#compare(bucket, at * 2, length, found);
      }
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

function load(text: string, from: number): number {
  const length = BYTES.write(text.length <= BLOCK ? text : text.slice(from, from + BLOCK), 0, BLOCK, "latin1");
  // A last unit without a partner gets one that means nothing.
  BYTES[length] = 0x0a;
  return length;
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
