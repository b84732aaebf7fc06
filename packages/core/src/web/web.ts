/**
 * The web folder: the control API of Core as one Hono application, behind one door for now, the control socket.
 *
 * Handlers do no work: each parses its request with the schema of its route, calls one domain door and shapes the
 * answer. Who asks is decided by the door, never by the client: on the control socket it is the owner of the file.
 * Errors leave here as RFC 9457 problem details with the same stable code everywhere; every refusal by policy is
 * recorded as `security.denied`; an unknown fault becomes `core.internal` and only Core's log has its cause.
 *
 * Every response carries a request id. Bodies are at most 1 MiB and have ten seconds to arrive; 512 connections at
 * once, one request at a time on each; the least missed gives way to a new one (see connections.ts). Answers may take as long as they need. Nothing here opens the database or spawns.
 */
import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import type { IncomingMessage, Server } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { CONTROL_ROUTES, CoreError, ERROR_KINDS, newId, type ControlOperation } from "@opensentience/protocol";
import { Hono, type Context } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { Act } from "../audit-log/audit-log.ts";
import { boundedServer } from "./connections.ts";
import type { Domain } from "./domain.ts";
import { HANDLERS } from "./handlers.ts";
import { openApiText } from "./openapi.ts";
import { METRICS_TYPE, metricsText } from "./metrics.ts";
import { respond } from "./respond.ts";

export type { Domain } from "./domain.ts";

const BASE = "/api/v1";
const MAX_BODY_BYTES = 1024 * 1024;
/** A correlation id joins the events of one command; anything else a client sends is replaced. */
const CORRELATION_ID = /^(cor|web)_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** One short line in Core's log; nobody is there to read an answer. */
const CALLER_LEFT = new CoreError("usage.invalid", "the caller left before its request was complete");

export function createApp(domain: Domain): Hono {
  const app = new Hono();
  app.use(async (context, next) => {
    context.header("x-request-id", newId("call"));
    context.header("x-content-type-options", "nosniff");
    context.header("cache-control", "no-store");
    await next();
  });
  app.use(
    bodyLimit({
      maxSize: MAX_BODY_BYTES,
      onError: (context) => problem(context, new CoreError("http.body_too_large", "the request body is over 1 MiB")),
    }),
  );
  app.get("/healthz", (context) => context.text("ok"));
  app.get("/readyz", (context) =>
    context.text(domain.degraded === null ? "ready" : "degraded", domain.degraded === null ? 200 : 503),
  );
  app.get("/metrics", (context) => {
    context.header("content-type", METRICS_TYPE);
    return context.body(metricsText(domain.services));
  });
  app.get(`${BASE}/openapi.json`, (context) => {
    context.header("content-type", "application/json");
    return context.body(openApiText(domain.version));
  });
  for (const [operation, route] of Object.entries(CONTROL_ROUTES) as [
    ControlOperation,
    (typeof CONTROL_ROUTES)[ControlOperation],
  ][]) {
    app.on(route.method.toUpperCase(), BASE + route.path.replaceAll(/\{(\w+)\}/g, ":$1"), (context) =>
      respond(context, domain, operation, HANDLERS[operation], actOf(context, domain)),
    );
  }
  app.notFound((context) =>
    problem(context, new CoreError("http.not_found", "no such route", { nextStep: "opensentience help" })),
  );
  app.onError((thrown, context) => {
    const error = hasLeft(context) ? CALLER_LEFT : domain.toError(thrown);
    if (error === CALLER_LEFT) domain.onFault(`${context.req.method} ${context.req.path.slice(0, 200)}`, error);
    if (error.code === "core.internal") domain.onFault(`${context.req.method} ${context.req.routePath}`, thrown);
    recordDenial(domain, error, context);
    return problem(context, error);
  });
  return app;
}

/**
 * Serves the control socket: 0600, in a 0700 folder. A stale socket file is removed, but only if it is a socket; the
 * caller holds the home's lock, so no live Core can be behind it. `note` takes lines for Core's log.
 */
export function listenOnSocket(app: Hono, path: string, note: (line: string) => void): Promise<Server> {
  removeStaleSocket(path);
  const listener = getRequestListener(app.fetch);
  const server = boundedServer((request, response) => void listener(request, response), note);
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

/** Whether the connection ended while the request was still being sent: what failed then is no fault of Core's. */
function hasLeft(context: Context): boolean {
  const { incoming } = context.env as { incoming?: IncomingMessage };
  return incoming?.destroyed === true && !incoming.complete;
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

function actOf(context: Context, domain: Domain): Act {
  const given = context.req.header("x-correlation-id");
  return {
    actor: { type: "human", id: domain.operator },
    correlationId: given !== undefined && CORRELATION_ID.test(given) ? given : newId("cor"),
  };
}

/** RFC 9457. `code`, `details` and `next_step` are those of the CLI's error JSON. */
function problem(context: Context, error: CoreError): Response {
  const { status } = ERROR_KINDS[error.kind];
  const body = {
    type: "about:blank",
    title: error.code,
    status,
    code: error.code,
    detail: error.message,
    details: error.details,
    next_step: error.nextStep ?? null,
  };
  return new Response(JSON.stringify(body), {
    status,
    headers: {
      "content-type": "application/problem+json",
      "x-request-id": context.res.headers.get("x-request-id") ?? "",
      "cache-control": "no-store",
    },
  });
}

function recordDenial(domain: Domain, error: CoreError, context: Context): void {
  if (error.kind !== "denied" && error.kind !== "unauthorized") return;
  domain.recordDenial(
    error,
    actOf(context, domain),
    context.req.param("agent_id"),
    `${context.req.method} ${context.req.routePath}`,
  );
}
