import fc from "fast-check";
import { expect, test } from "vitest";
import { safeText } from "./display.ts";

test("shows terminal escapes, control and invisible characters instead of obeying them", () => {
  expect(safeText("\x1b[2J\x1b]0;title\x07 a\tb\rc\nd")).toBe("\\x1b[2J\\x1b]0;title\\x07 a\tb\\rc\\nd");
  expect(safeText("\x00\x08\x7f\x9b31m")).toBe("\\x00\\x08\\x7f\\x9b31m");
  expect(safeText("abc\u202edcba\u2066x\u2069")).toBe("abc\\u202edcba\\u2066x\\u2069");
  expect(safeText("pay\u200bpal\ufeff\u00ad")).toBe("pay\\u200bpal\\ufeff\\xad");
  expect(safeText("\u{e0041}\ud800")).toBe("\\u{e0041}\\ud800");
});

test("leaves ordinary text alone", () => {
  for (const text of ["plain", "Grüße, 世界", "مرحبا", "😀 ok", "C:\\path\\x1b"]) expect(safeText(text)).toBe(text);
});

test("never lets a control character through and is stable", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const shown = safeText(text);
      expect(/[^\t\P{Cc}]|\p{Cs}|\p{Bidi_Control}/u.test(shown)).toBe(false);
      expect(safeText(shown)).toBe(shown);
    }),
  );
});
