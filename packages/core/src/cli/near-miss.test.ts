import { CoreError } from "@opensentience/protocol";
import { describe, expect, test } from "vitest";
import { nearest } from "../host/config.ts";
import { parseLine } from "./arguments.ts";

function message(...argv: string[]): string {
  try {
    parseLine(argv);
  } catch (error) {
    if (error instanceof CoreError) return error.message;
  }
  throw new Error("was not refused");
}

describe("a word that no command has", () => {
  test.each([
    [["agents", "uninstall", "a.b"], "agents remove"],
    [["agents", "unistall", "a.b"], "agents remove"],
    [["agents", "rm", "a.b"], "agents remove"],
    [["agents", "disable", "a.b"], "agents revoke"],
    [["agents", "approve", "a.b"], "agents enable"],
    [["agents", "start", "a.b"], "agents run"],
    [["agents", "rnu", "a.b"], "agents run"],
    [["rm", "a.b"], "agents remove"],
    [["ps"], "agents ps"],
    [["logs", "a.b"], "agents logs"],
    [["install", "https://e.x/a"], "agents install"],
    [["stop"], "core stop"],
    [["stop", "a.b"], "agents stop"],
    [["start"], "core start"],
    [["start", "a.b"], "agents run"],
    [["status"], "core status"],
    [["verify"], "audit verify"],
    [["version"], "--version"],
    [["-v"], "--version"],
    [["audit", "events"], "audit list"],
  ])("%j means %s", (argv, words) => {
    expect(message(...argv)).toContain(`did you mean "${words}"?`);
  });

  test.each([["frobnicate"], ["agents", "frobnicate"], ["agents", "list", "--frobnicate"], ["core", "xy"]])(
    "no guess is made where nothing is near: %s %s %s",
    (...argv) => {
      expect(message(...argv.filter((word) => word !== undefined))).not.toContain("did you mean");
    },
  );

  test.each([
    [["agents", "logs", "a.b", "-n", "5"], "--tail"],
    [["agents", "logs", "a.b", "--lines=5"], "--tail"],
    [["agents", "ps", "-a"], "--all"],
    [["tools", "call", "a.b/c", "--data", "{}"], "--input"],
    [["--hom", "/tmp", "agents", "list"], "--home"],
    [["--jsno", "agents", "list"], "--json"],
  ])("an option of another tool, or one before the words, is %j", (argv, meant) => {
    expect(message(...argv)).toContain(`did you mean "${meant}"?`);
  });

  test("an option of the agent itself is told apart", () => {
    expect(message("agents", "run", "a.b", "--every", "1")).toContain("arguments for the agent come after --");
    expect(message("agents", "list", "--every")).not.toContain("after --");
  });
});

test("the nearest word is near, or the only one with that ending", () => {
  const known = ["build.timeout_ms", "install.timeout_ms", "launcher.stop_grace_ms"];
  expect(nearest("stop_grace_ms", known)).toBe("launcher.stop_grace_ms");
  expect(nearest("timeout_ms", known)).toBeUndefined();
  expect(nearest("build.timeout", known)).toBe("build.timeout_ms");
  expect(nearest("colour", known)).toBeUndefined();
});
