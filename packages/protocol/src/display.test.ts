import fc from "fast-check";
import { expect, test } from "vitest";
import { commandText, safeJson, safeText } from "./display.ts";
import { parsePermission } from "./permissions/grammar.ts";
import { PRINTABLE_ARGUMENT, PRINTABLE_TEXT } from "./printable-text.ts";

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

test("never lets a control character through and is stable", { timeout: 60_000 }, () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const shown = safeText(text);
      expect(/[^\t\P{Cc}]|\p{Cs}|\p{Bidi_Control}/u.test(shown)).toBe(false);
      expect(safeText(shown)).toBe(shown);
    }),
  );
});

test("a command shows where one argument ends and the next begins, and what is in it", () => {
  expect(commandText(["npm", "run", "a b"])).toBe("npm run 'a b'");
  expect(commandText(["npm", "run", "a", "b"])).toBe("npm run a b");
  expect(commandText(["say", '"a b"', "it's", "", "x;y"])).toBe(`say '"a b"' 'it'\\''s' '' 'x;y'`);
  expect(commandText(["a\nb", "a\\nb", "\u202eab"])).toBe(String.raw`$'a\nb' 'a\nb' $'\u202eab'`);
});

test("JSON holds no character that safeText would escape, and its value stays equal", () => {
  expect(safeJson({ "k\u009b": "a\x7f\u202e\u{e0041}\ud800\tb\n\u2800" })).toBe(
    '{"k\\u009b":"a\\u007f\\u202e\\udb40\\udc41\\ud800\\tb\\n\\u2800"}',
  );
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: "binary" }), fc.constantFrom(undefined, 2), (value, indent) => {
      const text = safeJson(value, indent);
      expect(text.split("\n").map(safeText).join("\n")).toBe(text);
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

test("no invisible code point of Unicode is shown, is printable or is part of a permission", () => {
  const named = [0x2800, 0x1d173, 0x1d17a, 0x1bca0, 0x1bca3, 0xfe00, 0xfe0f, 0xe0100, 0xe01ef];
  const ignorable = /^[\p{Default_Ignorable_Code_Point}\p{Bidi_Control}]$/u;
  const all = Array.from({ length: 0x11_0000 }, (_, code) => code);
  const invisible = all.filter((code) => named.includes(code) || ignorable.test(String.fromCodePoint(code)));
  expect(invisible.length).toBeGreaterThan(4_000);
  for (const code of invisible) {
    const text = `network:egress:a${String.fromCodePoint(code)}b`;
    const shown = [
      safeText(text).includes(String.fromCodePoint(code)),
      PRINTABLE_TEXT.test(text),
      PRINTABLE_ARGUMENT.test(text),
    ];
    expect([code.toString(16), ...shown, parsePermission(text)]).toEqual([
      code.toString(16),
      false,
      false,
      false,
      undefined,
    ]);
  }
});
