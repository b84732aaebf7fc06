/**
 * Much goes through the way out of a real box, both ways, and to a reader that does not read: Core, which is this process
 * here, keeps nothing of it.
 */
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { spawnProcess } from "../../packages/core/src/host/child-process.ts";
import { startBoxed, WAY_OUT_PORT, type BoxPolicy } from "../../packages/core/src/sandbox/sandbox.ts";
import { folder, namespace, newMarker, PATH } from "../support/boxes.ts";
import { found, times } from "../support/counts.ts";
import { listening, makeEgress, portOf, RUN_ID } from "../support/way-out.ts";

const MEGABYTES = times({ suite: 100, soak: 1_000 });
const BYTES = MEGABYTES * 1_000_000;
/**
 * Buffers of the sockets, the noise of a test runner, and what the collector has not taken yet: it lets some 64 MiB of
 * what was read from the box come together, however much is read.
 */
const MAX_GROWTH_MIB = 96;
const PEER = join(import.meta.dirname, "../../scripts/bench/egress-peer.mjs");

const POLICY: BoxPolicy = {
  granted: [],
  hidden: [],
  own: [{ path: PEER, source: PEER, write: false, kind: "file" }],
  tools: [process.execPath],
  network: "none",
  limits: {},
};

/** Says what the connection is, sends so many bytes, and ends; prints the last line that comes back. */
const UPLOAD = `
const { connect } = require("node:net");
const [proxy, port, bytes] = process.argv.slice(1).map(Number);
const socket = connect({ port: proxy, host: "127.0.0.1", allowHalfOpen: true });
const piece = Buffer.alloc(262144);
let left = bytes;
const send = () => {
  while (left > 0) {
    const now = piece.subarray(0, Math.min(left, piece.length));
    left -= now.length;
    if (!socket.write(now)) return;
  }
  socket.end();
};
socket.write("CONNECT 127.0.0.1:" + port + " HTTP/1.1\\r\\n\\r\\n");
let text = "";
socket.once("data", send).on("drain", send).on("data", (data) => (text += data));
socket.on("end", () => console.log(text.split("\\r\\n").at(-1)));
`;

async function throughBox(argv: string[], pattern: string): Promise<{ output: string; grownMiB: number }> {
  const { egress } = await makeEgress({});
  const box = await startBoxed({
    probe: namespace,
    argv,
    cwd: "/",
    env: { PATH },
    policy: POLICY,
    pipeFolder: folder,
    marker: newMarker(),
    wayOut: (listener) => egress.open({ runId: RUN_ID, agentId: "com.example.much", patterns: [pattern] }, listener),
  });
  onTestFinished(() => box.kill());
  let output = "";
  for (const stream of [box.stdout, box.stderr]) stream.on("data", (chunk) => (output += String(chunk)));
  const closed = once(box.stdout, "close");
  const before = process.memoryUsage.rss();
  let most = before;
  const watch = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 10);
  box.release();
  await box.ended;
  await closed;
  clearInterval(watch);
  egress.close(RUN_ID);
  return { output, grownMiB: (most - before) / 2 ** 20 };
}

async function peerPort(what: "serve" | "sink"): Promise<number> {
  const server = spawnProcess([process.execPath, PEER, what], { env: {}, stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void server.kill("SIGKILL"));
  if (server.stdout === null) throw new Error("no output");
  return Number(String(((await once(server.stdout, "data")) as [Buffer])[0]));
}

test(`${MEGABYTES} MB into a box leave Core's memory as it was`, { timeout: 300_000 }, async () => {
  const port = await peerPort("serve");
  const argv = [process.execPath, PEER, "fetch", String(WAY_OUT_PORT), String(port), String(BYTES)];
  const { output, grownMiB } = await throughBox(argv, `127.0.0.1:${port}`);
  expect(JSON.parse(output)).toMatchObject({ received: BYTES });
  expect(grownMiB).toBeLessThan(MAX_GROWTH_MIB);
  found(`${MEGABYTES} MB through the egress proxy into a box`, `all came; Core's memory +${grownMiB.toFixed(0)} MiB`);
});

test(`${MEGABYTES} MB out of a box leave Core's memory as it was`, { timeout: 300_000 }, async () => {
  const port = await peerPort("sink");
  const argv = [process.execPath, "-e", UPLOAD, String(WAY_OUT_PORT), String(port), String(BYTES)];
  const { output, grownMiB } = await throughBox(argv, `127.0.0.1:${port}`);
  expect(output).toBe(`${BYTES}\n`);
  expect(grownMiB).toBeLessThan(MAX_GROWTH_MIB);
  found(`${MEGABYTES} MB through the egress proxy out of a box`, `all came; Core's memory +${grownMiB.toFixed(0)} MiB`);
});

test("an agent that does not read makes the server wait, and not Core's memory grow", { timeout: 60_000 }, async () => {
  let isWaiting: () => void = () => {};
  const waiting = new Promise<void>((resolve) => (isWaiting = resolve));
  let sent = 0;
  const server = createServer((socket) => {
    const piece = Buffer.alloc(262_144);
    const send = (): void => {
      do sent += piece.length;
      while (socket.write(piece));
    };
    socket.on("error", () => {});
    socket.on("drain", send);
    socket.setTimeout(1_000, isWaiting);
    send();
  });
  const port = portOf(await listening(server));
  const program = `
    const socket = require("node:net").connect(${WAY_OUT_PORT}, "127.0.0.1").pause();
    socket.write("CONNECT 127.0.0.1:${port} HTTP/1.1\\r\\n\\r\\n");
    setTimeout(() => {}, 1e6);
    process.on("SIGTERM", () => process.exit());`;
  const { egress } = await makeEgress({});
  const box = await startBoxed({
    probe: namespace,
    argv: [process.execPath, "-e", program],
    cwd: "/",
    env: { PATH },
    policy: POLICY,
    pipeFolder: folder,
    marker: newMarker(),
    wayOut: (listener) =>
      egress.open({ runId: RUN_ID, agentId: "com.example.lazy", patterns: [`127.0.0.1:${port}`] }, listener),
  });
  onTestFinished(() => box.kill());
  const before = process.memoryUsage.rss();
  box.release();
  await waiting;
  const grownMiB = (process.memoryUsage.rss() - before) / 2 ** 20;
  // What the kernel's buffers of three sockets hold.
  expect(sent).toBeLessThan(32 * 2 ** 20);
  expect(grownMiB).toBeLessThan(MAX_GROWTH_MIB);
  await box.stop(5_000);
  egress.close(RUN_ID);
  found("an agent that never reads what comes through the egress proxy", `the server waits after ${sent} bytes`);
});
