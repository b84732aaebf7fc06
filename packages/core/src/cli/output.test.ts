import { PassThrough } from "node:stream";
import { CoreError } from "@opensentience/protocol";
import { describe, expect, test } from "vitest";
import { exitCodeOf, Output } from "./output.ts";
import { Prompt } from "./prompt.ts";
import { Interrupted } from "./interrupted.ts";

function output(options: { json?: boolean; quiet?: boolean; noColor?: boolean; terminal?: boolean } = {}) {
  const terminal = options.terminal === true ? { isTTY: true, columns: 40 } : {};
  const stdout = Object.assign(new PassThrough(), terminal);
  const stderr = Object.assign(new PassThrough(), terminal);
  const made = new Output(
    { stdout, stderr },
    {
      json: options.json === true,
      quiet: options.quiet === true,
      noColor: options.noColor === true,
    },
  );
  const text = (stream: PassThrough): string => String(stream.read() ?? "");
  return { output: made, out: () => text(stdout), err: () => text(stderr) };
}

const failure = new CoreError("enablement.drifted", "moved\u001b[2J\nhere", {
  details: { layers: ["commit"] },
  nextStep: "opensentience agents diff a.b",
});

describe("with --json", () => {
  test("stdout is one document and stderr holds nothing but the error", () => {
    const { output: made, out, err } = output({ json: true, terminal: true });
    made.result({ items: [], next: null }, () => "never");
    made.note("never");
    made.nextStep("never");
    made.progress().show("output", "never");
    expect(JSON.parse(out())).toEqual({ items: [], next: null });
    made.error(failure);
    expect(JSON.parse(err())).toEqual({
      error: {
        code: "enablement.drifted",
        message: failure.message,
        details: { layers: ["commit"] },
        next_step: "opensentience agents diff a.b",
      },
    });
  });

  test("records are one line each", () => {
    const { output: made, out } = output({ json: true });
    made.record({ line: "a\nb" }, () => "never");
    made.record({ line: "c" }, () => "never");
    expect(out()).toBe('{"line":"a\\nb"}\n{"line":"c"}\n');
  });
});

test("with --json no document, line or error holds a raw C1, DEL or direction character", () => {
  const { output: made, out, err } = output({ json: true });
  const hostile = { name: "a\u009b31m\u007f\u202eb\u2066" };
  made.result(hostile, () => "never");
  const document = out();
  made.record(hostile, () => "never");
  const line = out();
  made.error(new CoreError("agent.not_found", hostile.name, { details: hostile }));
  const error = err();
  for (const text of [document, line, error]) expect(text).toMatch(/^[\n\x20-\x7e]+$/);
  expect([JSON.parse(document), JSON.parse(line)]).toEqual([hostile, hostile]);
  expect(JSON.parse(error)).toMatchObject({ error: { message: hostile.name, details: hostile } });
});

describe("for people", () => {
  test("errors are two safe lines", () => {
    const { output: made, err } = output();
    made.error(failure);
    const text = err();
    expect(text).toMatch(/^error: moved.* here \(enablement\.drifted\)\nnext: opensentience agents diff a\.b\n$/);
    expect(text).not.toContain("\u001b");
  });

  test("colour only on a terminal and never with NO_COLOR", () => {
    const shown = (options: Parameters<typeof output>[0]): string => {
      const { output: made, out } = output(options);
      made.result(null, (style) => style.paint("red", "x"));
      return out();
    };
    expect(shown({ terminal: true })).toContain("\u001b[31m");
    expect(shown({ terminal: true, noColor: true })).toBe("x\n");
    expect(shown({})).toBe("x\n");
  });

  test("progress is live on a terminal and nothing in a pipe", () => {
    const piped = output();
    piped.output.progress().show("output", "x");
    expect(piped.output.progressIsShown).toBe(false);
    expect(piped.err()).toBe("");
    const live = output({ terminal: true });
    const progress = live.output.progress();
    progress.show("clone", `1\u001b[2J${"x".repeat(80)}`);
    progress.show("output", "kept");
    progress.end();
    const text = live.err();
    expect(text).toMatch(/^clone: 1.*…\r\u001b\[K {2}kept\n$/);
    expect(text).not.toContain("\u001b[2J");
  });

  test("--quiet leaves results and errors", () => {
    const { output: made, out, err } = output({ quiet: true });
    made.note("never");
    made.result(null, () => "result");
    expect([out(), err()]).toEqual(["result\n", ""]);
  });
});

describe("exit codes", () => {
  test.each([
    ["usage.invalid", 2],
    ["agent.not_found", 3],
    ["enablement.drifted", 4],
    ["core.unsafe_socket", 4],
    ["core.unreachable", 5],
    ["core.start_failed", 5],
    ["launcher.already_running", 6],
    ["build.failed", 1],
    ["core.internal", 1],
    ["build.canceled", 130],
  ] as const)("%s ends with %d", (code, exit) => expect(exitCodeOf(new CoreError(code, "x"))).toBe(exit));
});

describe("questions", () => {
  test("take lines typed ahead and default to no", async () => {
    const input = new PassThrough();
    const prompt = new Prompt(input, output().output, new AbortController().signal);
    const first = prompt.confirm("one?");
    input.write("y\nno\n\n");
    expect([await first, await prompt.confirm("two?"), await prompt.confirm("three?")]).toEqual([true, false, false]);
    prompt.close();
  });

  test("end as interrupted by Ctrl-C and by the end of input", async () => {
    const interrupt = new AbortController();
    const prompt = new Prompt(new PassThrough(), output().output, interrupt.signal);
    const asked = prompt.ask("?");
    interrupt.abort();
    await expect(asked).rejects.toBeInstanceOf(Interrupted);
    prompt.close();
    const input = new PassThrough();
    const other = new Prompt(input, output().output, new AbortController().signal).ask("?");
    input.end();
    await expect(other).rejects.toBeInstanceOf(Interrupted);
  });
});
