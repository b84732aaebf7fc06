import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { canTellUsers, peerUser, portHolder } from "./tcp-table.ts";

let server: Server;
let port: number;
beforeEach(async () => {
  server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  ({ port } = server.address() as AddressInfo);
});
afterEach(() => {
  server.close();
});

test.runIf(process.platform === "linux")("tells the user at the other end of a connection", async () => {
  const client = connect(port, "127.0.0.1");
  const [socket] = (await once(server, "connection")) as [Socket];
  expect(peerUser(socket)).toBe(process.getuid?.());
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  const own = { remoteAddress, remotePort, localAddress, localPort };
  // Another socket of the table is never taken for it.
  expect(peerUser({ ...own, remotePort: 1 })).toBeUndefined();
  expect(peerUser({ ...own, remoteAddress: "127.0.0.2" })).toBeUndefined();
  expect(peerUser({ ...own, remoteAddress: "::1" })).toBeUndefined();
  expect(peerUser({ ...own, localPort: 1 })).toBeUndefined();
  client.destroy();
  socket.destroy();
});

test("says nothing of a connection without addresses", () => {
  expect(peerUser({})).toBeUndefined();
});

test.runIf(process.platform === "linux")("names the program that listens on a port", () => {
  expect(portHolder(port)).toMatchObject({ pid: process.pid, program: expect.stringContaining("node") });
});

test("users can be told on loopback only", () => {
  expect(["0.0.0.0", "192.168.0.1", "::1"].map(canTellUsers)).toEqual([false, false, false]);
  expect(canTellUsers("127.0.0.1")).toBe(process.platform === "linux");
});
