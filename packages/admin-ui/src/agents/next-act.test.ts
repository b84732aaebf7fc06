import { expect, test } from "vitest";
import { nextAct } from "./next-act.ts";

const step = (verb: string): string => `opensentience agents ${verb} a.b`;

test("a command that the page has no button for is no act", () => {
  expect(nextAct({ next_step: step("build") })).toMatchObject({ label: "Build", act: "build" });
  expect(nextAct({ next_step: step("stop") })).toBeNull();
  expect(nextAct({ next_step: null })).toBeNull();
});
