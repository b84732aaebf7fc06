import { expect, test } from "vitest";
import { withStep } from "./progress-steps.ts";

const shown = (texts: string[], phase = "fetch"): string[] =>
  texts
    .map((text) => ({ phase, text }))
    .reduce(withStep, [])
    .map(({ text }) => text);

test("of what git counts the last state is shown, each count by itself", () => {
  expect(
    shown([
      "remote: Enumerating objects: 20, done.",
      "remote: Counting objects:   5% (1/20)",
      "remote: Counting objects: 100% (20/20)",
      "remote: Counting objects: 100% (20/20), done.",
      "Receiving objects:  10% (2/20), 1.2 MiB | 3 MiB/s",
      "Receiving objects: 100% (20/20), done.",
    ]),
  ).toEqual([
    "remote: Enumerating objects: 20, done.",
    "remote: Counting objects: 100% (20/20), done.",
    "Receiving objects: 100% (20/20), done.",
  ]);
});

test("what a build prints stays as it came, and the oldest leaves", () => {
  expect(shown(["a: 1", "a: 2", "a: 2"], "compile")).toEqual(["a: 1", "a: 2", "a: 2"]);
  const many = Array.from({ length: 250 }, (_, index) => `line ${index}`);
  expect(shown(many)).toEqual(many.slice(50));
});
