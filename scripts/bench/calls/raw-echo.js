// The floor: length-prefixed bytes over a Unix socket to another process and back; nothing is parsed.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { measured } from "./measured.ts";

/** Calls `onFrame` with each whole frame, its length included. */
function frames(socket, onFrame) {
  let held = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    while (held.length >= 4 && held.length >= 4 + held.readUInt32BE()) {
      const end = 4 + held.readUInt32BE();
      onFrame(held.subarray(0, end));
      held = held.subarray(end);
    }
  });
}

if (process.argv[2] === "server") {
  const socket = connect(process.argv[3]);
  frames(socket, (frame) => socket.write(frame));
} else {
  const [calls, bytes, inFlight] = process.argv.slice(2).map(Number);
  const folder = mkdtempSync(join(tmpdir(), "os-echo-"));
  const path = join(folder, "echo.sock");
  const server = createServer();
  await new Promise((done) => server.listen(path, done));
  const child = spawn(process.execPath, [import.meta.filename, "server", path], { stdio: "inherit" });
  const socket = await new Promise((done) => server.once("connection", done));
  const waiting = [];
  frames(socket, () => waiting.shift()());
  const frame = Buffer.alloc(4 + bytes, "x");
  frame.writeUInt32BE(bytes);
  const call = () =>
    new Promise((done) => {
      waiting.push(done);
      socket.write(frame);
    });
  await measured(call, Math.ceil(calls / 4), inFlight);
  console.log(JSON.stringify(await measured(call, calls, inFlight)));
  child.kill();
  rmSync(folder, { recursive: true });
  process.exit();
}
