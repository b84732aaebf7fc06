/** The credentials that redaction must know and the look-alikes that must stay, as the corpus beside it holds them. */
import { readFileSync } from "node:fs";

const FILE = new URL("../../packages/core/src/audit-log/redaction-corpus.json", import.meta.url);

/** `secret` are the texts that must not be shown; `text` is what they stand in. */
export type Shape = { name: string; text: string; secrets: string[] };

const corpus = JSON.parse(readFileSync(FILE, "utf8")) as {
  go: { name: string; parts: string[]; secret: number[] }[];
  stay: string[];
};

export const SHAPES: Shape[] = corpus.go.map(({ name, parts, secret }) => ({
  name,
  text: parts.join(""),
  // A few parts go on in words.
  secrets: secret.map((index) => (parts[index] ?? "").split(/ to | used| ok/)[0] ?? ""),
}));

export const LOOKALIKES: string[] = corpus.stay;
