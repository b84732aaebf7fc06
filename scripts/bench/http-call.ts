/**
 * What a governed call costs through the control API: from a program that sends HTTP over the control socket to Core, to an
 * agent in its sandbox, and back. The floor is a call that nobody governs, the MCP TypeScript SDK over stdio.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type BenchHome, benchHome, plantAgent, runAgent } from "./bench-home.ts";
import { measured, type Speed } from "./calls/measured.ts";
import { ratioOf, sideBySide, type Figure } from "./figure.ts";
import { run, withPeers } from "./tool-calls.ts";

const AGENT = "com.example.echo";
const [CALLS, BYTES] = [3_000, 200];

const ECHO = `import { defineAgent, tool } from "./opensentience-sdk.js";
const inputSchema = { type: "object", required: ["text"], properties: { text: { type: "string" } } };
defineAgent({ version: "1.0.0", tools: { echo: tool({ description: "Answers with its input.", inputSchema }, (input) => input) } }).run();
`;

export const figure: Figure = {
  name: "call-over-http",
  subject: `Median of a governed call of ${BYTES} B through the control API on its socket, one in flight.`,
  floor: "the same input and output by the MCP TypeScript SDK over stdio, ungoverned",
  target: 2.2,
  async measure(rounds) {
    const home = benchHome();
    try {
      await runEcho(home);
      const governed = async (): Promise<number> => {
        // Of its own each time: Core closes what is silent while the peer is measured.
        const connection = connect(join(home.folder, "run/core.sock"));
        await once(connection, "connect");
        const { p50 } = await measured(() => callOnce(connection), CALLS, 1);
        connection.destroy();
        return p50;
      };
      await governed();
      return await withPeers(async (peers) => {
        const mcp = async (): Promise<number> => run<Speed>("peer-mcp.js", peers, CALLS, BYTES, 1).p50;
        return ratioOf(await sideBySide(rounds, mcp, governed), "µs");
      });
    } finally {
      await home.dispose();
    }
  },
};

async function runEcho(home: BenchHome): Promise<void> {
  await home.cli("core", "start", "--set", "runtime.calls_per_minute=1000000");
  await runAgent(home, AGENT, plantAgent(home, AGENT, ECHO, []));
  while (!(await home.cli("tools", "list", "--json")).includes("echo")) await delay(10);
}

const INPUT = JSON.stringify({ input: { text: "x".repeat(BYTES) } });
const REQUEST = [
  `POST /api/v1/tools/${AGENT}/echo/call HTTP/1.1`,
  "host: localhost",
  "content-type: application/json",
  `content-length: ${Buffer.byteLength(INPUT)}`,
  "",
  INPUT,
].join("\r\n");

/** Without a library for HTTP: what that of Node takes for a request is half as much as all of Core's work for the call. */
async function callOnce(connection: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let answer = "";
  const onData = (chunk: Buffer): void => {
    answer += chunk.toString();
    const head = answer.indexOf("\r\n\r\n");
    const length = Number(/content-length: (\d+)/i.exec(answer)?.[1]);
    if (head >= 0 && answer.length >= head + 4 + length) resolve();
  };
  connection.on("data", onData);
  connection.write(REQUEST);
  await promise;
  connection.off("data", onData);
  if (!answer.includes('"succeeded"')) throw new Error(`a call came to ${answer}`);
}
