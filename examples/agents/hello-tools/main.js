import { setTimeout as pause } from "node:timers/promises";
import { defineAgent, tool, ToolError } from "./opensentience-sdk.js";

const object = (properties, required = Object.keys(properties)) => ({ type: "object", properties, required });

defineAgent({
  version: "1.0.0",
  tools: {
    hello_world: tool(
      {
        description: "Greets whoever is named.",
        inputSchema: object({ name: { type: "string", maxLength: 200 } }, []),
        outputSchema: object({ greeting: { type: "string" } }),
      },
      ({ name = "world" }) => ({ greeting: `Hello, ${name}!` }),
    ),
    stream_counter: tool(
      {
        description: "Counts aloud, one chunk per number.",
        inputSchema: object(
          {
            to: { type: "integer", minimum: 1, maximum: 1_000_000 },
            pause_ms: { type: "integer", minimum: 0, maximum: 60_000 },
          },
          ["to"],
        ),
      },
      async ({ to, pause_ms = 0 }, { stream, signal }) => {
        for (let count = 1; count <= to; count += 1) {
          signal.throwIfAborted();
          await stream(`${count}\n`);
          if (pause_ms > 0) await pause(pause_ms, undefined, { signal });
        }
        return { counted: to };
      },
    ),
    sleep: tool(
      {
        description: "Waits; can be canceled.",
        inputSchema: object({ ms: { type: "integer", minimum: 0, maximum: 3_600_000 } }),
      },
      async ({ ms }, { signal }) => {
        await pause(ms, undefined, { signal });
        return { slept_ms: ms };
      },
    ),
    invalid_input: tool({ description: "Takes anything and refuses it.", inputSchema: { type: "object" } }, () => {
      throw new ToolError("hello.refused", "this tool refuses every input");
    }),
    large_output: tool(
      {
        description: "Answers with as many characters as asked for.",
        inputSchema: object({ bytes: { type: "integer", minimum: 0, maximum: 16_000_000 } }),
      },
      ({ bytes }) => ({ text: "x".repeat(bytes) }),
    ),
  },
}).run();
