/**
 * Finds short literals in one pass that reads two bytes a step. Of every literal two pairs of bytes are chosen, one at
 * an even and one at an odd place in it: wherever the literal stands, the search comes upon one of them. A table says
 * for each of the 65,536 pairs which literals to compare; ordinary text seldom holds one of the chosen pairs.
 */

import { BLOCK, BYTES, loadBlock, PAIRS, PAIRS_TOGETHER } from "./low-bytes.ts";

/** From common to rare in ordinary output; what is not listed is rarer. */
const COMMON = " 0123456789-etaoinsrhldcumfpgwybv.:/k_=";
/** The same for pairs of letters; a pair that is listed is more common than all that are not. */
const COMMON_PAIRS = (
  "th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le ve co me de hi ri ro ic ne " +
  "ea ra ce li ch ll be ma si om ur ca el ta la ns di fo ho pe ec pr no ct us ac ot il tr ly nc et ut ss so rs un lo wa ge " +
  "ie wh ee wi em ad ol rt po we na ul ni ts mo ow pa im mi ai sh ir su id os iv ia am fi ci vi pl ig tu ev ld ry mp fe bl " +
  "ab gh ty op wo sa ay ex ke ui fr oo av ag if ap gr od bo sp rd do uc bu ei ov by rm ep tt oc fa ef cu rn sc gi da yo cr " +
  "cl du ga qu ue ff ba ey ls va um pp ua up lu go ht ru ug ds lt pi rc rr eg au ck ew mu br bi pt ak pu ui rg ib tl ny ki " +
  "rk ys ob mm fu ph og ms ye ud mb ip ub oi rl gu dr hr cc tw ft wn nu af hu nn eo vo rv nf xp gn sm fl iz ok nl my gl aw"
).split(" ");
/** The bucket of pairs of which one is a control character (but tab and line ends) or no ASCII. */
const NOT_PLAIN = 1;
/** Where in the block something was marked. */
const MARKED = new Uint32Array(BLOCK / 2 / PAIRS_TOGETHER);
const CASE_BIT = 0x20;

/** `offset` is where the pair begins in the literal. */
type Entry = { literal: number; folds: boolean; units: Uint8Array; offset: number };

export class LiteralScan {
  readonly #bucketOf = new Uint16Array(65_536);
  /** The same, and `NOT_PLAIN` where that is what the pair is. */
  readonly #bucketOrNotPlain = new Uint16Array(65_536);
  /** Index 0 stands for no bucket. */
  readonly #buckets: Entry[][] = [[], []];
  /** For each bucket and byte, whether a literal of the bucket may go on (or have begun) with the byte, in either case. */
  readonly #mayFollow: Uint8Array;
  readonly #mayPrecede: Uint8Array;
  readonly #overlap: number;

  /** ASCII literals of 3 characters or more; those of `anyCase`, in small letters, are found in any case. */
  constructor(exact: readonly string[], anyCase: readonly string[]) {
    const all = [...exact, ...anyCase];
    const lengths = all.map((literal) => literal.length);
    if (Math.min(...lengths) < 3) throw new RangeError("a literal is shorter than 3 characters");
    this.#overlap = Math.max(...lengths) * 2;
    for (const [index, literal] of all.entries()) this.#add(literal, index, index >= exact.length);
    this.#mayFollow = new Uint8Array(this.#buckets.length << 8);
    this.#mayPrecede = new Uint8Array(this.#buckets.length << 8);
    this.#mayFollow.fill(1, NOT_PLAIN << 8, (NOT_PLAIN + 1) << 8);
    for (const [bucket, entries] of this.#buckets.entries()) for (const entry of entries) this.#admit(bucket, entry);
    for (let pair = 0; pair < 65_536; pair += 1)
      this.#bucketOrNotPlain[pair] =
        isPlain(pair & 0xff) && isPlain(pair >> 8) ? (this.#bucketOf[pair] ?? 0) : NOT_PLAIN;
  }

  #add(literal: string, index: number, folds: boolean): void {
    const units = new Uint8Array(Buffer.from(literal));
    for (const parity of [0, 1]) {
      const offset = rarestPair(literal, parity);
      for (const first of casesOf(literal.charAt(offset), folds))
        for (const second of casesOf(literal.charAt(offset + 1), folds))
          this.#bucketFor(pairOf(first, second)).push({ literal: index, folds, units, offset });
    }
  }

  #bucketFor(pair: number): Entry[] {
    if (this.#bucketOf[pair] === 0) this.#bucketOf[pair] = this.#buckets.push([]) - 1;
    return this.#buckets[this.#bucketOf[pair] ?? 0] ?? [];
  }

  #admit(bucket: number, { units, offset }: Entry): void {
    const [table, unit] = offset === 0 ? [this.#mayFollow, units[2] ?? 0] : [this.#mayPrecede, units[offset - 1] ?? 0];
    for (const byte of [unit, unit ^ CASE_BIT]) table[(bucket << 8) | byte] = 1;
  }

  /**
   * Calls `found` for every literal in `text` with its index in `[...exact, ...anyCase]`, in order of place but for
   * literals that are close together; one may be told twice. A unit that is not Latin may be taken for a letter.
   * Answers whether the text is plain: of ASCII alone and without control characters but tab and line ends.
   */
  search(text: string, found: (place: number, literal: number) => void): boolean {
    let plain = true;
    for (let from = 0; ; from += BLOCK - this.#overlap) {
      const { length, ascii } = loadBlock(text, from);
      plain = this.#searchBlock(length, plain && ascii, (place, literal) => found(from + place, literal));
      if (from + length >= text.length) return plain;
    }
  }

  /** Once the text is known not to be plain, no more is asked about that. */
  #searchBlock(length: number, plain: boolean, found: (place: number, literal: number) => void): boolean {
    let marks = plain ? this.#bucketOrNotPlain : this.#bucketOf;
    const end = (length + 1) >> 1;
    const marked = markedGroups(marks, end);
    const count = groupsToCompare(marked, marks, this.#mayFollow, this.#mayPrecede);
    for (let index = 0; index < count; index += 1) {
      const first = MARKED[index] as number;
      for (let at = first; at < first + PAIRS_TOGETHER && at < end; at += 1) {
        const bucket = marks[PAIRS[at] as number] as number;
        if (bucket === NOT_PLAIN) marks = this.#bucketOf;
        else if (bucket !== 0) compare(this.#buckets[bucket] ?? [], at * 2, length, found);
      }
    }
    return marks === this.#bucketOrNotPlain;
  }
}

/** Notes in `MARKED` where groups of pairs begin of which one is marked; gives how many. All text goes through this loop. */
function markedGroups(marks: Uint16Array, end: number): number {
  const [pairs, marked] = [PAIRS, MARKED];
  let count = 0;
  for (let at = 0; at < end; at += PAIRS_TOGETHER) {
    const first = (marks[pairs[at] as number] as number) | (marks[pairs[at + 1] as number] as number);
    const second = (marks[pairs[at + 2] as number] as number) | (marks[pairs[at + 3] as number] as number);
    if ((first | second) !== 0) {
      marked[count] = at;
      count += 1;
    }
  }
  return count;
}

/** Of the first `marked` groups keeps those of which a pair also has a byte beside it that fits; gives how many. */
function groupsToCompare(marked: number, marks: Uint16Array, mayFollow: Uint8Array, mayPrecede: Uint8Array): number {
  const [groups, pairs, bytes] = [MARKED, PAIRS, BYTES];
  let count = 0;
  for (let index = 0; index < marked; index += 1) {
    const first = groups[index] as number;
    let fits = 0;
    for (let at = first; at < first + PAIRS_TOGETHER; at += 1) {
      const row = (marks[pairs[at] as number] as number) << 8;
      const before = at === 0 ? 0 : (bytes[at * 2 - 1] as number);
      fits |= (mayFollow[row | (bytes[at * 2 + 2] as number)] as number) | (mayPrecede[row | before] as number);
    }
    if (fits === 0) continue;
    groups[count] = first;
    count += 1;
  }
  return count;
}

function isPlain(byte: number): boolean {
  return (byte >= 0x20 && byte < 0x7f) || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}

function compare(
  entries: readonly Entry[],
  at: number,
  length: number,
  found: (place: number, literal: number) => void,
): void {
  for (const entry of entries) {
    const place = at - entry.offset;
    if (place >= 0 && place + entry.units.length <= length && standsAt(place, entry)) found(place, entry.literal);
  }
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
    const rank = rarityOf(literal.slice(offset, offset + 2));
    if (rank > bestRank) [best, bestRank] = [offset, rank];
  }
  return best;
}

function rarityOf(pair: string): number {
  const listed = COMMON_PAIRS.indexOf(pair.toLowerCase());
  return listed === -1 ? COMMON_PAIRS.length + rarity(pair.charAt(0)) + rarity(pair.charAt(1)) : listed;
}

function rarity(unit: string): number {
  const rank = COMMON.indexOf(unit);
  return rank === -1 ? COMMON.length : rank;
}
