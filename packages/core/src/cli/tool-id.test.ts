import { CoreError } from "@opensentience/protocol";
import { describe, expect, test } from "vitest";
import { toolMeant } from "./tool-id.ts";

const OFFERED = [
  "com.newcomer.tide/high",
  "com.newcomer.echo/say",
  "org.example.echo/say",
  "com.newcomer.echo/count",
].map((tool_id) => ({ tool_id, agent_id: tool_id.split("/")[0] ?? "" }));

describe("the tool that is meant", () => {
  test.each([
    ["com.newcomer.tide/high", "com.newcomer.tide/high"],
    ["tide/high", "com.newcomer.tide/high"],
    ["high", "com.newcomer.tide/high"],
    ["newcomer.echo/say", "com.newcomer.echo/say"],
    ["org.example.echo/say", "org.example.echo/say"],
  ])("by %s is %s", (typed, id) => expect(toolMeant(typed, OFFERED).tool_id).toBe(id));

  test("is nobody's guess when several are named so", () => {
    for (const typed of ["say", "echo/say"])
      expect(() => toolMeant(typed, OFFERED)).toThrow(expect.objectContaining({ code: "usage.invalid" }));
  });

  test.each([
    ["tide/hihg", "com.newcomer.tide/high"],
    ["com.newcomer.echo/conut", "com.newcomer.echo/count"],
    ["hgih", "com.newcomer.tide/high"],
  ])("is suggested for %s", (typed, near) => {
    const error = expect.objectContaining({
      code: "tool.not_found",
      nextStep: `opensentience tools info ${near}`,
    }) as unknown;
    expect(() => toolMeant(typed, OFFERED)).toThrow(error);
  });

  test("is not guessed for the tool of an agent that is not running", () => {
    const refusal = new CoreError("tool.agent_unavailable", "it is not running");
    expect(() => toolMeant("com.newcomer.moon/high", OFFERED, refusal)).toThrow(refusal);
    expect(() => toolMeant("x/y/z", [])).toThrow(expect.objectContaining({ nextStep: "opensentience tools list" }));
  });
});
