import { expect, test } from "vitest";
import { Problem } from "../api/problem.ts";
import { inputErrors } from "./input-errors.ts";

const refused = (issues: unknown, code = "tool.invalid_input"): Problem =>
  new Problem({ code, detail: "", details: { issues }, next_step: null, status: 422 });

test("what Core found stands by the field that it names", () => {
  const issues = [
    { path: "/to", rule: "minimum", message: "/to is at least 1" },
    { path: "/rows/0/a~1b~0c", rule: "type" },
    { path: "", rule: "anyOf", message: "\u202efits none" },
  ];
  expect(inputErrors(refused(issues))).toEqual([
    { path: ["to"], rule: "minimum", text: "/to is at least 1" },
    { path: ["rows", "0", "a/b~c"], rule: "type", text: 'does not keep to "type"' },
    { path: [], rule: "anyOf", text: "\\u202efits none" },
  ]);
});

test("every other problem names no field", () => {
  for (const problem of [undefined, new Error("x"), refused("no list"), refused([null, { path: 1 }]), refused([], "x")])
    expect(inputErrors(problem)).toEqual([]);
});
