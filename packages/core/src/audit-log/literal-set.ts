/**
 * Finds any of many literals in one pass (the Wu-Manber algorithm): a table says for every pair or triple of
 * characters how far the search may jump, so the cost hardly grows with the number of literals.
 */

import { BYTES, BLOCK, loadBlock } from "./low-bytes.ts";

const TABLE_SIZE = 1 << 14;

export type LiteralHit = { start: number; end: number; index: number };

export class LiteralSet {
  /** Length of the longest literal in UTF-16 units; 0 for an empty set. */
  readonly longest: number;
  readonly #literals: readonly string[];
  readonly #window: number;
  readonly #block: number;
  readonly #shift = new Uint8Array(TABLE_SIZE);
  readonly #buckets = new Map<number, number[]>();

  /** Literals need at least 3 characters; a caller that passes shorter ones has a fault. */
  constructor(literals: readonly string[]) {
    this.#literals = literals;
    const lengths = literals.map((literal) => literal.length);
    this.longest = lengths.length === 0 ? 0 : Math.max(...lengths);
    this.#window = Math.min(200, lengths.length === 0 ? 3 : Math.min(...lengths));
    if (this.#window < 3) throw new RangeError("a literal is shorter than 3 characters");
    this.#block = this.#window >= 6 ? 3 : 2;
    this.#shift.fill(this.#window - this.#block + 1);
    for (const [index, literal] of literals.entries()) this.#add(literal, index);
  }

  #add(literal: string, index: number): void {
    const bytes = Buffer.from(literal.slice(0, this.#window), "latin1");
    for (let at = this.#block - 1; at < this.#window; at += 1) {
      const key = this.#key(bytes, at);
      this.#shift[key] = Math.min(this.#shift[key] ?? 0, this.#window - 1 - at);
      if (at < this.#window - 1) continue;
      const bucket = this.#buckets.get(key);
      if (bucket === undefined) this.#buckets.set(key, [index]);
      else bucket.push(index);
    }
  }

  #key(bytes: Buffer, at: number): number {
    return this.#block === 3 ? tripleKey(bytes, at) : pairKey(bytes, at);
  }

  /** Calls `found` for every place at which a literal stands, in order; of several at one place for the longest. */
  search(text: string, found: (hit: LiteralHit) => void): void {
    const reach = this.#window - 1;
    if (this.#literals.length === 0 || text.length <= reach) return;
    for (let from = 0; ; from += BLOCK - reach) {
      const { length } = loadBlock(text, from);
      for (let at = this.#next(reach, length); at < length; at = this.#next(at + 1, length)) {
        const hit = this.#verify(text, from + at - reach, this.#key(BYTES, at));
        if (hit !== undefined) found(hit);
      }
      if (from + length >= text.length) return;
    }
  }

  /** The next place from which no jump is possible. This is the loop that all text goes through. */
  #next(from: number, length: number): number {
    const [shift, bytes] = [this.#shift, BYTES];
    let at = from;
    if (this.#block === 3)
      while (at < length) {
        const jump = shift[tripleKey(bytes, at)] as number;
        if (jump === 0) break;
        at += jump;
      }
    else
      while (at < length) {
        const jump = shift[pairKey(bytes, at)] as number;
        if (jump === 0) break;
        at += jump;
      }
    return at;
  }

  #verify(text: string, start: number, key: number): LiteralHit | undefined {
    let best: LiteralHit | undefined;
    for (const index of this.#buckets.get(key) ?? []) {
      const literal = this.#literals[index] ?? "";
      if (!text.startsWith(literal, start)) continue;
      const end = start + literal.length;
      if (best === undefined || end > best.end) best = { start, end, index };
    }
    return best;
  }
}

function pairKey(bytes: Buffer, at: number): number {
  return (((bytes[at - 1] as number) << 7) ^ (bytes[at] as number)) & (TABLE_SIZE - 1);
}

function tripleKey(bytes: Buffer, at: number): number {
  const [first, second, third] = [bytes[at - 2] as number, bytes[at - 1] as number, bytes[at] as number];
  return ((first << 9) ^ (second << 5) ^ third) & (TABLE_SIZE - 1);
}
