import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MAX_DEPTH, MAX_VALUES, parseWireObject, type ForwardedMember } from "./wire-json.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const MEMBERS: readonly ForwardedMember[] = ["input", "output", "data"];

const parsedText = (text: string): ReturnType<typeof parseWireObject> => parseWireObject(encoder.encode(text));
const nested = (depth: number): string => `{"a":${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}}`;

/** JSON as a peer may write it: keys twice, spelled with escapes, blanks anywhere. */
type Written = { text: string };
const space = fc.constantFrom("", "", "", " ", "\n", "\t\r ");
const key = fc.oneof(
  fc.constantFrom("payload", "input", "output", "data", "__proto__", "error", "", "a", "constructor", "toString"),
  fc.string({ unit: "binary", maxLength: 8 }),
);

function spelled(text: string, ways: Stream): string {
  const inner = [...Array(text.length).keys()].map((at) => {
    const unit = text.charCodeAt(at);
    const hex = String.raw`\u${unit.toString(16).padStart(4, "0")}`;
    // Lone surrogates have no UTF-8 of their own.
    return ways.next() === 0 || (unit >= 0xd800 && unit <= 0xdfff) ? hex : JSON.stringify(text[at]).slice(1, -1);
  });
  return `"${inner.join("")}"`;
}

type Stream = { next: () => number };
const ways = fc.nat().map((seed): Stream => {
  let state = seed;
  return { next: () => (state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) >>> 30 };
});
const number = fc.constantFrom("0", "-1", "1.5e3", "1E-400", "12345678901234567890", "1e308", "0.1");

const { value: written } = fc.letrec<{ value: Written; object: Written }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc
      .oneof(number, fc.constantFrom("null", "true", "false", '""', '"\\\\"', '"\\"]}"', '"[{"'))
      .map((text) => ({ text })),
    fc.tuple(fc.string({ unit: "binary", maxLength: 60 }), ways).map(([text, way]) => ({ text: spelled(text, way) })),
    tie("object"),
    fc.tuple(fc.array(tie("value"), { maxLength: 4 }), space).map(([items, gap]) => ({
      text: `[${gap}${items.map((item) => item.text).join(`${gap},${gap}`)}${gap}]`,
    })),
  ),
  object: fc.tuple(fc.array(fc.tuple(key, tie("value"), ways), { maxLength: 5 }), space).map(([members, gap]) => ({
    text: `{${gap}${members.map(([name, one, way]) => `${spelled(name, way)}${gap}:${gap}${one.text}`).join(`${gap},${gap}`)}${gap}}`,
  })),
}));

const frame = fc
  .tuple(
    fc.array(fc.tuple(fc.constantFrom("payload", "payload", "v", "__proto__"), written, ways), {
      minLength: 1,
      maxLength: 4,
    }),
    fc.array(fc.tuple(fc.constantFrom("input", "output", "data", "__proto__", "x"), written, ways), { maxLength: 6 }),
    space,
    ways,
  )
  .map(([outer, inner, gap, way]) => {
    const members = inner.map(([name, one, spell]) => `${spelled(name, spell)}${gap}:${gap}${one.text}`);
    const payload = `${spelled("payload", way)}${gap}:${gap}{${gap}${members.join(`${gap},${gap}`)}${gap}}`;
    const others = outer.map(([name, one, spell]) => `${spelled(name, spell)}:${one.text}`);
    return `${gap}{${[...others, payload].join(`,${gap}`)}${gap}}${gap}`;
  });

/** The value without its keys `__proto__`, by another way than the code's. */
function withoutProto(text: string): unknown {
  return JSON.parse(text, (name, value: unknown) => (name === "__proto__" ? undefined : value));
}

describe("parseWireObject", () => {
  test("what is forwarded is what was parsed", () => {
    const property = fc.property(frame, (text) => {
      const { value, payloadBytes } = parsedText(text);
      expect(JSON.stringify(value)).toBe(JSON.stringify(withoutProto(text)));
      const payload = value["payload"];
      for (const member of MEMBERS) {
        const bytes = payloadBytes(member);
        const isObject = typeof payload === "object" && payload !== null;
        const expected: unknown = isObject && Object.hasOwn(payload, member) ? Reflect.get(payload, member) : undefined;
        const forwarded = bytes === undefined ? undefined : (JSON.parse(decoder.decode(bytes)) as unknown);
        expect(JSON.stringify(forwarded)).toBe(JSON.stringify(expected));
        if (hasProtoKey(forwarded)) throw new Error("__proto__ is forwarded");
      }
    });
    fc.assert(property, { numRuns: 400 });
  }, 60_000);

  test.each([
    ['{"n":"evil","n":1}', '{"n":1}'],
    [String.raw`{"n":"evil","\u006e":1}`, '{"n":1}'],
    ['{"a":[1,{"b":{"c":1,"c":{"d":[]}}}],"e":"}"}', '{"a":[1,{"b":{"c":{"d":[]}}}],"e":"}"}'],
    ['{ "a": 1.0, "b": {"a": 2}, "c": [{"a":3},{"a":4}] }', '{ "a": 1.0, "b": {"a": 2}, "c": [{"a":3},{"a":4}] }'],
    ["[]", "[]"],
    [String.raw`"\":\"n\":"`, String.raw`"\":\"n\":"`],
  ])("what is forwarded names each member once: %s", (given, expected) => {
    for (const around of [
      `{"x":{"n":1},"payload":{"a":{"b":1},"input":${given},"z":1}}`,
      `{"payload":{"input":${given}},"y":2}`,
    ])
      expect(decoder.decode(parsedText(around).payloadBytes("input"))).toBe(expected);
  });

  test.each([
    ["the last of two", '{"payload":{"input":1,"input":2}}', 2],
    ["the last of two payloads", '{"payload":{"input":1},"payload":{"input":2}}', 2],
    ["a key spelled with escapes", String.raw`{"payload":{"input":1,"inp\u0075t":2}}`, 2],
    ["a payload spelled with escapes", String.raw`{"payload":{"input":1},"p\u0061yload":{"input":2}}`, 2],
    ["not that of another object", '{"payload":{"x":{"input":1},"input":2},"x":{"input":3}}', 2],
    ["not what stands in a text", String.raw`{"payload":{"a":"\",\"input\":1,","input":2}}`, 2],
    ...["x", "é"].flatMap((letter) => {
      const long = letter.repeat(100);
      return [
        [
          "not what stands in a long text",
          String.raw`{"payload":{"a":"${long}\",\"input\":1,\"${long}","input":2}}`,
          2,
        ],
        [
          "what is behind a long text with a backslash at its end",
          String.raw`{"payload":{"a":"${long}\\","input":2}}`,
          2,
        ],
        [
          "what is behind a long text with an escaped quote at its end",
          String.raw`{"payload":{"a":"${long}\\\"","input":2}}`,
          2,
        ],
      ] as [string, string, unknown][];
    }),
    [
      "what is left when __proto__ is dropped",
      '{"payload":{"input":{"__proto__":{"x":1},"b":[{"__proto__":0}]}}}',
      { b: [{}] },
    ],
    ["the same for a spelled __proto__", String.raw`{"payload":{"input":{"\u005f_proto__":{"x":1}}}}`, {}],
  ])("forwards %s", (_what, text, expected) => {
    const bytes = parsedText(text).payloadBytes("input");
    expect(JSON.parse(decoder.decode(bytes))).toEqual(expected);
  });

  test.each([
    '{"payload":{"input":1},"payload":{}}',
    '{"payload":{"input":1},"payload":5}',
    '{"input":1}',
    '{"payload":[{"input":1}]}',
  ])("forwards nothing of %s", (text) => expect(parsedText(text).payloadBytes("input")).toBeUndefined());

  test("takes 64 levels and refuses 65, also of ten thousand and of unclosed ones", () => {
    expect(MAX_DEPTH).toBe(64);
    expect(parsedText(nested(64)).value).toBeTypeOf("object");
    for (const text of [nested(65), nested(10_000), "[".repeat(3_000_000), `{"a":1,"a":${nested(64)}}`])
      expect(() => parsedText(text)).toThrow(expect.objectContaining({ code: "protocol.invalid_frame" }));
  });

  test("takes so many values and refuses more", () => {
    const items = (count: number, item: string): string => `{"a":[${Array(count).fill(item).join()}]}`;
    const members = (count: number): string =>
      `{${Array.from({ length: count }, (_, at) => `"${at.toString(36)}":"a,[]{}:"`).join()}}`;
    // The object around it is one, and its member another one.
    expect(parsedText(items(MAX_VALUES - 2, "1")).value).toBeTypeOf("object");
    expect(parsedText(items((MAX_VALUES - 2) / 2, "[]")).value).toBeTypeOf("object");
    expect(parsedText(members(MAX_VALUES / 2)).value).toBeTypeOf("object");
    for (const text of [
      items(MAX_VALUES - 1, "1"),
      items(MAX_VALUES / 2, "[]"),
      members(MAX_VALUES / 2 + 1),
      items(60_000, `${"[".repeat(60)}${"]".repeat(60)}`),
    ])
      expect(() => parsedText(text)).toThrow(expect.objectContaining({ code: "protocol.invalid_frame" }));
  });

  test.each(["1e400", "-1e400", "1E+400", `1${"0".repeat(400)}`, `-${"9".repeat(310)}.5`, `0.1e${"9".repeat(20)}`])(
    "refuses %s, which is not finite, also where a later key hides it",
    (text) => {
      for (const place of [`{"a":${text}}`, `{"a":[${text}],"a":1}`])
        expect(() => parsedText(place)).toThrow(/not finite/);
    },
  );

  test("takes long numbers that are finite", () => {
    const long = `0.${"1".repeat(1_000)}`;
    expect(parsedText(`{"a":${long},"b":1e-999999,"c":${"9".repeat(299)}}`).value).toMatchObject({ b: 0 });
  });

  test.each([
    ["a continuation alone", [0x80]],
    ["an overlong slash", [0xc0, 0xaf]],
    ["a surrogate", [0xed, 0xa0, 0x80]],
    ["a cut character", [0xe2, 0x82]],
    ["past the last character", [0xf4, 0x90, 0x80, 0x80]],
  ])("refuses bytes that are no UTF-8: %s", (_what, bad) => {
    const bytes = new Uint8Array([...encoder.encode('{"a":"'), ...bad, ...encoder.encode('"}')]);
    expect(() => parseWireObject(bytes)).toThrow(/not UTF-8/);
  });

  test.each([
    '\ufeff{"a":1}',
    "",
    " ",
    "[]",
    "null",
    "1",
    '"a"',
    "{",
    '{"a"',
    '{"a":1}}',
    '{"a":1} {}',
    "{'a':1}",
    '{"a":01}',
    '{"a":NaN}',
    '{"a":"\n"}',
    '{"a":1,}',
    '"\\',
  ])("refuses %j", (text) =>
    expect(() => parsedText(text)).toThrow(expect.objectContaining({ code: "protocol.invalid_frame" })),
  );

  test("answers any bytes with a value or protocol.invalid_frame", () => {
    const pieces = fc.constantFrom(
      "{",
      "}",
      "[",
      "]",
      ",",
      ":",
      '"',
      "\\",
      "\\u00",
      "1e",
      "-",
      "payload",
      "__proto__",
      " ",
      "\u0000",
    );
    const texts = fc.array(pieces, { maxLength: 30 }).map((parts) => encoder.encode(parts.join("")));
    const property = fc.property(fc.oneof(texts, fc.uint8Array({ maxLength: 60 })), (bytes) => {
      try {
        expect(parseWireObject(bytes).value).toBeTypeOf("object");
      } catch (error) {
        expect(error).toMatchObject({ code: "protocol.invalid_frame" });
      }
    });
    fc.assert(property, { numRuns: 1_000 });
  });

  test("keeps lone surrogates that were spelled as escapes", () => {
    const { value, payloadBytes } = parsedText(String.raw`{"payload":{"input":"\ud800"}}`);
    expect(value).toEqual({ payload: { input: "\ud800" } });
    expect(decoder.decode(payloadBytes("input"))).toBe(String.raw`"\ud800"`);
  });
});

function hasProtoKey(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.hasOwn(value, "__proto__") || Object.values(value).some((member) => hasProtoKey(member));
}
