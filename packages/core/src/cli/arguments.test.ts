import { CoreError } from "@opensentience/protocol";
import { describe, expect, test } from "vitest";
import { parseLine, wantsJson } from "./arguments.ts";
import { commandName } from "./commands.ts";
import { OptionValues } from "./context.ts";

function command(...argv: string[]) {
  const line = parseLine(argv);
  if (line.kind !== "command") throw new Error(`expected a command, got ${line.kind}`);
  return {
    name: commandName(line.command),
    positionals: line.positionals,
    passthrough: line.passthrough,
    options: { ...line.options },
  };
}

function refusal(...argv: string[]): CoreError {
  try {
    parseLine(argv);
  } catch (error) {
    if (error instanceof CoreError) return error;
  }
  throw new Error("was not refused");
}

describe("command line", () => {
  test("takes global options before, between and after the words", () => {
    for (const argv of [
      ["--json", "--home", "/h", "agents", "list"],
      ["agents", "--json", "--home=/h", "list"],
      ["agents", "list", "--home", "/h", "--json"],
    ]) {
      expect(command(...argv)).toMatchObject({
        name: "agents list",
        positionals: [],
        options: { json: true, home: "/h" },
      });
    }
  });

  test("leaves everything after -- to the agent", () => {
    const parsed = command("agents", "run", "com.example.a", "--restart", "always", "--", "--json", "-h", "x");
    expect(parsed).toMatchObject({
      positionals: ["com.example.a"],
      passthrough: ["--json", "-h", "x"],
      options: { restart: "always" },
    });
    expect(parsed.options).not.toHaveProperty("json");
    expect(wantsJson(["agents", "run", "a", "--", "--json"])).toBe(false);
  });

  test("collects repeated values and knows short forms", () => {
    expect(command("agents", "enable", "a.b", "--approve", "x:y", "--approve=z:w,v:u").options["approve"]).toEqual([
      "x:y",
      "z:w,v:u",
    ]);
    expect(command("agents", "logs", "a.b", "-f", "--tail", "5").options).toMatchObject({ follow: true, tail: "5" });
  });

  test("names the nearest known command and option", () => {
    expect(refusal("agnets").message).toContain('"agents"');
    expect(refusal("agents", "isntall", "x").message).toContain('"agents install"');
    expect(refusal("agents", "list", "--jsno").message).toContain('"--json"');
    expect(refusal("audit", "list", "--sevrity", "warn").message).toContain('"--severity"');
    expect(refusal("audit", "list", "--severity", "wran").message).toContain('"warn"');
  });

  test("never suggests an option that is only for Core's own processes", () => {
    expect(refusal("serve", "--backgroud").message).not.toContain("--background");
  });

  test.each([
    [["agents"], "needs one of"],
    [["agents", "info"], "ID is missing"],
    [["agents", "info", "a", "b"], 'unexpected argument "b"'],
    [["agents", "run", "a", "b"], "come after --"],
    [["agents", "install", "x", "--ref"], "--ref needs a value"],
    [["agents", "install", "x", "--ref", "--json"], "--ref needs a value"],
    [["agents", "install", "x", "--ref", "a", "--ref", "b"], "given twice"],
    [["agents", "list", "--json=yes"], "takes no value"],
    [["--nope"], "unknown option"],
    [["agents", "list", "--constructor"], "unknown option"],
  ])("refuses %j", (argv, message) => {
    const error = refusal(...argv);
    expect(error.code).toBe("usage.invalid");
    expect(error.message).toContain(message);
    expect(error.nextStep).toMatch(/^opensentience help/);
  });

  test("help wins over missing arguments, and stays with its words", () => {
    expect(parseLine([])).toEqual({ kind: "help", words: [] });
    expect(parseLine(["--help"])).toEqual({ kind: "help", words: [] });
    expect(parseLine(["agents", "-h"])).toEqual({ kind: "help", words: ["agents"] });
    expect(parseLine(["agents", "info", "--help"])).toEqual({ kind: "help", words: ["agents", "info"] });
    expect(parseLine(["--version"])).toEqual({ kind: "version" });
  });
});

describe("option values", () => {
  const now = Date.parse("2026-01-31T12:00:00Z");

  test("reads durations back from now and plain times", () => {
    const values = new OptionValues({ since: "90s", until: "2026-01-30T10:00:00+01:00" });
    expect(values.time("since", now)).toBe("2026-01-31T11:58:30.000Z");
    expect(values.time("until", now)).toBe("2026-01-30T09:00:00.000Z");
    expect(values.time("other", now)).toBeUndefined();
  });

  test("refuses what is neither time nor count", () => {
    expect(() => new OptionValues({ since: "soon" }).time("since")).toThrow(CoreError);
    expect(() => new OptionValues({ tail: "-1" }).count("tail", 0, 9)).toThrow(CoreError);
    expect(() => new OptionValues({ tail: "1e3" }).count("tail", 0, 9999)).toThrow(CoreError);
  });
});
