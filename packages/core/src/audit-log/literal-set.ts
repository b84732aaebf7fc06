/**
 * Finds any of many literals in one pass (the Wu-Manber algorithm): a table says for every pair or triple of
 * characters how far the search may jump, so the cost hardly grows with the number of literals.
 */

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
    for (let at = this.#block - 1; at < this.#window; at += 1) {
      const key = this.#key(literal, at);
      this.#shift[key] = Math.min(this.#shift[key] ?? 0, this.#window - 1 - at);
      if (at < this.#window - 1) continue;
      const bucket = this.#buckets.get(key);
      if (bucket === undefined) this.#buckets.set(key, [index]);
      else bucket.push(index);
    }
  }

  #key(text: string, at: number): number {
    return this.#block === 3 ? tripleKey(text, at) : pairKey(text, at);
  }

  /** The leftmost hit at or after `from`; of several at one place the longest. */
  find(text: string, from = 0): LiteralHit | undefined {
    if (this.#literals.length === 0) return undefined;
    const reach = this.#window - 1;
    let at = this.#next(text, from + reach);
    while (at < text.length) {
      const hit = this.#verify(text, at - reach, this.#key(text, at));
      if (hit !== undefined) return hit;
      at = this.#next(text, at + 1);
    }
    return undefined;
  }

  /** The next place from which no jump is possible. This is the loop that all text goes through. */
  #next(text: string, from: number): number {
    const shift = this.#shift;
    const length = text.length;
    let at = from;
    if (this.#block === 3)
      while (at < length) {
        const jump = shift[tripleKey(text, at)] ?? 1;
        if (jump === 0) break;
        at += jump;
      }
    else
      while (at < length) {
        const jump = shift[pairKey(text, at)] ?? 1;
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

function pairKey(text: string, at: number): number {
  return ((text.charCodeAt(at - 1) << 7) ^ text.charCodeAt(at)) & (TABLE_SIZE - 1);
}

function tripleKey(text: string, at: number): number {
  return ((text.charCodeAt(at - 2) << 9) ^ (text.charCodeAt(at - 1) << 5) ^ text.charCodeAt(at)) & (TABLE_SIZE - 1);
}
