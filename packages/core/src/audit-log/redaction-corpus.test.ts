import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Redactor } from "./redaction.ts";
import { LiteralSet } from "./literal-set.ts";
import { SHAPE_ANCHORS } from "./secret-shapes.ts";

type Corpus = { go: { name: string; parts: string[]; secret: number[] }[]; stay: string[] };
const corpus = JSON.parse(readFileSync(new URL("redaction-corpus.json", import.meta.url), "utf8")) as Corpus;

describe("corpus of credentials", () => {
  test("is not empty", () => {
    expect(corpus.go.length).toBeGreaterThanOrEqual(40);
    expect(corpus.stay.length).toBeGreaterThanOrEqual(40);
    const anchors = new LiteralSet(SHAPE_ANCHORS);
    for (const anchor of SHAPE_ANCHORS) {
      const found: number[] = [];
      anchors.search(anchor, ({ start }) => found.push(start));
      expect(found, anchor).toContain(0);
    }
  });

  const redactor = new Redactor();
  for (const { name, parts, secret } of corpus.go)
    test(`redacts: ${name}`, () => {
      const input = `before\n${parts.join("")}\nafter`;
      const shown = redactor.text(input);
      expect(shown).toContain("[redacted:");
      for (const index of secret) expect(shown).not.toContain(parts[index]?.split(" to ")[0]?.split(" used")[0] ?? "");
      expect(shown.startsWith("before\n")).toBe(true);
      expect(shown.endsWith("\nafter")).toBe(true);
      expect(redactor.text(shown)).toBe(shown);
    });

  for (const line of corpus.stay)
    test(`leaves alone: ${line}`, () => {
      expect(redactor.text(`${line}\n`)).toBe(`${line}\n`);
    });

  test("leaves all harmless lines alone at once", () => {
    const text = `${corpus.stay.join("\n")}\n`;
    expect(redactor.text(text)).toBe(text);
  });
});
