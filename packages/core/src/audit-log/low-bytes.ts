/**
 * Text as the searches read it: the low bytes of its UTF-16 units, a block at a time, in one buffer that all searches
 * share (none of them waits for anything). Bytes, and pairs of bytes, are read several times faster than characters.
 * A unit that is not Latin shows as some other byte: what is found is compared again where that matters.
 */

/** Small enough for the cache of the processor, large enough for what a pipe holds and the line begun before. Even. */
export const BLOCK = 1 << 17;
/** So many pairs are read at a time; the last may be followed by ones that mean nothing. */
export const PAIRS_TOGETHER = 4;

/** The block as pairs, in the byte order of the processor. */
export const PAIRS: Uint16Array = new Uint16Array(BLOCK / 2 + PAIRS_TOGETHER);
export const BYTES: Buffer = Buffer.from(PAIRS.buffer);

const LINE_END = 0x0a;

/** Loads the block that begins at `from`; gives its length. */
export function loadBlock(text: string, from: number): number {
  const length = BYTES.write(text.length <= BLOCK ? text : text.slice(from, from + BLOCK), 0, BLOCK, "latin1");
  // A last unit without a partner gets one that means nothing.
  BYTES[length] = LINE_END;
  return length;
}
