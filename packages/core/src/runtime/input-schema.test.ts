import { CoreError } from "@opensentience/protocol";
import { describe, expect, test } from "vitest";
import { SchemaCompiler, type SchemaCheck } from "./input-schema.ts";

const compiler = new SchemaCompiler();
const compileSchema = (schema: Record<string, unknown>): SchemaCheck => compiler.compile(schema);

const rules = (schema: Record<string, unknown>, value: unknown): string[] =>
  compileSchema(schema)(value).map(({ path, rule }) => `${path} ${rule}`);

const refusal = (schema: Record<string, unknown>): string => {
  try {
    compileSchema(schema);
  } catch (error) {
    if (error instanceof CoreError) return error.code;
    throw error;
  }
  return "";
};

/** What costs nobody more than a moment; without the bounds these take minutes or for ever. */
function quick<T>(act: () => T): T {
  const started = performance.now();
  const value = act();
  expect(performance.now() - started).toBeLessThan(2_000);
  return value;
}

describe("a schema", () => {
  test.each([
    [{ type: "object", required: ["a"] }, {}, [" required"]],
    [{ properties: { a: { type: "integer", minimum: 3 } } }, { a: 2 }, ["/a minimum"]],
    [{ properties: { a: { type: "integer" } } }, { a: 3 }, []],
    [{ $defs: { n: { type: "number" } }, items: { $ref: "#/$defs/n" } }, ["x"], ["/0 type"]],
    [{ items: false }, [1], ["/0 false schema"]],
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
    [{ unevaluatedProperties: false, properties: { a: true } }, { a: 1, b: 2 }, [" unevaluatedProperties"]],
    [{ prefixItems: [{ type: "string" }], items: { type: "number" } }, ["a", 1, "b"], ["/2 type"]],
    [{ enum: [1, { a: [1] }] }, { a: [1] }, []],
  ])("%j checks %j", (schema, value, issues) => {
    expect(rules(schema, value)).toEqual(issues);
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
    ["looks ahead in a pattern", { pattern: "(?=a)b" }, "tool.invalid_schema"],
    ["refers back in a pattern", { pattern: "(a)\\1" }, "tool.invalid_schema"],
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
    const one = compileSchema({ $id: "same", type: "string" });
    const other = compileSchema({ $id: "same", type: "number" });
    expect([one("x"), one(1).length, other(1), other("x").length]).toEqual([[], 1, [], 1]);
  });
});
