import { describe, expect, test } from "vitest";
import { parseLine } from "./arguments.ts";
import { commandName, COMMANDS, NOUNS } from "./commands.ts";
import { helpOn, renderCliDocs, usageOf } from "./help.ts";

describe("help", () => {
  test("lists every command and noun", () => {
    const { text } = helpOn([]);
    for (const command of COMMANDS) expect(text).toContain(commandName(command));
    expect(new Set(COMMANDS.map((command) => command.noun))).toEqual(new Set(Object.keys(NOUNS)));
  });

  test("says plainly which commands execute third-party code", () => {
    for (const words of [
      ["agents", "build"],
      ["agents", "run"],
      ["agents", "restart"],
    ]) {
      expect(helpOn(words).text).toContain("executes third-party code");
    }
    expect(helpOn(["agents", "install"]).text).not.toContain("This executes third-party code");
  });

  test("shows usage, options and examples of one command, but nothing hidden", () => {
    const { text } = helpOn(["agents", "run"]);
    expect(text).toContain("opensentience agents run ID [--restart POLICY] [--yes] [-- ARGS…]");
    expect(text).toContain("(never, on-failure, always)");
    expect(helpOn(["serve"]).text).not.toContain("background");
    expect(helpOn(["agents"]).text).toContain("agents revoke");
  });

  test("every example parses as the command it stands for", () => {
    for (const command of COMMANDS) {
      for (const example of command.examples) {
        const argv = example
          .replace(/ > \S+$/, "")
          .split(" ")
          .slice(1);
        const line = parseLine(argv);
        expect([example, line.kind === "command" ? commandName(line.command) : undefined]).toEqual([
          example,
          commandName(command),
        ]);
      }
      expect(usageOf(command)).toMatch(/^opensentience \w+/);
    }
  });

  test("every command has a file that runs it", async () => {
    for (const command of COMMANDS) expect(typeof (await command.load()).run).toBe("function");
  });

  test("docs/cli.md is what the command table says", async () => {
    await expect(renderCliDocs()).toMatchFileSnapshot("../../../../docs/cli.md");
  });
});
