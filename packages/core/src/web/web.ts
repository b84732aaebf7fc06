/**
 * The web folder: the control API of Core and its web page as one Hono application behind two doors.
 *
 * Handlers do no work: each parses its request with the schema of its route, calls one domain door and shapes the
 * answer. Who asks is decided by the door, never by the client: on the control socket it is the owner of the file; on
 * the page's door, which everybody on this machine can reach, the guard asks for a session or the token before
 * anything else sees the request (guard.ts, doors.ts).
 * Errors leave here as RFC 9457 problem details with the same stable code everywhere; every refusal by policy is
 * recorded as `security.denied`; an unknown fault becomes `core.internal` and only Core's log has its cause.
 *
 * Every response carries a request id, which is the cause of the first event the request leads to. Bodies are at most
 * 1 MiB and have ten seconds to arrive; 512 connections at once on each door, one request at a time on each; the least
 * missed gives way to a new one (connections.ts). Answers may take as long as they need. Nothing here opens the
 * database or spawns.
 */
import { CONTROL_ROUTES, CoreError, type ControlOperation } from "@opensentience/protocol";
import { Hono } from "hono";
import { actOf, type Asked } from "./acts.ts";
import type { Domain } from "./domain.ts";
import type { App } from "./doors.ts";
import { openStream } from "./event-stream.ts";
import { statusOf } from "./guard.ts";
import { HANDLERS } from "./handlers.ts";
import { openApiText } from "./openapi.ts";
import { METRICS_TYPE, metricsText } from "./metrics.ts";
import { answerAsset, answerIndex, signIn } from "./page.ts";
import { problemBody, problemHeaders } from "./problem.ts";
import { checkLength } from "./request.ts";
import { MAX_BODY_BYTES, respond } from "./respond.ts";

export { Access, isToken, newToken } from "./access.ts";
export { Denials } from "./denials.ts";
export type { Domain, Page } from "./domain.ts";
export { bindPage, listenOnSocket, type PageDoor } from "./doors.ts";
export { hostsOf } from "./guard.ts";
export { LiveEvents } from "./live-events.ts";
export { finishRotation, recordEnd } from "./page.ts";
export { PageFiles } from "./page-files.ts";

const BASE = "/api/v1";
/** One short line in Core's log; nobody is there to read an answer. */
const CALLER_LEFT = new CoreError("usage.invalid", "the caller left before its request was complete");

export function createApp(domain: Domain): App {
  const app: App = new Hono();
  app.use((context, next) => {
    checkLength(context, MAX_BODY_BYTES);
    return next();
  });
  app.get("/healthz", (context) => context.text("ok"));
  app.get("/readyz", (context) =>
    context.text(domain.degraded === null ? "ready" : "degraded", domain.degraded === null ? 200 : 503),
  );
  app.get("/metrics", (context) => {
    context.header("content-type", METRICS_TYPE);
    return context.body(metricsText(domain.services));
  });
  addPage(app, domain);
  app.get(`${BASE}/openapi.json`, (context) => {
    context.header("content-type", "application/json");
    return context.body(openApiText(domain.version));
  });
  for (const [operation, route] of Object.entries(CONTROL_ROUTES) as [
    ControlOperation,
    (typeof CONTROL_ROUTES)[ControlOperation],
  ][]) {
    if (operation === "follow_events") {
      app.get(BASE + route.path, (context) => openStream(context, domain));
      continue;
    }
    app.on(route.method.toUpperCase(), BASE + route.path.replaceAll(/\{(\w+)\}/g, ":$1"), (context) =>
      respond(context, domain, operation, HANDLERS[operation], actOf(context, domain)),
    );
  }
  app.notFound(() => problem(new CoreError("http.not_found", "no such route", { nextStep: "opensentience help" })));
  app.onError((thrown, context) => {
    const error = hasLeft(context) ? CALLER_LEFT : domain.toError(thrown);
    const where = `${context.env.requestId}: ${context.req.method}`;
    if (error === CALLER_LEFT) domain.onFault(`${where} ${context.req.path.slice(0, 200)}`, error);
    if (error.code === "core.internal") domain.onFault(`${where} ${context.req.routePath}`, thrown);
    recordDenial(domain, error, context);
    return problem(error);
  });
  return app;
}

/** The page itself is on its own door only: nobody opens it through a socket. */
function addPage(app: App, domain: Domain): void {
  const { page } = domain;
  if (page === null) return;
  app.get("/", (context) => answerIndex(context, page, page.files.index()));
  app.get("/assets/:name", (context) => {
    const answer = answerAsset(context, page.files.asset(context.req.param("name")));
    return answer ?? context.notFound();
  });
  app.post("/sign-in", (context) => signIn(context, domain));
}

/** Whether the connection ended while the request was still being sent: what failed then is no fault of Core's. */
function hasLeft({ env: { incoming } }: Asked): boolean {
  return incoming.destroyed && !incoming.complete;
}

function problem(error: CoreError): Response {
  const status = statusOf(error);
  return new Response(problemBody(error, status), { status, headers: problemHeaders(status) });
}

function recordDenial(domain: Domain, error: CoreError, context: Asked): void {
  const { caller, requestId } = context.env;
  // Somebody who is not signed in can be anybody, and send as much as they like.
  if (caller.kind === "nobody" && error.code.startsWith("web.")) return domain.page?.noteDenial(error, requestId);
  if (error.kind !== "denied" && error.kind !== "unauthorized") return;
  const door = `${context.req.method} ${context.req.routePath}`;
  domain.recordDenial(error, actOf(context, domain), context.req.param("agent_id"), door);
}
