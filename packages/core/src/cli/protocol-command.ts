/** The row of the command table about the runtime protocol. */
import type { CommandSpec } from "./context.ts";

export const PROTOCOL_TEST: CommandSpec = {
  noun: "protocol",
  verb: "test",
  summary: "Play Core with an agent, and report case by case whether it keeps to the protocol",
  positionals: [{ name: "DIR", summary: "the agent's folder, with its manifest", required: false }],
  options: {
    case: { type: "string", value: "NAME", multiple: true, summary: "only this case (repeatable)" },
    tool: { type: "string", value: "NAME", summary: "the tool that general cases call, instead of a harmless one" },
    input: { type: "string", value: "JSON", summary: "its input, instead of one made from its schema" },
    timeout: { type: "string", value: "SECONDS", summary: "how long an answer may take (default: 5)" },
    list: { type: "boolean", summary: "only list the cases" },
  },
  passthrough: true,
  executesThirdPartyCode: true,
  notes: [
    "Needs neither Core nor a home, and records nothing. The agent runs as you, without the sandbox; build it first.",
    "What follows -- is the command to test, or with DIR more arguments of its entrypoint.",
    "Ends with exit code 1 when a case failed. docs/protocol.md says what each case holds an agent to.",
  ],
  examples: [
    "opensentience protocol test examples/agents/hello-python",
    "opensentience protocol test --case handshake -- python3 agent.py",
  ],
  load: () => import("./commands/protocol-test.ts"),
};
