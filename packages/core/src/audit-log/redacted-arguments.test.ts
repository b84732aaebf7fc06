import { describe, expect, test } from "vitest";
import { Redactor, shortened } from "./audit-log.ts";

describe("the arguments of a program", () => {
  test("lose live secrets, credentials by their shape, named values and what follows a telling option", () => {
    const redactor = new Redactor();
    redactor.protect("value-of-the-token", "env API_TOKEN");
    expect(
      redactor.arguments([
        "--verbose",
        "value-of-the-token",
        "--password",
        "correct horse",
        "--token",
        "--next",
        "--api-key=Zm9vYmFyYmF6",
        "plain",
      ]),
    ).toEqual([
      "--verbose",
      "[redacted:env_API_TOKEN]",
      "--password",
      "[redacted:password]",
      "--token",
      "--next",
      expect.stringMatching(/^--api-key=\[redacted/),
      "plain",
    ]);
  });

  test("that are too long say how much is missing", () => {
    expect(shortened("abc", 3)).toBe("abc");
    expect(shortened("abcdef", 2)).toBe("ab… (4 characters more)");
  });
});
