import { expect, test } from "vitest";
import { formSchema, isForm, isLongText } from "./form-schema.ts";

test("a form takes no pattern from an agent", () => {
  const hostile = {
    type: "object",
    properties: {
      name: { type: "string", pattern: "(a+)+$" },
      some: { type: "object", patternProperties: { "(a+)+$": {} } },
      more: { type: "string", if: { pattern: "(a+)+$" } },
    },
  };
  expect(JSON.stringify(formSchema(hostile))).not.toContain("(a+)+$");
  expect(JSON.stringify(formSchema({ ...hostile, if: { properties: { name: { pattern: "(a+)+$" } } } }))).not.toContain(
    "(a+)+$",
  );
});

test("texts of a schema show what they hide", () => {
  const schema = formSchema({
    title: "pay \u202eten",
    properties: { "na\u200bme": { enum: ["a\u202eb", "c"] }, "any\u200b": { description: "\u202e" } },
  });
  expect(schema.title).toBe("pay \\u202eten");
  expect(schema.properties?.["na\u200bme"]).toEqual({
    title: "na\\u200bme",
    oneOf: [
      { const: "a\u202eb", title: "a\\u202eb" },
      { const: "c", title: "c" },
    ],
  });
  expect(schema.properties?.["any\u200b"]).toEqual({ $id: "json", title: "any\\u200b", description: "\\u202e" });
});

test("ends with a schema that never does", () => {
  let schema: Record<string, unknown> = {};
  for (let depth = 0; depth < 1_000; depth += 1) schema = { type: "array", items: schema };
  expect(JSON.stringify(formSchema(schema)).length).toBeLessThan(2_000);
});

test.each<[string, unknown]>([
  ["any value", {}],
  ["any value", true],
  ["several types", { type: ["string", "number"] }],
  ["members of any name", { type: "object" }],
  ["members by pattern", { type: "object", properties: { a: {} }, patternProperties: { "^x": {} } }],
  ["a list of anything", { type: "array" }],
  ["a list with places", { type: "array", prefixItems: [{ type: "string" }] }],
  ["a shape that depends", { type: "object", properties: { a: { type: "string" } }, if: { required: ["a"] } }],
  ["a reference to elsewhere", { $ref: "#/properties/other" }],
  ["a reference to nothing", { $ref: "#/$defs/none" }],
])("a field for %s takes JSON", (_what, field) => {
  const { properties } = formSchema({ type: "object", properties: { field }, $defs: { one: { type: "string" } } });
  expect(properties?.["field"]).toMatchObject({ $id: "json", title: "field" });
});

test.each<[string, unknown]>([
  ["a text", { type: "string" }],
  ["a text or none", { type: ["string", "null"] }],
  ["a choice", { enum: ["a", { b: 1 }] }],
  ["an object", { type: "object", properties: { a: { type: "string" } } }],
  ["members of one kind", { type: "object", additionalProperties: { type: "number" } }],
  ["a list", { type: "array", items: { type: "string" } }],
  ["a reference", { $ref: "#/$defs/one" }],
])("a field for %s is one of the form", (_what, field) => {
  const { properties } = formSchema({ type: "object", properties: { field }, $defs: { one: { type: "string" } } });
  expect(properties?.["field"]).not.toHaveProperty("$id");
});

test("an input whose shape depends on itself is JSON as a whole", () => {
  expect(isForm(formSchema({ type: "object", properties: { a: { type: "string" } } }))).toBe(true);
  expect(isForm(formSchema({ type: "object" }))).toBe(true);
  expect(isForm(formSchema({ type: "object", properties: { a: {} }, if: { required: ["a"] } }))).toBe(false);
  expect(isForm(formSchema({ type: "object", patternProperties: { x: {} } }))).toBe(false);
});

test("a text that may be long gets room for lines, a number does not", () => {
  const type = "string";
  expect(isLongText({ type }, "")).toBe(true);
  expect(isLongText({ type: ["string", "null"] }, "")).toBe(true);
  expect(isLongText({ type, maxLength: 121 }, "")).toBe(true);
  expect(isLongText({ type, maxLength: 20, contentMediaType: "text/markdown" }, "")).toBe(true);
  expect(isLongText({ type, maxLength: 120 }, "one line")).toBe(false);
  expect(isLongText({ type, maxLength: 120 }, "two\nlines")).toBe(true);
  expect(isLongText({ type: "integer" }, 3)).toBe(false);
  expect(isLongText({ type: ["number", "null"] }, null)).toBe(false);
});
