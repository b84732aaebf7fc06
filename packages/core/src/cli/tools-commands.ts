/** The rows of the command table about tools. */
import type { CommandSpec, PositionalSpec } from "./context.ts";

const TOOL: PositionalSpec = { name: "TOOL", summary: "a tool, e.g. com.example.echo/say", required: true };

export const TOOLS_COMMANDS: readonly CommandSpec[] = [
  {
    noun: "tools",
    verb: "list",
    summary: "List the tools that running agents offer",
    positionals: [],
    options: { agent: { type: "string", value: "ID", summary: "only those of this agent" } },
    examples: ["opensentience tools list"],
    load: () => import("./commands/tools-list.ts"),
  },
  {
    noun: "tools",
    verb: "info",
    summary: "Show what a tool takes and gives",
    positionals: [TOOL],
    options: {},
    examples: ["opensentience tools info com.example.echo/say"],
    load: () => import("./commands/tools-info.ts"),
  },
  {
    noun: "tools",
    verb: "call",
    summary: "Call a tool and print its output",
    positionals: [TOOL],
    options: {
      input: {
        type: "string",
        value: "JSON|@FILE|-",
        summary: "the input, an object; from a file, or from stdin; {} when left out",
      },
      stream: { type: "boolean", summary: "show what the tool streams as it comes" },
      timeout: { type: "string", value: "SECONDS", summary: "give up after so long" },
      "idempotency-key": {
        type: "string",
        value: "KEY",
        summary: "a second call with this key gives the first one's outcome",
      },
    },
    executesThirdPartyCode: true,
    notes: [
      "Ctrl-C cancels the call. A call that failed ends with exit code 1, a canceled one with 130.",
      "With --json a call that Ctrl-C canceled is a result too, with the status canceled and no call id; with --stream it is the last line.",
    ],
    examples: [
      'opensentience tools call com.example.echo/say --input \'{"text":"hello"}\'',
      "opensentience tools call com.example.echo/count --input @input.json --stream",
    ],
    load: () => import("./commands/tools-call.ts"),
  },
];
