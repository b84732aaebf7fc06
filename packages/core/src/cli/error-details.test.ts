import { PassThrough } from "node:stream";
import { CoreError } from "@opensentience/protocol";
import { describe, expect, test } from "vitest";
import { errorDetails } from "./error-details.ts";
import { Style } from "./format.ts";
import { Output } from "./output.ts";
import { withBuildOutput } from "./with-progress.ts";

const plain = new Style({ color: false });

describe("a failed build", () => {
  const lines = Array.from({ length: 15 }, (_, index) => `line ${index + 1}\u001b[2J`);
  const error = new CoreError("build.failed", "x", { details: { last_lines: lines, log_path: "/l/build-1.log" } });

  test("shows its last 10 lines and the path of its log", () => {
    const text = errorDetails(plain, error, false);
    expect(text.match(/^ {2}\| line \d+/gm)).toHaveLength(10);
    expect(text).toContain("line 15");
    expect(text).toMatch(/build log {2}\/l\/build-1\.log\n$/);
    expect(text).not.toContain("\u001b");
  });

  test("does not repeat lines that are on the screen already", () => {
    expect(errorDetails(plain, error, true)).toBe("  build log  /l/build-1.log\n");
  });
});

test("every problem of a manifest is shown, within bounds, when the message cannot hold them", () => {
  const problems = (count: number): CoreError =>
    new CoreError("manifest.invalid", "x", {
      details: { problems: Array.from({ length: count }, (_, index) => ({ path: `f${index}`, message: "is wrong" })) },
    });
  expect(errorDetails(plain, problems(3), false)).toBe("");
  expect(errorDetails(plain, problems(4), false).split("\n")).toHaveLength(5);
  expect(errorDetails(plain, problems(30), false)).toMatch(/f19 is wrong\n {2}… and 10 more\n$/);
});

describe("output of a build", () => {
  async function shown(options: { terminal?: boolean; json?: boolean }): Promise<string> {
    const stderr = Object.assign(new PassThrough(), options.terminal === true ? { isTTY: true, columns: 80 } : {});
    const output = new Output(
      { stdout: new PassThrough(), stderr },
      {
        json: options.json === true,
        quiet: false,
        noColor: true,
      },
    );
    await withBuildOutput(output, (onProgress) => {
      for (const text of ["$ npm ci", "added 3 packages", "found 0"]) onProgress?.({ phase: "fetch", text });
      return Promise.resolve();
    });
    return String(stderr.read() ?? "");
  }

  test("stays on a terminal, line by line", async () => {
    expect(await shown({ terminal: true })).toBe("fetch: $ npm ci\n  added 3 packages\n  found 0\n");
  });

  test("is one line for each step elsewhere, and nothing with --json", async () => {
    expect(await shown({})).toBe("fetch: $ npm ci\n");
    expect(await shown({ json: true })).toBe("");
  });
});
