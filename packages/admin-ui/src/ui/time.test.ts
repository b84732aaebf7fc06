import { limitsText } from "@opensentience/protocol";
import { expect, test } from "vitest";
import { bytes } from "./time.tsx";

test("a size is written as the limits of a run are", () => {
  expect([null, 0, 900, 2 ** 20, 90.26 * 2 ** 20].map(bytes)).toEqual(["–", "0 KiB", "1 KiB", "1 MiB", "90.3 MiB"]);
  const memory = 200 * 2 ** 20;
  expect(limitsText({ [`memory:${memory}`]: "enforced" })).toContain(` ${bytes(memory)} `);
});
