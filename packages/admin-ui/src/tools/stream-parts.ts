/** What a call streamed, as it is shown: in its order, pieces of one channel joined, channels apart. Pure. */
import type { Chunk } from "./tool-calls.ts";

export type StreamPart = { key: number; channel: string; text: string };

/** The channel that is meant where nobody named one. */
const PLAIN = "stdout";

export function streamParts(chunks: readonly Chunk[]): StreamPart[] {
  const parts: StreamPart[] = [];
  for (const { seq, channel, text, json } of chunks) {
    const piece = text ?? `${JSON.stringify(json, null, 2)}\n`;
    const last = parts.at(-1);
    if (last?.channel === channel) last.text += piece;
    else parts.push({ key: seq, channel, text: piece });
  }
  return parts;
}

/** Where everything came by the one channel its name says nothing. */
export function hasChannels(parts: readonly StreamPart[]): boolean {
  return parts.some(({ channel }) => channel !== PLAIN);
}
