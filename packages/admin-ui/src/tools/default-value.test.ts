import { expect, test } from "vitest";
import { isOffered, presetInput } from "./default-value.ts";
import { formSchema } from "./form-schema.ts";

const $defs = {
  port: { type: "integer" },
  loop: { anyOf: [{ $ref: "#/$defs/loop" }, { $ref: "#/$defs/loop" }] },
};
const defaultOf = (field: object): unknown =>
  formSchema({ type: "object", properties: { field }, $defs }).properties?.["field"];

test.each<[string, object]>([
  ["a text of lines", { type: "string", default: "one\ntwo" }],
  ["none", { type: ["string", "null"], default: null }],
  ["an integer", { type: "integer", default: 3 }],
  ["false", { type: "boolean", default: false }],
  ["a choice", { enum: ["a", { b: 1 }], default: { b: 1 } }],
  ["a day", { type: "string", format: "date", default: "2026-02-28" }],
  ["a list", { type: "array", items: { type: "string" }, default: ["a"] }],
  ["an object", { type: "object", properties: { a: { type: "number" } }, default: { a: 0.5 } }],
  ["members of one kind", { type: "object", additionalProperties: { type: "number" }, default: { x: 1 } }],
  ["an alternative", { anyOf: [{ type: "string" }, { type: "number" }], default: 1 }],
  ["a reference", { $ref: "#/$defs/port", default: 80 }],
  ["any value", { default: { deep: [1] } }],
  ["what Core will refuse, and the field shows", { type: "integer", minimum: 5, default: 1 }],
])("a field begins with the default of its schema: %s", (_what, field) => {
  expect(defaultOf(field)).toHaveProperty("default", (field as { default: unknown }).default);
});

test.each<[string, object]>([
  ["a text for a number", { type: "integer", default: "three" }],
  ["a fraction for an integer", { type: "integer", default: 0.5 }],
  ["a number for a text", { type: "string", default: 1 }],
  ["none for a text", { type: "string", default: null }],
  ["no day", { type: "string", format: "date", default: "tomorrow" }],
  ["no choice", { enum: ["a"], default: "b" }],
  ["a list of others", { type: "array", items: { type: "integer" }, default: ["x"] }],
  ["a member of another type", { type: "object", properties: { a: { type: "number" } }, default: { a: "x" } }],
  ["a member without a field", { type: "object", properties: { a: { type: "number" } }, default: { b: 1 } }],
  ["no alternative", { anyOf: [{ type: "string" }, { type: "number" }], default: true }],
  ["another type than its reference", { $ref: "#/$defs/port", default: "x" }],
  ["a text that hides something", { type: "string", default: "pay \u202eten" }],
  ["any value that hides something", { default: { "na\u200bme": 1 } }],
])("a default that its field cannot show is ignored: %s", (_what, field) => {
  expect(defaultOf(field)).toBeDefined();
  expect(defaultOf(field)).not.toHaveProperty("default");
});

test("a default is judged soon", () => {
  const begunAt = performance.now();
  expect(isOffered({ $ref: "#/$defs/loop", default: 1 }, { $defs })).toBe(false);
  expect(performance.now() - begunAt).toBeLessThan(1_000);
});

test("an input that is JSON as a whole begins with its defaults", () => {
  const properties = {
    kind: { enum: ["a", "b"], default: "a" },
    wrong: { type: "integer", default: "x" },
    "na\u200bme": { default: 1 },
    none: { type: "string" },
    near: { type: "object", properties: { port: { type: "integer", default: 80 }, host: { type: "string" } } },
    far: { type: "object", properties: { port: { type: "integer", default: 80 } }, default: { port: 1 } },
  };
  expect(presetInput({ properties, if: {} })).toEqual({ kind: "a", near: { port: 80 }, far: { port: 1 } });
  expect(presetInput({ type: "object" })).toEqual({});
  expect(presetInput(true)).toEqual({});
});
