import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { encodeFrame } from "@opensentience/protocol";
import { expect, test } from "vitest";
import { Connection } from "./connection.ts";

const BUSY_MS = 30;
const MESSAGES = 5;

test("messages that are long to read leave others their time", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const peer = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [socket] = (await once(server, "connection")) as [Socket];
  const turns: { startedMs: number; endedMs: number }[] = [];
  await new Promise<void>((resolve) => {
    const onBody = (): void => {
      const startedMs = performance.now();
      while (performance.now() < startedMs + BUSY_MS);
      turns.push({ startedMs, endedMs: performance.now() });
      if (turns.length === MESSAGES) resolve();
    };
    new Connection(socket, { onBody, onBroken: () => {}, onClosed: () => {} });
    const frame = encodeFrame([Buffer.from("{}")]);
    peer.write(Buffer.concat(Array.from({ length: MESSAGES }, () => frame)));
  });
  const rests = turns.slice(1).map(({ startedMs }, index) => startedMs - (turns[index]?.endedMs ?? 0));
  expect(Math.min(...rests)).toBeGreaterThan(BUSY_MS - 2);
  peer.destroy();
  socket.destroy();
  server.close();
});
