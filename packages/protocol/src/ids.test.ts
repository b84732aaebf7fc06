import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isIdOf, newId, newIdAfter, shortId } from "./ids.ts";

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe("an id", () => {
  test("is a UUID of version 7 behind its prefix", () => {
    for (const prefix of ["run", "apr", "evt", "call", "core", "cor", "web"] as const) {
      const id = newId(prefix);
      expect(id.startsWith(`${prefix}_`)).toBe(true);
      expect(id.slice(prefix.length + 1)).toMatch(UUID_V7);
    }
  });

  test("carries the time it was made at, in its first 48 bits", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 48 - 1 }), (nowMs) => {
        const hex = newId("run", nowMs).slice(4).replaceAll("-", "");
        expect(Number.parseInt(hex.slice(0, 12), 16)).toBe(nowMs);
      }),
    );
  });

  test("of a later millisecond sorts after an earlier one as text", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 48 - 2 }), (nowMs) => {
        expect(newId("run", nowMs) < newId("run", nowMs + 1)).toBe(true);
      }),
    );
  });

  const CENTURY_MS = 100 * 365 * 86_400_000;

  test("made after another sorts behind it, also within one millisecond and after a clock was set back by years", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 48 - 2 }),
        fc.nat({ max: CENTURY_MS }),
        fc.nat(),
        (before, back, on) => {
          const previous = newId("run", before);
          expect(newIdAfter("run", previous, Math.max(0, before - back)) > previous).toBe(true);
          const later = Math.min(before + 1 + on, 2 ** 48 - 1);
          expect(newIdAfter("run", previous, later).slice(0, 17)).toBe(newId("run", later).slice(0, 17));
        },
      ),
    );
    expect(newIdAfter("run", undefined, 1)).toMatch(/^run_00000000-0001-/);
  });

  test("made after one of more than a century ahead has the clock's time, and the last time there is is not exceeded", () => {
    const nowMs = 1_800_000_000_000;
    const timeOf = (id: string): number => Number.parseInt(id.slice(4, 17).replace("-", ""), 16);
    expect(timeOf(newIdAfter("run", newId("run", nowMs + CENTURY_MS), nowMs))).toBe(nowMs + CENTURY_MS + 1);
    expect(timeOf(newIdAfter("run", newId("run", nowMs + CENTURY_MS + 1), nowMs))).toBe(nowMs);
    expect(timeOf(newIdAfter("run", "run_ffffffff-ffff-7fff-bfff-ffffffffffff", nowMs))).toBe(nowMs);
    for (const now of [2 ** 48 - 2, 2 ** 48 - 1, 2 ** 48, 2 ** 49]) {
      const id = newIdAfter("run", "run_ffffffff-ffff-7fff-bfff-ffffffffffff", now);
      expect(id).toMatch(/^run_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      expect(timeOf(id)).toBe(2 ** 48 - 1);
    }
  });

  test("is new each time, also within one millisecond, in its short form too", () => {
    const ids = Array.from({ length: 5_000 }, () => newId("run", 1_700_000_000_000));
    expect(new Set(ids).size).toBe(ids.length);
    expect(new Set(ids.map(shortId)).size).toBe(ids.length);
  });

  test("has a short form of 12 hex digits that can stand in a path", () => {
    expect(shortId(newId("run"))).toMatch(/^[0-9a-f]{12}$/);
  });
});

test("an id is told by its kind and its whole form", () => {
  const id = newId("cor");
  expect(isIdOf(id, "cor", "web")).toBe(true);
  for (const other of [newId("run"), `${id}x`, ` ${id}`, `${id}\n`, id.toUpperCase(), "cor_", ""])
    expect(isIdOf(other, "cor", "web"), other).toBe(false);
});
