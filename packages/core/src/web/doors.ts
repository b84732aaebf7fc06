/**
 * The two doors of Core, before the one application behind them.
 *
 * The control socket is 0600 in a 0700 folder: who can open it is the operator. The page's door listens on an address of
 * this machine, where everybody can knock: each request passes the guard before anything else sees it. Every answer of
 * both gets its request id and headers here, so that no way of answering does without.
 */
import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import type { IncomingMessage, RequestListener, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { CoreError, newId } from "@opensentience/protocol";
import type { Hono } from "hono";
import { setAnswerHeaders, type DoorName } from "./answer-headers.ts";
import { boundedServer } from "./connections.ts";
import { isNavigation, judge, statusOf, type Caller, type GuardRules } from "./guard.ts";
import { problemBody, problemHeaders } from "./problem.ts";
import { refusedPage } from "./refused-page.ts";

/** What a handler knows of its request beyond what was sent. */
export type DoorBindings = {
  incoming: IncomingMessage;
  outgoing: ServerResponse;
  caller: Caller;
  requestId: string;
};
export type App = Hono<{ Bindings: DoorBindings }>;

type Passed = { caller: Caller; requestId: string };

const OPERATOR: Caller = { kind: "operator" };

/**
 * Serves the control socket. A stale socket file is removed, but only if it is a socket; the caller holds the home's
 * lock, so no live Core can be behind it. `note` takes lines for Core's log.
 */
export function listenOnSocket(app: App, path: string, note: (line: string) => void): Promise<Server> {
  removeStaleSocket(path);
  const server = boundedServer(
    "socket",
    answering("socket", app, () => OPERATOR),
    note,
  );
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    // SECURITY: the folder is 0700 already; the mask keeps the file itself private from its first moment.
    // Pinned by "the control socket belongs to the operator alone".
    const mask = process.umask(0o177);
    server.listen(path, () => {
      chmodSync(path, 0o600);
      resolve(server);
    });
    process.umask(mask);
  });
}

/** The page's door: bound first, so that a taken port stops a start that has done nothing yet, and opened when Core can answer. */
export type PageDoor = {
  server: Server;
  port: number;
  open: (app: App, rules: GuardRules, onRefused: (error: CoreError, requestId: string) => void) => void;
};

/** Fails with the system's error, EADDRINUSE and EADDRNOTAVAIL among them. */
export function bindPage(address: string, port: number, note: (line: string) => void): Promise<PageDoor> {
  const { promise: opened, resolve: open } = Promise.withResolvers<RequestListener>();
  const server = boundedServer(
    "page",
    (request, response) => void opened.then((answer) => answer(request, response)),
    note,
  );
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: address, port, exclusive: true }, () => {
      server.off("error", reject);
      server.on("error", (error) => note(`the page's door: ${error.message}`));
      resolve({
        server,
        port: (server.address() as AddressInfo).port,
        open: (app, rules, onRefused) => open(answering("page", app, (request) => judge(request, rules), onRefused)),
      });
    });
  });
}

function answering(
  door: DoorName,
  app: App,
  admit: (request: IncomingMessage) => Caller,
  onRefused: (error: CoreError, requestId: string) => void = () => {},
): RequestListener {
  const passed = new WeakMap<object, Passed>();
  const answer = getRequestListener((request, env) => {
    const known = passed.get(env.incoming);
    // SECURITY: a request that did not pass the guard has no caller, and so no answer.
    if (known === undefined) throw new Error("a request came past its door");
    return app.fetch(request, { ...env, ...known });
  });
  return (request, response) => {
    const requestId = newId("call");
    setAnswerHeaders(response, door, requestId);
    try {
      passed.set(request, { caller: admit(request), requestId });
    } catch (error) {
      if (!(error instanceof CoreError)) throw error;
      refuse(request, response, error);
      onRefused(error, requestId);
      return;
    }
    void answer(request, response);
  };
}

function refuse(request: IncomingMessage, response: ServerResponse, error: CoreError): void {
  const status = statusOf(error);
  // A caller under a wrong name learns nothing, not even who answers.
  if (status === 421) return void response.writeHead(status).end();
  const page = refusedPage(error, isNavigation(request));
  if (page !== undefined) return void response.writeHead(status, page.headers).end(page.text);
  response.writeHead(status, problemHeaders(status)).end(problemBody(error, status));
}

function removeStaleSocket(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket())
    throw new CoreError(
      "core.start_failed",
      "something that is not a socket stands at the place of the control socket",
      { details: { path }, nextStep: `mv ${path} ${path}.aside` },
    );
  unlinkSync(path);
}
