import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CoreError } from "@opensentience/protocol";
import { describe, expect, test } from "vitest";
import { compileSchema, sampleInput } from "./schema.ts";

const rules = (schema: Record<string, unknown>, value: unknown): string[] =>
  compileSchema(schema)
    .issuesOf(value)
    .map(({ path, rule }) => `${path} ${rule}`);

const refusal = (schema: Record<string, unknown>): string => {
  try {
    compileSchema(schema);
  } catch (error) {
    if (error instanceof CoreError) return error.code;
    throw error;
  }
  return "";
};

const MOMENT_MS = 2_000;
const SECRET = "hunter2hunter2";

function tookMs(act: () => unknown): number {
  const started = performance.now();
  act();
  return performance.now() - started;
}

/** What costs nobody more than a moment; without the bounds these take minutes or for ever. */
function quick<T>(act: () => T): T {
  const answers: T[] = [];
  expect(tookMs(() => answers.push(act()))).toBeLessThan(MOMENT_MS);
  return answers[0] as T;
}

describe("a schema", () => {
  test.each([
    [{ type: "object", required: ["a"] }, {}, ["/a required"]],
    [{ properties: { a: { type: "integer", minimum: 3 } } }, { a: 2 }, ["/a minimum"]],
    [{ properties: { a: { type: "integer" } } }, { a: 3 }, []],
    [{ $defs: { n: { type: "number" } }, items: { $ref: "#/$defs/n" } }, ["x"], ["/0 type"]],
    [{ items: false }, [1], ["/0 items"]],
    [
      { uniqueItems: true },
      [
        { a: 1, b: 2 },
        { b: 2, a: 1 },
      ],
      [" uniqueItems"],
    ],
    [{ uniqueItems: true }, [1, "1", [1], { 1: 1 }, null, true], []],
    [{ pattern: "^a+$" }, "aab", [" pattern"]],
    [{ unevaluatedProperties: false, properties: { a: true } }, { a: 1, b: 2 }, ["/b unevaluatedProperties"]],
    [{ prefixItems: [{ type: "string" }], items: { type: "number" } }, ["a", 1, "b"], ["/2 type"]],
    [{ enum: [1, { a: [1] }] }, { a: [1] }, []],
    [
      { additionalProperties: false, properties: { "a/b~": { type: "null" } } },
      { "a/b~": 1, c: 2 },
      ["/a~1b~0 type", "/c additionalProperties"],
    ],
    [{ anyOf: [{ type: "string" }, { minimum: 3 }] }, 2, [" anyOf"]],
    [{ $ref: "#/properties/a", properties: { a: { maxProperties: 1 } } }, { a: 1, b: 2 }, [" maxProperties"]],
    [{ $async: true, nullable: true, id: "x", type: "string" }, null, [" type"]],
    [{ $schema: "http://json-schema.org/draft-07/schema#", type: "string" }, 1, [" type"]],
    [{ maxLength: 1 }, "\u{1f30a}", []],
    [{ minLength: 2 }, "\u{1f30a}", [" minLength"]],
  ])("%j checks %j", (schema, value, issues) => {
    expect(rules(schema, value)).toEqual(issues);
  });

  test.each([
    [{ required: ["a"], properties: { a: { type: "string" } } }, {}, ['"a" is missing; it must be a string']],
    [{ required: ["a", "b"] }, {}, ['"a" is missing', '"b" is missing']],
    [{ properties: { o: { required: ["x/y"] } } }, { o: {} }, ['"/o/x~1y" is missing']],
    [{ properties: { a: { type: ["string", "null"] } } }, { a: [] }, ['"a" must be a string or null, not an array']],
    [{ type: "object" }, SECRET, ["it must be an object, not a string"]],
    [{ additionalProperties: false }, { a: SECRET }, ['"a" is not expected']],
    [{ properties: { a: { enum: ["x", 1] } } }, { a: SECRET }, ['"a" must be one of "x", 1']],
    [{ properties: { a: { const: { b: 1 } } } }, { a: SECRET }, ['"a" must be {"b":1}']],
    [{ properties: { a: { pattern: "^x" } } }, { a: SECRET }, ['"a" does not match the pattern ^x']],
    [{ properties: { a: { maxLength: 3 } } }, { a: SECRET }, ['"a" is too long: it may have at most 3 characters']],
    [{ properties: { a: { anyOf: [{ type: "null" }] } } }, { a: SECRET }, ['"a" fits none of the alternatives']],
    [{ dependentRequired: { a: ["b"] } }, { a: SECRET }, ['"b" is missing, and "a" needs it']],
    [{ dependencies: { a: ["b"] } }, { a: SECRET }, ['"b" is missing, and another member needs it']],
  ])("%j says what is wrong in words, and nothing of what the value holds", (schema, value, messages) => {
    const said = compileSchema(schema).issuesOf(value);
    expect(said.map(({ message }) => message)).toEqual(messages);
    expect(JSON.stringify(said)).not.toContain(SECRET);
  });

  test("tells each issue, up to ten", () => {
    const list = { items: { type: "string" } };
    expect(rules(list, [1, "a", 2])).toEqual(["/0 type", "/2 type"]);
    expect(
      rules(
        list,
        Array.from({ length: 100 }, () => 1),
      ),
    ).toHaveLength(10);
  });

  test("may refer to itself where it goes down into the value", () => {
    const tree = { properties: { left: { $ref: "#" }, right: { $ref: "#" }, value: { type: "number" } } };
    expect(rules(tree, { left: { right: { value: 1 } } })).toEqual([]);
    expect(rules(tree, { left: { right: { value: "x" } } })).toEqual(["/left/right/value type"]);
  });
});

describe("a schema that", () => {
  test.each([
    ["is not one", { type: "nonsense" }, "tool.invalid_schema"],
    ["refers to another document", { $ref: "https://example.com/schema.json" }, "tool.invalid_schema"],
    [
      "refers to another document deep inside",
      { properties: { a: { items: { $ref: "other.json#/x" } } } },
      "tool.invalid_schema",
    ],
    [
      "hides a reference where no schema stands",
      { $ref: "#/examples/0", examples: [{ type: "string" }] },
      "tool.invalid_schema",
    ],
    ["has an anchor of its own", { $anchor: "a" }, "tool.invalid_schema"],
    ["refers to nothing", { $ref: "#/$defs/none" }, "tool.invalid_schema"],
    ["refers to what is no schema", { $ref: "#/properties", properties: { a: true } }, "tool.invalid_schema"],
    ["names a part of its own", { properties: { a: { $id: "https://example.com/a" } } }, "tool.invalid_schema"],
    ["is of another kind", { $schema: "http://json-schema.org/draft-04/schema#" }, "tool.invalid_schema"],
    ["has a list where one schema stands", { items: [{ type: "string" }] }, "tool.invalid_schema"],
    ["counts below nothing", { minLength: -1 }, "tool.invalid_schema"],
    ["is wrong where only references lead", { $defs: { a: { required: "a" } } }, "tool.invalid_schema"],
    ["is wrong in a branch that is never taken", { else: { type: 1 } }, "tool.invalid_schema"],
    ["divides by nothing", { multipleOf: 0 }, "tool.invalid_schema"],
    ["needs a name twice", { required: ["a", "a"] }, "tool.invalid_schema"],
    ["holds no schema", { not: null }, "tool.invalid_schema"],
    ["holds none of many", { anyOf: [] }, "tool.invalid_schema"],
    ["repeats what is repeated", { pattern: "((a{0,30}){0,30})".repeat(100) }, "tool.invalid_schema"],
    ["repeats many classes", { pattern: "[\\p{L}\\p{N}]".repeat(500) }, "tool.invalid_schema"],
    ["looks ahead in a pattern", { pattern: "(?=a)b" }, "tool.invalid_schema"],
    ["refers back in a pattern", { pattern: "(a)\\1" }, "tool.invalid_schema"],
    ["repeats a class of letters", { pattern: "\\pL{1000}" }, "tool.invalid_schema"],
    ["folds the case of large ranges", { pattern: `(?i)[${"a-\u{10FFFF}".repeat(100)}]` }, "tool.invalid_schema"],
    ["hides a bracket from who counts", { pattern: `(${"a".repeat(1_000)}\\Q(\\E){1000}` }, "tool.invalid_schema"],
    ["begins many classes", { pattern: "[".repeat(60_000) }, "tool.invalid_schema"],
    ["has a long pattern", { pattern: "a".repeat(9_000) }, "tool.invalid_schema"],
    [
      "has many patterns",
      { patternProperties: Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`^k${index}$`, true])) },
      "tool.invalid_schema",
    ],
    ["is large", { description: "x".repeat(70_000) }, "tool.schema_too_large"],
  ])("%s is refused", (_what, schema, code) => {
    expect(refusal(schema)).toBe(code);
  });

  test("refers to itself in place ends as too costly", () => {
    expect(quick(() => rules({ allOf: [{ $ref: "#" }] }, 1))).toEqual([" too costly to check"]);
  });

  test("doubles with every step down ends as too costly", () => {
    const doubling = {
      $defs: { a: { items: { allOf: [{ $ref: "#/$defs/a" }, { $ref: "#/$defs/a" }] } } },
      $ref: "#/$defs/a",
    };
    let deep: unknown = [];
    for (let depth = 0; depth < 60; depth += 1) deep = [deep];
    expect(quick(() => rules(doubling, deep))).toEqual([" too costly to check"]);
  });

  test("doubles by its definitions ends as too costly", () => {
    const $defs: Record<string, unknown> = { a0: { type: "number" } };
    for (let index = 1; index < 40; index += 1) {
      $defs[`a${index}`] = { allOf: [{ $ref: `#/$defs/a${index - 1}` }, { $ref: `#/$defs/a${index - 1}` }] };
    }
    expect(quick(() => rules({ $defs, $ref: "#/$defs/a39" }, 1))).toEqual([" too costly to check"]);
  });

  test("compares many with many ends as too costly, or soon", () => {
    const items = Array.from({ length: 20_000 }, (_, index) => ({ index }));
    expect(quick(() => rules({ uniqueItems: true }, items))).toEqual([]);
    const wide = { items: { enum: Array.from({ length: 5_000 }, (_, index) => `value ${index}`) } };
    expect(
      quick(() =>
        rules(
          wide,
          Array.from({ length: 50_000 }, () => "none"),
        ),
      )[0],
    ).toMatch(/too costly|enum/);
    const patterns = {
      patternProperties: Object.fromEntries(Array.from({ length: 90 }, (_, index) => [`^k${index}$`, true])),
    };
    const keys = Object.fromEntries(Array.from({ length: 50_000 }, (_, index) => [`x${index}`, 1]));
    expect(quick(() => rules(patterns, keys))).toEqual([" too costly to check"]);
  });

  test("has a pattern that others take for ever on is quick", () => {
    expect(quick(() => rules({ pattern: "^(a+)+$" }, `${"a".repeat(50_000)}b`))).toEqual([" pattern"]);
  });

  test("is named like another is another", () => {
    const [one, other] = ["string", "number"].map((type) => compileSchema({ $id: "same", type }));
    expect([one?.issuesOf("x"), one?.issuesOf(1).length]).toEqual([[], 1]);
    expect([other?.issuesOf(1), other?.issuesOf("x").length]).toEqual([[], 1]);
  });

  const all = (schema: Record<string, unknown>, count: number): Record<string, unknown> => ({
    allOf: Array.from({ length: count }, () => schema),
  });
  const [wide, long] = [
    Object.fromEntries(Array.from({ length: 50_000 }, (_, at) => [`k${at}`, 1])),
    "x".repeat(900_000),
  ];
  const list = Array.from({ length: 200_000 }, (_, at) => at);
  /** Looked at 16 384 times. */
  const fan = (leaf: Record<string, unknown>): Record<string, unknown> => {
    const $defs: Record<string, unknown> = { d14: leaf };
    for (let depth = 0; depth < 14; depth += 1) $defs[`d${depth}`] = all({ $ref: `#/$defs/d${depth + 1}` }, 2);
    return { $defs, $ref: "#/$defs/d0" };
  };
  /** References one behind the other, and what all members have been seen by at the end. */
  const links = (count: number): Record<string, unknown> => {
    const $defs: Record<string, unknown> = { [count]: { additionalProperties: true } };
    for (let at = 0; at < count; at += 1) $defs[at] = { anyOf: [{ $ref: `#/$defs/${at + 1}` }] };
    return { $defs, $ref: "#/$defs/0" };
  };
  const nested = (inmost: unknown): unknown =>
    Array.from({ length: 58 }).reduce<unknown>((inner) => ({ a: inner }), inmost);

  test.each([
    ["counts members", all({ maxProperties: 100_000 }, 1_500), wide],
    ["names members", all({ propertyNames: { maxLength: 10 } }, 1_000), wide],
    ["looks at all members", all({ additionalProperties: true }, 1_500), wide],
    ["counts characters", all({ maxLength: 500_000 }, 1_500), long],
    ["looks at all items", all({ items: true }, 2_000), list],
    ["looks for an item", all({ contains: true, minContains: 0 }, 1_500), list],
    ["compares all items", all({ uniqueItems: true }, 500), list],
    ["compares with large values", all({ not: { enum: [[1, [2]]] } }, 1_500), list],
    ["depends", { items: { dependencies: { a: all({ required: ["a"] }, 1_000) } } }, list.map(() => ({ a: 1 }))],
    ["matches", all({ pattern: "(a|b|c|d|e|f|g|h)*z" }, 90), long],
    ["writes long names", fan({ not: { const: { a: 0 } } }), { ["k".repeat(1_000_000)]: 0 }],
    ["writes what is deep", fan({ not: { const: nested(0) } }), nested({ ["k".repeat(1_000_000)]: 0 })],
    ["notes what was seen", { ...links(1_000), unevaluatedProperties: false }, wide],
    ["asks every instruction", { pattern: "[^a]{990}".repeat(9) }, "b".repeat(199_000)],
  ])("%s again and again is judged soon", (_what, schema, value) => {
    expect(tookMs(() => compileSchema(schema).issuesOf(value))).toBeLessThan(MOMENT_MS);
  });

  test("tells the place of a long name in short", () => {
    const [issue] = compileSchema({ additionalProperties: false }).issuesOf({ ["~".repeat(1_000_000)]: 1 });
    expect(issue?.path.length).toBeLessThan(1_100);
    expect(issue?.path).toMatch(/^\/[~0]+…$/);
  });

  test("looks no further than its pattern can match, and says what it finds there", () => {
    const digest = { anyOf: [{ pattern: "^[0-9a-f]{64}$" }, { type: "string" }] };
    expect(rules(digest, "x".repeat(100_000))).toEqual([]);
    const patterns: [string, string[], string[]][] = [
      ["^a{2}$", ["aa"], ["a", "aaa", `aa${"b".repeat(99_000)}`]],
      ["^a|b$", ["a", `a${"c".repeat(9_000)}`, `${"c".repeat(9_000)}b`], ["c"]],
      ["^?b", [`${"c".repeat(9_000)}b`], ["c"]],
      ["^(?:a{0,2}b?|c{3,}){2}$", ["aabaab", `${"c".repeat(9_000)}a`], ["aaabbb"]],
      ["^\\x{61}{3}[[:digit:]-]{2}\\pL$", ["aaa1-\u00e9"], ["aaa1-1"]],
    ];
    for (const [pattern, valid, invalid] of patterns) {
      for (const text of valid)
        expect([pattern, text.length, rules({ pattern }, text)]).toEqual([pattern, text.length, []]);
      for (const text of invalid) expect([pattern, rules({ pattern }, text)]).toEqual([pattern, [" pattern"]]);
    }
  });

  test("refers to places with odd names, and to true and false", () => {
    const odd = { $defs: { "a/b~c %": { type: "string" }, "": { type: "number" }, no: false, not: { not: true } } };
    const to = (reference: string): string[] => rules({ ...odd, $ref: reference }, "x");
    expect([to("#/$defs/a~1b~0c%20%25"), to("#/$defs/"), to("#/$defs/no"), to("#/$defs/not/not")]).toEqual([
      [],
      [" type"],
      [" false schema"],
      [],
    ]);
    for (const wrong of ["#/$defs", "#/$defs/a", "#/$defs/not/not/not", "#//$defs/no", "#/$defs/no/"])
      expect(refusal({ ...odd, $ref: wrong })).toBe("tool.invalid_schema");
  });

  test("has very many parts is made soon", () => {
    const properties = Object.fromEntries(list.slice(0, 2_500).map((at) => [`p${at}`, { type: "string" }]));
    expect(tookMs(() => compileSchema(all({}, 20_000)))).toBeLessThan(MOMENT_MS);
    expect(tookMs(() => compileSchema({ properties }))).toBeLessThan(MOMENT_MS);
    expect(tookMs(() => refusal({ pattern: "((a{0,30}){0,30})".repeat(3_800) }))).toBeLessThan(MOMENT_MS);
  });
});

type Group = { name: string; schema: Record<string, unknown>; refused?: true; valid?: unknown[]; invalid?: unknown[] };
const [, ...GROUPS] = readFileSync(join(import.meta.dirname, "draft-2020-12.jsonl"), "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line) as Group);

describe("the official tests", () => {
  test("are there", () => {
    const values = GROUPS.flatMap(({ valid = [], invalid = [] }) => [...valid, ...invalid]);
    expect([GROUPS.length, values.length]).toEqual([334, 1_098]);
  });

  test.each(GROUPS.map((group) => [group.name, group] as const))(
    "%s",
    (_name, { schema, refused, valid = [], invalid = [] }) => {
      if (refused === true) return expect(refusal(schema)).toBe("tool.invalid_schema");
      const { issuesOf } = compileSchema(schema);
      for (const value of valid) expect([value, issuesOf(value)]).toEqual([value, []]);
      for (const value of invalid) expect([value, issuesOf(value).length]).not.toEqual([value, 0]);
    },
  );
});

test("a sample of a schema that asks for too much is made at once", () => {
  const many = (items: unknown): Record<string, unknown> => ({ type: "array", minItems: 1_000, items });
  const wide = [1, 2, 3, 4, 5, 6].reduce<unknown>(many, { type: "null" });
  const of = (a: unknown): unknown => quick(() => sampleInput({ required: ["a"], properties: { a } }));
  for (const a of [
    { type: "string", minLength: 1e15 },
    { type: "array", minItems: 1e9, items: true },
    wide,
    many({ const: "x".repeat(60_000) }),
  ])
    expect(of(a)).toEqual({});
  expect(of({ type: "string", minLength: 3 })).toEqual({ a: "xxx" });
  expect(of({ type: "array", minItems: 2, items: { type: "integer", exclusiveMinimum: 4 } })).toEqual({ a: [5, 5] });
  expect(sampleInput({ required: ["__proto__", "constructor"] })).toEqual(
    Object.fromEntries([
      ["__proto__", {}],
      ["constructor", {}],
    ]),
  );
});
