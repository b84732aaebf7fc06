/**
 * Text as the searches read it: the low bytes of its UTF-16 units, a block at a time, in one buffer that all searches
 * share (none of them waits for anything). Bytes, and pairs of bytes, are read several times faster than characters.
 * A unit that is not Latin shows as some other byte: what is found is compared again where that matters.
 */

/** Small enough for the cache of the processor, large enough for what a pipe holds and the line begun before. Even. */
export const BLOCK = 1 << 17;
/** So many pairs are read at a time; the last may be followed by ones that mean nothing, for which there is room. */
export const PAIRS_TOGETHER = 4;

/** The block as pairs, in the byte order of the processor. */
export const PAIRS: Uint16Array = new Uint16Array(BLOCK / 2 + PAIRS_TOGETHER);
export const BYTES: Buffer = Buffer.from(PAIRS.buffer);

const LINE_END = 0x0a;

/** Loads the block that begins at `from`. `ascii`: nothing in it is anything else. */
export function loadBlock(text: string, from: number): { length: number; ascii: boolean } {
  const block = text.length <= BLOCK ? text : text.slice(from, from + BLOCK);
  // Encoding is the quickest way to learn whether text is ASCII: only then does it give one byte for each unit.
  const ascii = BYTES.write(block, "utf8") === block.length;
  if (!ascii) BYTES.write(block, "latin1");
  // A last unit without a partner gets one that means nothing.
  BYTES[block.length] = LINE_END;
  return { length: block.length, ascii };
}
