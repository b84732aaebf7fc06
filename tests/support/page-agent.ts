/** An agent for the page: it asks for permissions, has a build step, prints in colours, and offers tools. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { EXAMPLES, type Files, type GitRepository, gitRepository } from "./core-home.ts";
import { manifestText } from "./small-agent.ts";

const PROGRAM = `import { setTimeout as pause } from "node:timers/promises";
import { defineAgent, tool } from "./opensentience-sdk.js";

console.log("\\x1b[32mready\\x1b[0m to help");
console.error("a warning, on stderr");
let beat = 0;
setInterval(() => console.log("beat " + (beat += 1)), 250).unref();

const counter = {
  description: "Counts aloud, one chunk per number.",
  inputSchema: {
    type: "object",
    properties: {
      to: { type: "integer", minimum: 1, maximum: 1000000, description: "How far to count." },
      pause_ms: { type: "integer", minimum: 0, maximum: 60000 },
      mode: { enum: ["plain", "loud"] },
    },
    required: ["to"],
  },
};
defineAgent({
  version: "1.0.0",
  tools: {
    count: tool(counter, async ({ to, pause_ms = 0, mode = "plain" }, { stream, signal }) => {
      for (let n = 1; n <= to; n += 1) {
        signal.throwIfAborted();
        await stream(mode === "loud" ? n + "!\\n" : n + "\\n");
        if (pause_ms > 0) await pause(pause_ms, undefined, { signal });
      }
      return { counted: to };
    }),
  },
}).run();
`;

export const PAGE_PERMISSIONS: string[] = [
  "env:read:NOTES_LANGUAGE",
  "filesystem:read:~/notes/**",
  "network:egress:example.com:443",
];

export function pageAgent(agentId: string, changes: Record<string, unknown> = {}, files: Files = {}): Files {
  return {
    "opensentience.agent.json": manifestText(agentId, {
      name: "Note helper",
      description: "Counts, reads notes and says what it found.",
      entrypoint: { type: "command", value: "node", args: ["main.js"] },
      permissions: PAGE_PERMISSIONS,
      capabilities: ["tools", "streaming", "cancellation"],
      keywords: ["notes"],
      build: { steps: [{ phase: "compile", argv: ["node", "--check", "main.js"] }] },
      ...changes,
    }),
    "main.js": PROGRAM,
    "opensentience-sdk.js": readFileSync(join(EXAMPLES, "hello-tools/opensentience-sdk.js"), "utf8"),
    ...files,
  };
}

/** Its repository, to be installed by the page. */
export function pageAgentRepository(agentId: string): Promise<GitRepository> {
  return gitRepository("note-helper", pageAgent(agentId));
}
