// vscode-jsonrpc over stdio: one process asks another, nothing checked, nothing recorded.
import { spawn } from "node:child_process";
import { measured } from "./measured.ts";

const { default: rpc } = await import(`${process.env.PEERS}/node_modules/vscode-jsonrpc/lib/node/main.js`);
const { createMessageConnection, StreamMessageReader, StreamMessageWriter } = rpc;
if (process.argv[2] === "server") {
  const connection = createMessageConnection(
    new StreamMessageReader(process.stdin),
    new StreamMessageWriter(process.stdout),
  );
  connection.onRequest("echo", (input) => input);
  connection.listen();
} else {
  const [calls, bytes, inFlight] = process.argv.slice(2).map(Number);
  const child = spawn(process.execPath, [import.meta.filename, "server"], { stdio: ["pipe", "pipe", "inherit"] });
  const connection = createMessageConnection(
    new StreamMessageReader(child.stdout),
    new StreamMessageWriter(child.stdin),
  );
  connection.listen();
  const input = { text: "x".repeat(bytes) };
  const call = () => connection.sendRequest("echo", input);
  await measured(call, Math.ceil(calls / 4), inFlight);
  console.log(JSON.stringify(await measured(call, calls, inFlight)));
  child.kill();
}
