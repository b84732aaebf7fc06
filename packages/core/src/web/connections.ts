/**
 * Room at the door for the operator, however many callers are slow. A connection that has not sent a whole request
 * costs its owner nothing, so it is the first to go when all places are taken; then the longest stream, which can be
 * asked for again. A state change that is being answered is never dropped: that would cancel it.
 *
 * One request at a time on a connection. HTTP/1.1 lets a client send the next before the answer (pipelining); ours never
 * do, and Node would begin them all at once and keep their answers for a caller that may never read.
 */
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { rawAnswer, type DoorName } from "./answer-headers.ts";

type Socket = IncomingMessage["socket"];

const MAX_CONNECTIONS = 512;
/** For the headers, and for the whole of a request; never for an answer. */
const REQUEST_MS = 10_000;
/** How long an answered connection may wait for its next request. */
const IDLE_MS = 5_000;
/** A flood is one line of Core's log in this time. */
const NOTE_EVERY_MS = 10_000;

/** How often Node looks for requests that are over their time. */
const CHECK_EVERY_MS = 1_000;

type Fault = { status: string; text?: string };
/** What Node found wrong with a request, as HTTP says it, and a text where a person can come to see it. */
const FAULTS: Readonly<Record<string, Fault>> = {
  ERR_HTTP_REQUEST_TIMEOUT: { status: "408 Request Timeout" },
  HPE_HEADER_OVERFLOW: {
    status: "431 Request Header Fields Too Large",
    // Programs on other ports of the address can make every browser send this; nothing else comes of it.
    text:
      "The head of this request is over 16 KiB, and Core does not read it.\n" +
      "In a browser these are cookies that other programs on this address (127.0.0.1, any port) have set.\n" +
      "Delete the cookies of this address in the browser and load this page again. To sign in: opensentience open\n",
  },
};
const BAD_REQUEST: Fault = { status: "400 Bad Request" };

/**
 * An HTTP server that does not listen yet. `note` takes lines for Core's log.
 *
 * SECURITY: without a time and a way to make room, 512 requests that are never finished keep out `core stop` and
 * `agents revoke`; pinned by "512 half-sent requests do not keep the operator out".
 */
export function boundedServer(door: DoorName, answer: RequestListener, note: (line: string) => void): Server {
  // A request without a Host is refused by who answers it, with all that an answer has to carry.
  const server = createServer({ connectionsCheckingInterval: CHECK_EVERY_MS, requireHostHeader: false });
  server.headersTimeout = REQUEST_MS;
  server.requestTimeout = REQUEST_MS;
  server.keepAliveTimeout = IDLE_MS;
  /** Every open connection, the oldest first, with the request it is at. */
  const open = new Map<Socket, IncomingMessage | undefined>();
  const noteDropped = counted(
    note,
    (count) => `all ${MAX_CONNECTIONS} connections were taken: ${count} dropped to make room`,
  );
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
  const notePipelined = counted(
    note,
    (count) => `${count} connections dropped: a request was sent before the one before it was answered`,
  );
  server.on("request", (request, response) => {
    const { socket } = request;
    // SECURITY: a few connections with thousands of requests each would keep Core busy, and its memory taken, long after
    // their caller has left; pinned by "pipelined requests cost their connection, and the operator nothing".
    if (!open.has(socket) || open.get(socket) !== undefined) {
      if (!socket.destroyed) notePipelined();
      socket.destroy();
      return;
    }
    open.set(socket, request);
    response.once("close", () => {
      if (open.get(socket) === request) open.set(socket, undefined);
    });
    answer(request, response);
  });
  server.on("checkExpectation", (request, response) => void server.emit("request", request, response));
  server.on("connect", (_request, socket) => void socket.end(rawAnswer(door, "405 Method Not Allowed")));
  // SECURITY: what is no HTTP must neither end Core nor get an answer that a browser may do with what it likes;
  // pinned by "what is no HTTP gets an answer with the headers, and Core goes on".
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    // An answer that is under way leaves no place for another.
    if (!socket.writable || open.get(socket as Socket) !== undefined) return void socket.destroy();
    const { status, text } = FAULTS[error.code ?? ""] ?? BAD_REQUEST;
    socket.end(rawAnswer(door, status, text), () => socket.destroy());
  });
  return server;
}

function leastMissed(open: ReadonlyMap<Socket, IncomingMessage | undefined>): Socket | undefined {
  let stream: Socket | undefined;
  for (const [socket, request] of open) {
    if (request?.complete !== true) return socket;
    if (request.method === "GET") stream ??= socket;
  }
  return stream;
}

/** Notes the first at once, then how many there were since, at most one line in a while. */
function counted(note: (line: string) => void, text: (count: number) => string): () => void {
  let count = 0;
  let notedAtMs = Number.NEGATIVE_INFINITY;
  return () => {
    count += 1;
    const nowMs = performance.now();
    if (nowMs - notedAtMs < NOTE_EVERY_MS) return;
    note(text(count));
    notedAtMs = nowMs;
    count = 0;
  };
}
