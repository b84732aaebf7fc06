// The MCP TypeScript SDK over stdio: one process calls a tool of another, nobody in between, nothing recorded.
import { measured } from "./measured.ts";

const at = (path) => import(`${process.env.PEERS}/node_modules/@modelcontextprotocol/sdk/dist/esm/${path}`);
if (process.argv[2] === "server") {
  const { Server } = await at("server/index.js");
  const { StdioServerTransport } = await at("server/stdio.js");
  const { CallToolRequestSchema } = await at("types.js");
  const server = new Server({ name: "echo", version: "1.0.0" }, { capabilities: { tools: {} } });
  server.setRequestHandler(CallToolRequestSchema, ({ params }) => ({
    content: [{ type: "text", text: params.arguments.text }],
  }));
  await server.connect(new StdioServerTransport());
} else {
  const { Client } = await at("client/index.js");
  const { StdioClientTransport } = await at("client/stdio.js");
  const [calls, bytes, inFlight] = process.argv.slice(2).map(Number);
  const client = new Client({ name: "bench", version: "1.0.0" });
  await client.connect(
    new StdioClientTransport({
      command: process.execPath,
      args: [import.meta.filename, "server"],
      env: { PEERS: process.env.PEERS, PATH: process.env.PATH },
    }),
  );
  const text = "x".repeat(bytes);
  const call = () => client.callTool({ name: "echo", arguments: { text } });
  await measured(call, Math.ceil(calls / 4), inFlight);
  console.log(JSON.stringify(await measured(call, calls, inFlight)));
  await client.close();
}
