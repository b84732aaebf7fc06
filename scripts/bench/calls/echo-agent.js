// Two tools: one answers with what it got, the other measures calls of another agent's tool through Core.
import { measured } from "./measured.ts";

const { defineAgent, tool } = await import(process.env.SDK);
const any = { type: "object", required: ["text"], properties: { text: { type: "string" } } };

defineAgent({
  version: "1.0.0",
  tools: {
    echo: tool({ description: "Answers with its input.", inputSchema: any }, (input) => input),
    measure: tool(
      { description: "Calls another tool many times.", inputSchema: { type: "object" } },
      ({ target, calls, bytes, inFlight }, { call }) => {
        const input = { text: "x".repeat(bytes) };
        return measured(() => call(target, input), calls, inFlight);
      },
    ),
  },
}).run();
