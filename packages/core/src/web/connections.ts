/**
 * Room at the door for the operator, however many callers are slow. A connection that has not sent a whole request
 * costs its owner nothing, so it is the first to go when all places are taken; then the longest stream, which can be
 * asked for again. A state change that is being answered is never dropped: that would cancel it.
 */
import type { IncomingMessage, Server } from "node:http";

type Socket = IncomingMessage["socket"];

const MAX_CONNECTIONS = 512;
/** For the headers, and for the whole of a request; never for an answer. */
const REQUEST_MS = 10_000;
/** How long an answered connection may wait for its next request. */
const IDLE_MS = 5_000;
/** A flood is one line of Core's log in this time. */
const NOTE_EVERY_MS = 10_000;

/** How often Node looks for requests that are over their time. Options of the server's making. */
export const SERVER_OPTIONS = { connectionsCheckingInterval: 1_000 };

/**
 * SECURITY: without a time and a way to make room, 512 requests that are never finished keep out `core stop` and
 * `agents revoke`; pinned by "512 half-sent requests do not keep the operator out".
 */
export function boundConnections(server: Server, note: (line: string) => void): void {
  server.headersTimeout = REQUEST_MS;
  server.requestTimeout = REQUEST_MS;
  server.keepAliveTimeout = IDLE_MS;
  /** Every open connection, the oldest first, with the request it is at. */
  const open = new Map<Socket, IncomingMessage | undefined>();
  const noteDropped = counted(note);
  server.on("connection", (socket: Socket) => {
    if (open.size >= MAX_CONNECTIONS) {
      const victim = leastMissed(open) ?? socket;
      victim.destroy();
      open.delete(victim);
      noteDropped();
      if (victim === socket) return;
    }
    open.set(socket, undefined);
    socket.once("close", () => open.delete(socket));
  });
  server.on("request", (request, response) => {
    const { socket } = request;
    if (open.has(socket)) open.set(socket, request);
    response.once("close", () => {
      if (open.get(socket) === request) open.set(socket, undefined);
    });
  });
}

function leastMissed(open: ReadonlyMap<Socket, IncomingMessage | undefined>): Socket | undefined {
  let stream: Socket | undefined;
  for (const [socket, request] of open) {
    if (request?.complete !== true) return socket;
    if (request.method === "GET") stream ??= socket;
  }
  return stream;
}

function counted(note: (line: string) => void): () => void {
  let dropped = 0;
  let notedAtMs = Number.NEGATIVE_INFINITY;
  return () => {
    dropped += 1;
    const nowMs = performance.now();
    if (nowMs - notedAtMs < NOTE_EVERY_MS) return;
    note(`all ${MAX_CONNECTIONS} connections were taken: ${dropped} dropped to make room`);
    notedAtMs = nowMs;
    dropped = 0;
  };
}
