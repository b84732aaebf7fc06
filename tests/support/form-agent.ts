/** An agent whose tools have the inputs that a form finds hard, and speak on every channel. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { EXAMPLES, type Files } from "./core-home.ts";
import { manifestText } from "./small-agent.ts";

const PROGRAM = `import { setTimeout as pause } from "node:timers/promises";
import { defineAgent, tool } from "./opensentience-sdk.js";

const text = { type: "string" };
const note = {
  description: "Takes a note and gives it back.",
  inputSchema: {
    type: "object",
    properties: {
      name: { ...text, maxLength: 60, minLength: 3 },
      about: { ...text, description: "As many lines as you like." },
      body: { ...text, maxLength: 100, contentMediaType: "text/markdown" },
      meta: { description: "Anything at all." },
      to: {
        anyOf: [
          { title: "An address", ...text, minLength: 5 },
          {
            title: "A host",
            type: "object",
            properties: { host: text, port: { type: "integer", minimum: 1 } },
            required: ["host", "port"],
          },
        ],
      },
      rows: { type: "array", items: { type: "object", properties: { count: { type: "integer", minimum: 1 } } } },
    },
    required: ["name"],
  },
};
const either = {
  description: "Its shape depends on itself.",
  inputSchema: {
    type: "object",
    properties: { kind: { enum: ["a", "b"], default: "b" } },
    if: { properties: { kind: { const: "a" } } },
    then: { properties: { of_a: text }, required: ["of_a"] },
  },
};
const speak = {
  description: "Speaks on every channel.",
  inputSchema: { type: "object" },
  permissions: ["env:read:FORM_LANGUAGE"],
};
const wait = {
  description: "Counts until it is canceled.",
  inputSchema: { type: "object", properties: { pause_ms: { type: "integer" } } },
};

const preset = {
  description: "Offers values.",
  inputSchema: {
    type: "object",
    properties: {
      depth: { type: "integer", minimum: 1, default: 3 },
      deep: { type: "boolean", default: true },
      off: { type: "boolean", default: false },
      path: { ...text, default: "/srv/notes" },
      order: { enum: ["new", "old"], default: "old" },
      tags: { type: "array", items: text, default: ["a", "b"] },
      near: { type: "object", properties: { port: { type: "integer", default: 80 }, host: text } },
      day: { ...text, format: "date", default: "some day" },
      any: { default: { deep: [1] } },
      wrong: { type: "integer", default: "three" },
      wrong_list: { type: "array", items: { type: "integer" }, default: ["x"] },
      other: text,
    },
    required: ["path", "other"],
  },
};
const locked = {
  description: "Needs more than is approved.",
  inputSchema: { type: "object" },
  permissions: ["env:read:FORM_LANGUAGE", "env:read:NOT_APPROVED"],
};

defineAgent({
  version: "1.0.0",
  tools: {
    note: tool(note, async (input) => input),
    either: tool(either, async (input) => input),
    preset: tool(preset, async (input) => input),
    locked: tool(locked, async () => ({})),
    speak: tool(speak, async (_, { stream }) => {
      await stream("first line\\nand ");
      await stream("half a line");
      await stream("careful", "stderr");
      await stream(", the other half\\n");
      await stream("looking at 3 files\\n", "log");
      await stream("two of three", "status");
      await stream({ json: { found: 2 } }, "partial_result");
      await stream("last line\\n");
      return { channels: 5 };
    }),
    wait: tool(wait, async ({ pause_ms = 100 }, { stream, signal }) => {
      for (let n = 1; ; n += 1) {
        signal.throwIfAborted();
        await stream("tick " + n + "\\n");
        await pause(pause_ms, undefined, { signal });
      }
    }),
  },
}).run();
`;

export function formAgent(agentId: string): Files {
  return {
    "opensentience.agent.json": manifestText(agentId, {
      name: "Form filler",
      description: "Asks for more than a line.",
      entrypoint: { type: "command", value: "node", args: ["main.js"] },
      permissions: ["env:read:FORM_LANGUAGE"],
      capabilities: ["tools", "streaming", "cancellation"],
      build: { steps: [{ phase: "compile", argv: ["node", "-e", "let a = 'two words'", "a b"] }] },
    }),
    "main.js": PROGRAM,
    "opensentience-sdk.js": readFileSync(join(EXAMPLES, "hello-tools/opensentience-sdk.js"), "utf8"),
  };
}
