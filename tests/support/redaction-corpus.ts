/** The credentials that redaction must know and the look-alikes that must stay, as the corpus beside it holds them. */
import { readFileSync } from "node:fs";
import { Redactor } from "../../packages/core/src/audit-log/audit-log.ts";

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

/** The ways in which every text of the corpus is given to redaction, each as the pieces of one output. */
function waysToWrite(text: string): string[][] {
  const line = `before\n${text}\nafter\n`;
  const cuts = Array.from({ length: line.length - 1 }, (_, index) => [line.slice(0, index + 1), line.slice(index + 1)]);
  return [[text], [line], [`\u001b[32m${text}\u001b[0m\n`], ...cuts, [...line]];
}

function written(pieces: readonly string[]): string {
  const stream = new Redactor().stream();
  return pieces.map((piece) => stream.push(piece)).join("") + stream.flush();
}

/** What is stored in place of the shape's text. */
export function redactedText({ text }: Shape): string {
  return new Redactor().text(text);
}

/** Names of the shapes of which a secret is shown, written in any of the ways. */
export function missedShapes(): string[] {
  const shows = (output: string, secrets: readonly string[]): boolean => secrets.some((one) => output.includes(one));
  return SHAPES.filter(({ text, secrets }) => waysToWrite(text).some((way) => shows(written(way), secrets))).map(
    ({ name }) => name,
  );
}

/** The look-alikes that are changed, written in any of the ways. */
export function mistakenLookalikes(): string[] {
  return LOOKALIKES.filter((text) => waysToWrite(text).some((way) => written(way) !== way.join("")));
}
