import { expect, test } from "vitest";
import { formSchema } from "./form-schema.ts";

test("a form takes no pattern from an agent", () => {
  const hostile = {
    type: "object",
    properties: { name: { type: "string", pattern: "(a+)+$" } },
    patternProperties: { "(a+)+$": {} },
    if: { properties: { name: { pattern: "(a+)+$" } } },
  };
  expect(JSON.stringify(formSchema(hostile))).not.toContain("(a+)+$");
});

test("texts of a schema show what they hide", () => {
  const schema = formSchema({
    title: "pay \u202eten",
    properties: { "na\u200bme": { enum: ["a\u202eb", "c"] } },
  });
  expect(schema.title).toBe("pay \\u202eten");
  expect(schema.properties?.["na\u200bme"]).toEqual({
    title: "na\\u200bme",
    oneOf: [
      { const: "a\u202eb", title: "a\\u202eb" },
      { const: "c", title: "c" },
    ],
  });
});

test("ends with a schema that never does", () => {
  let schema: Record<string, unknown> = {};
  for (let depth = 0; depth < 1_000; depth += 1) schema = { items: schema };
  expect(JSON.stringify(formSchema(schema)).length).toBeLessThan(1_000);
});
