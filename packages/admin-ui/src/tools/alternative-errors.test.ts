import { expect, test } from "vitest";
import { withAlternatives } from "./alternative-errors.ts";
import { formSchema } from "./form-schema.ts";

const schema = formSchema({
  type: "object",
  properties: {
    to: {
      anyOf: [
        { type: "string", minLength: 5 },
        {
          type: "object",
          properties: { host: { type: "string" }, port: { type: "integer", minimum: 1 } },
          required: ["host", "port"],
        },
      ],
    },
    rows: { type: "array", items: { $ref: "#/$defs/row" } },
  },
  $defs: {
    row: {
      oneOf: [{ type: "object", properties: { "a/b": { type: "integer" } }, required: ["a/b"] }, { type: "null" }],
    },
  },
});
const none = (path: string[], rule: string) => ({ path, rule, text: "fits none of the alternatives" });

test("what keeps a value from the alternative that it is meant for stands by its member", () => {
  const [whole, ...inside] = withAlternatives([none(["to"], "anyOf")], schema, { to: { host: undefined, port: 0 } });
  expect(whole).toEqual(none(["to"], "anyOf"));
  expect(inside).toEqual([
    { path: ["to", "host"], rule: "required", text: "This is missing." },
    { path: ["to", "port"], rule: "minimum", text: expect.stringContaining("1") },
  ]);
});

test("so it does behind references and in lists", () => {
  const inside = withAlternatives([none(["rows", "1"], "oneOf")], schema, { rows: [null, { "a/b": "x" }] }).slice(1);
  expect(inside).toEqual([{ path: ["rows", "1", "a/b"], rule: "type", text: expect.any(String) }]);
});

test("where no member is to blame the sentence about the whole is all", () => {
  const whole = [none(["to"], "anyOf")];
  expect(withAlternatives(whole, schema, { to: "ab" }).slice(1)).toEqual([
    { path: ["to"], rule: "minLength", text: expect.stringContaining("too short") },
  ]);
  for (const to of ["it fits", 3, null, undefined]) expect(withAlternatives(whole, schema, { to })).toEqual(whole);
  const others = [{ path: ["to"], rule: "type", text: "x" }, none(["gone", "x"], "oneOf"), none([], "anyOf")];
  expect(withAlternatives(others, schema, {})).toEqual(others);
});
