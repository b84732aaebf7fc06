import type { DriftJson } from "@opensentience/protocol";
import { expect, test } from "vitest";
import { nextAct, nextStepOf } from "./next-act.ts";

const drift = (changed: string[], verb: string): DriftJson => ({
  layers: ["commit"],
  narrowing: false,
  next_step: `opensentience agents ${verb} a.b`,
  diff: {
    permissions: { added: [], removed: [], widened: [], narrowed: [] },
    entrypoint: null,
    commit: null,
    fields: [],
    files: { added: [], removed: [], changed },
  },
});
const step = (verb: string): string => `opensentience agents ${verb} a.b`;

test("files that were changed in place are built, and only what could be approved is reviewed", () => {
  expect(nextStepOf({ next_step: step("diff"), drift: drift(["bin/agent"], "build") })).toBe(step("build"));
  expect(nextStepOf({ next_step: step("diff"), drift: drift([], "enable") })).toBe(step("diff"));
  expect(nextStepOf({ next_step: step("run"), drift: null })).toBe(step("run"));
});

test("what runs goes on: its next step stays its own", () => {
  expect(nextStepOf({ next_step: step("logs"), drift: drift(["bin/agent"], "stop") })).toBe(step("logs"));
});

test("a command that the page has no button for is no act", () => {
  expect(nextAct({ next_step: step("build") })).toMatchObject({ label: "Build", act: "build" });
  expect(nextAct({ next_step: step("stop") })).toBeNull();
  expect(nextAct({ next_step: null })).toBeNull();
});
