import { PassThrough } from "node:stream";
import type { AgentDetailJson } from "@opensentience/protocol";
import { expect, test } from "vitest";
import { pathsOf } from "../../host/paths.ts";
import { COMMANDS } from "../commands.ts";
import { type CommandContext, type CommandSpec, OptionValues, type ParsedOptions } from "../context.ts";
import type { ControlClient } from "../control-client.ts";
import { Output } from "../output.ts";
import { Prompt } from "../prompt.ts";
import { run } from "./agents-enable.ts";

const AGENT = {
  agent_id: "com.example.echo",
  name: "Echo",
  version: "1.0.0",
  status: "installed",
  install_path: "/x",
  manifest_hash: "a".repeat(64),
  source_commit: "b".repeat(40),
  build_status: null,
  approval: null,
  drift: null,
  pending_permissions: null,
  next_step: null,
  requested_permissions: [{ permission: "x:a", meaning: "m", risk: null, enforcement: "advisory", approved: false }],
} as unknown as AgentDetailJson;

function commandOf(verb: string): CommandSpec {
  const found = COMMANDS.find((each) => each.verb === verb);
  if (found === undefined) throw new Error(`no command ${verb}`);
  return found;
}

/** Runs the command against a Core that knows one agent; `typed` are the lines at the terminal, undefined for none. */
async function enable(
  options: ParsedOptions,
  typed: string | undefined,
  changes: Partial<AgentDetailJson> = {},
): Promise<{ exit: number | void; sent: unknown[]; asked: string[] }> {
  const sent: unknown[] = [];
  const asked: string[] = [];
  const stderr = new PassThrough();
  const output = new Output({ stdout: new PassThrough(), stderr }, { json: false, quiet: false, noColor: true });
  const input = new PassThrough();
  const signal = new AbortController().signal;
  const client = {
    call: (operation: string, request: { body?: unknown }) => {
      asked.push(operation);
      if (operation === "enable_agent") sent.push(request.body);
      return Promise.resolve({ ...AGENT, ...changes });
    },
  };
  const context: CommandContext = {
    command: commandOf("enable"),
    positionals: [AGENT.agent_id],
    passthrough: [],
    options: new OptionValues(options),
    output,
    paths: await pathsOf("/h", undefined, 0),
    binary: "/bin",
    signal,
    connect: () => Promise.resolve(client as unknown as ControlClient),
    prompt: () => Promise.resolve(typed === undefined ? undefined : new Prompt(input, output, signal)),
    loadServe: () => Promise.reject(new Error("not here")),
  };
  if (typed !== undefined) input.end(typed);
  return { exit: await run(context), sent, asked };
}

test("approves exactly the state that was shown", async () => {
  expect(await enable({ expires: "30d" }, "y\ny\n")).toMatchObject({
    exit: 0,
    sent: [
      {
        approve: ["x:a"],
        expires: "30d",
        expected_manifest_hash: "a".repeat(64),
        expected_commit: "b".repeat(40),
      },
    ],
  });
});

test("approves nothing when the person decides against it", async () => {
  expect(await enable({}, "q\n")).toMatchObject({ exit: 1, sent: [] });
  expect(await enable({}, "y\n\n")).toMatchObject({ exit: 1, sent: [] });
});

test.each([
  ["by hand", {}, "y\ny\n"],
  ["by name", { approve: ["x:a"] }, undefined],
  ["as a whole", { all: true }, undefined],
])("fetches the agent once when it is approved %s", async (_, options, typed) => {
  expect((await enable(options, typed)).asked).toEqual(["get_agent", "enable_agent"]);
});

test("leaves it to Core to refuse what is not installed, without a question", async () => {
  expect((await enable({}, "", { install_path: null })).sent).toEqual([{ approve: [] }]);
});

test("names the flags where nobody can be asked", async () => {
  await expect(enable({}, undefined)).rejects.toMatchObject({
    code: "enablement.choice_required",
    message: expect.stringMatching(/agents enable com\.example\.echo --all.*--approve/),
  });
});

test("takes the choice from flags without asking, and refuses both at once", async () => {
  expect((await enable({ all: true }, undefined)).sent).toEqual([{ all: true }]);
  expect((await enable({ approve: ["x:a,x:b"] }, undefined)).sent).toEqual([{ approve: ["x:a", "x:b"] }]);
  await expect(enable({ all: true, approve: ["x:a"] }, undefined)).rejects.toMatchObject({ code: "usage.invalid" });
});
