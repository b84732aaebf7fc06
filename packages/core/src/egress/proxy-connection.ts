/**
 * One connection of a run to the proxy: one request, judged, then bytes both ways until either side is done. Nothing is
 * kept of what passes: a side that does not read makes the other wait.
 */
import { connect, type LookupFunction, type Socket } from "node:net";
import { CoreError, ERROR_CODES, ERROR_KINDS } from "@opensentience/protocol";
import { bodyFrame } from "./body-frame.ts";
import { parseRequest, type ProxyRequest } from "./request-head.ts";
import { addressOf, type Target } from "./target.ts";

export type ConnectionLimits = {
  headBytes: number;
  /** From the first moment of the connection to the end of its head. */
  headMs: number;
  /** For the connection to the server, all addresses together. */
  connectMs: number;
  /** Without a byte either way. */
  idleMs: number;
};

export type ConnectionRules = {
  limits: ConnectionLimits;
  /** The addresses that may be connected to, in order. Throws `egress.*`. */
  addressesFor: (target: Target) => Promise<string[]>;
  /** The server was connected to. */
  onConnected: (target: Target) => void;
  /** The request was answered with this error. */
  onRefused: (error: CoreError, target: Target | undefined) => void;
};

/** How long a client may take to read an answer after which its connection is closed, in ms. */
const LINGER_MS = 1_000;
/** What is read from a server at once; each connection has one such buffer. */
const CHUNK_BYTES = 131_072;
/** Tried one after the other, so that a dead address costs little of `connectMs`. */
const ATTEMPT_MS = 2_500;
const MAX_ADDRESSES = 8;
const HEAD_END = Buffer.from("\r\n\r\n");
const REASONS: Record<number, string> = {
  400: "Bad Request",
  403: "Forbidden",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};

/** Serves one connection to its end; never throws. The socket must have been made with `allowHalfOpen`. */
export async function serveConnection(client: Socket, rules: ConnectionRules): Promise<void> {
  let target: Target | undefined;
  client.on("error", () => {});
  client.setNoDelay(true);
  try {
    const head = await readHead(client, rules.limits);
    // Opened and closed without a word: a health check, or a pool of connections that was not needed.
    if (head === undefined) return void client.destroy();
    const request = parseRequest(head);
    target = request.target;
    const server = await connectTo(client, target, await rules.addressesFor(target), rules.limits.connectMs);
    rules.onConnected(target);
    joinSockets(client, server, rules.limits.idleMs);
    if (request.kind === "tunnel") tunnel(client, server);
    else forward(client, server, request, (error) => rules.onRefused(error, target));
  } catch (error) {
    const known =
      error instanceof CoreError ? error : new CoreError("core.internal", "the proxy failed", { cause: error });
    rules.onRefused(known, target);
    answer(client, known);
  }
}

/** A short answer with the code, and the end of the connection. */
export function answer(client: Socket, { code, message }: CoreError): void {
  const { status } = ERROR_KINDS[ERROR_CODES[code].kind];
  const body = `${JSON.stringify({ error: { code, message } })}\n`;
  const lines = [
    `HTTP/1.1 ${status} ${REASONS[status] ?? "Error"}`,
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    `OpenSentience-Error: ${code}`,
    "Connection: close",
  ];
  client.end(`${lines.join("\r\n")}\r\n\r\n${body}`);
  linger(client);
}

/** Reads on and drops it for a moment: a close with unread bytes would take the answer away from the client again. */
function linger(client: Socket): void {
  const timer = setTimeout(() => client.destroy(), LINGER_MS);
  client.once("close", () => clearTimeout(timer));
  client.once("end", () => client.destroySoon());
  client.resume();
}

/** Everything before the empty line; undefined when the client closes without a word. Leaves the socket paused behind it. */
function readHead(client: Socket, { headBytes, headMs }: ConnectionLimits): Promise<Buffer | undefined> {
  let read = Buffer.alloc(0);
  return new Promise((resolve, reject) => {
    const done = (settle: () => void): void => {
      clearTimeout(timer);
      client.off("data", onData).off("end", onEnd).off("close", onEnd).pause();
      settle();
    };
    const fail = (error: CoreError): void => done(() => reject(error));
    const onData = (data: Buffer): void => {
      const from = Math.max(0, read.length - HEAD_END.length);
      read = Buffer.concat([read, data]);
      const end = read.indexOf(HEAD_END, from);
      if (end > headBytes || (end === -1 && read.length > headBytes)) {
        return fail(new CoreError("egress.invalid_request", `the head of the request is over ${headBytes} bytes`));
      }
      if (end === -1) return;
      done(() => {
        const rest = read.subarray(end + HEAD_END.length);
        if (rest.length > 0) client.unshift(rest);
        resolve(read.subarray(0, end));
      });
    };
    const onEnd = (): void => {
      if (read.length === 0) done(() => resolve(undefined));
      else fail(new CoreError("egress.invalid_request", "the request ended within its head"));
    };
    // SECURITY: a connection that is opened and never spoken on holds a descriptor of Core; pinned by "a head that comes
    // slowly is not waited for".
    const timer = setTimeout(() => {
      if (read.length === 0) done(() => resolve(undefined));
      else fail(new CoreError("egress.timeout", `the head of the request took over ${headMs} ms`));
    }, headMs);
    client.on("data", onData).on("end", onEnd).on("close", onEnd);
  });
}

/**
 * Connects to one of the addresses, and to nothing else. Throws `egress.unreachable` and `egress.timeout`.
 * SECURITY: a name that is resolved again between the check and the connection can mean another address by then; pinned
 * by "a name is resolved once, and connected to by that answer".
 */
function connectTo(client: Socket, target: Target, addresses: string[], connectMs: number): Promise<Socket> {
  const known = addresses
    .slice(0, MAX_ADDRESSES)
    .map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
  const lookup: LookupFunction = (_name, options, callback) => {
    if (options.all === true) callback(null, known);
    else callback(null, known[0]?.address ?? "", known[0]?.family ?? 4);
  };
  const server: Socket = connect({
    host: addressOf(target.host) ?? target.host,
    port: target.port,
    lookup,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: ATTEMPT_MS,
    allowHalfOpen: true,
    noDelay: true,
    onread: {
      buffer: Buffer.allocUnsafeSlow(CHUNK_BYTES),
      callback: (length, bytes): boolean => handOn(client, server, bytes.subarray(0, length)),
    },
  });
  // Until the client was told that there is a connection.
  server.pause();
  return new Promise((resolve, reject) => {
    const fail = (code: "egress.unreachable" | "egress.timeout", why: string): void => {
      clearTimeout(timer);
      server.on("error", () => {}).destroy();
      reject(new CoreError(code, `${target.host}:${target.port} ${why}`));
    };
    const onClose = (): void => fail("egress.unreachable", "was not waited for");
    const timer = setTimeout(() => fail("egress.timeout", `did not answer within ${connectMs} ms`), connectMs);
    client.once("close", onClose);
    server.once("error", () => {
      client.off("close", onClose);
      fail("egress.unreachable", "cannot be connected to");
    });
    server.once("connect", () => {
      clearTimeout(timer);
      client.off("close", onClose);
      server.removeAllListeners("error");
      resolve(server);
    });
  });
}

/**
 * One buffer for all that a server sends: fresh ones for every read cost a quarter of the time. It is read into again
 * when the client's socket has taken what was in it, and not before.
 */
function handOn(client: Socket, server: Socket, bytes: Uint8Array): boolean {
  if (client.destroyed || client.writableEnded) return true;
  let isTaken = false;
  let isWaiting = false;
  client.write(bytes, () => {
    isTaken = true;
    if (isWaiting) server.resume();
  });
  // Written at once or not: only the second calls back later.
  isTaken ||= client.writableLength === 0;
  isWaiting = !isTaken;
  return isTaken;
}

/** Neither outlives the other's fault, nor both a long silence. */
function joinSockets(client: Socket, server: Socket, idleMs: number): void {
  for (const [one, other] of [
    [client, server],
    [server, client],
  ] as const) {
    one.on("error", () => {});
    // A reset is passed on as one, so that nobody takes half an answer for a whole one.
    one.once("close", (hadError) => void (hadError || !one.readableEnded ? other.resetAndDestroy() : undefined));
    one.setTimeout(idleMs, () => {
      client.destroy();
      server.destroy();
    });
  }
}

function tunnel(client: Socket, server: Socket): void {
  client.write("HTTP/1.1 200 Connection established\r\n\r\n");
  client.pipe(server);
  server.once("end", () => client.end());
  server.resume();
}

function forward(
  client: Socket,
  server: Socket,
  { head, body }: Extract<ProxyRequest, { kind: "forward" }>,
  onRefused: (error: CoreError) => void,
): void {
  server.write(head);
  // A client that ends here has gone: an answer is awaited on an open connection.
  client.once("end", () => server.destroy());
  if (body.kind === "none" || (body.kind === "length" && body.bytes === 0)) {
    client.resume();
  } else {
    const frame = bodyFrame(body);
    frame.once("error", (error) => {
      onRefused(error instanceof CoreError ? error : new CoreError("egress.invalid_request", "an odd body"));
      server.destroy();
      client.destroy();
    });
    client.pipe(frame).pipe(server, { end: false });
  }
  server.once("end", () => {
    client.end();
    server.end();
    linger(client);
  });
  server.resume();
}
