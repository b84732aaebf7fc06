/**
 * One request, from its parsing to its answer: plain JSON, JSON Lines with progress, or a stream of records. The end of
 * the connection aborts the handler's signal (caller gone = cancel).
 */
import {
  CONTROL_ROUTES,
  CoreError,
  errorToJson,
  type ControlOperation,
  type ControlRoute,
} from "@opensentience/protocol";
import type { z } from "zod";
import type { Act } from "../audit-log/audit-log.ts";
import type { Asked } from "./acts.ts";
import type { Domain } from "./domain.ts";
import type { Handler, Input } from "./handlers.ts";
import { jsonLines } from "./json-lines.ts";
import { endWithItsRight, readJson, untilItsCallerLeaves } from "./request.ts";

/** Of one request. */
export const MAX_BODY_BYTES: number = 1024 * 1024;
const LINES = "application/x-ndjson";
/** Needs no database. */
const ANSWERED_ALWAYS: ReadonlySet<ControlOperation> = new Set<ControlOperation>([
  "get_status",
  "stop_core",
  "check_health",
  "get_session",
  "sign_out",
  "make_sign_in_link",
]);

export async function respond(
  context: Asked,
  domain: Domain,
  operation: ControlOperation,
  handler: Handler,
  act: Act,
): Promise<Response> {
  const route: ControlRoute = CONTROL_ROUTES[operation];
  if (domain.degraded !== null && !isAnswered(operation, domain)) {
    throw new CoreError("core.degraded", domain.degraded.message, {
      details: { code: domain.degraded.code },
      nextStep: domain.degraded.nextStep ?? "opensentience core status",
    });
  }
  const input: Input = {
    ...(await parseRequest(context, route)),
    act,
    caller: context.env.caller,
    signal: untilItsCallerLeaves(context),
    progress: () => {},
    setHeader: (name, value) => context.header(name, value),
  };
  if (route.lines === true) endWithItsRight(context, domain.page?.access.tokenEnded);
  const wantsLines = (context.env.incoming.headers.accept ?? "").includes(LINES);
  // What such a handler refuses, it refuses before it gives the records, so a refusal is still a proper answer.
  if (route.lines === true)
    return lines(domain, (await handler(domain, input)) as AsyncIterable<unknown> | Iterable<unknown>, context);
  if (route.progress === true && wantsLines)
    return lines(domain, withProgress(domain, handler, input, context), context);
  return context.json((await handler(domain, input)) as object);
}

/** What a degraded Core answers: what it found, and whether the log is intact where there is one. */
function isAnswered(operation: ControlOperation, domain: Domain): boolean {
  return ANSWERED_ALWAYS.has(operation) || (operation === "verify_audit" && domain.audit !== null);
}

async function parseRequest(context: Asked, route: ControlRoute): Promise<Pick<Input, "params" | "query" | "body">> {
  return {
    params: parse(route.params, context.req.param(), "path"),
    query: parse(route.query, context.req.query(), "query"),
    body: route.body === undefined ? {} : parse(route.body, await readJson(context, MAX_BODY_BYTES), "body"),
  };
}

function parse(schema: z.ZodType | undefined, value: unknown, where: string): Record<string, unknown> {
  if (schema === undefined) return {};
  const result = schema.safeParse(value);
  if (result.success) return result.data as Record<string, unknown>;
  const [issue] = result.error.issues;
  throw new CoreError(
    "usage.invalid",
    `${where}: ${issue?.path.join(".") ?? ""} ${issue?.message ?? "is not valid"}`.slice(0, 300),
    { nextStep: "opensentience help" },
  );
}

/** The progress of an act as it happens, then its result or its error. */
async function* withProgress(domain: Domain, handler: Handler, input: Input, context: Asked): AsyncIterable<unknown> {
  const waiting: unknown[] = [];
  let wake = (): void => {};
  const progress = (phase: string, text: string): void => {
    // A slow reader loses progress, never the result.
    if (waiting.length < 10_000) waiting.push({ progress: { phase, text } });
    wake();
  };
  let outcome: unknown;
  const done = Promise.resolve(handler(domain, { ...input, progress }))
    .then((result) => (outcome = { result }))
    .catch((thrown: unknown) => {
      const error = domain.toError(thrown);
      if (error.code === "core.internal") domain.onFault(`${context.env.requestId}: ${context.req.path}`, thrown);
      if (error.kind === "denied")
        domain.recordDenial(
          error,
          input.act,
          context.req.param("agent_id"),
          `${context.req.method} ${context.req.routePath}`,
        );
      outcome = errorToJson(error);
    })
    .finally(() => wake());
  while (outcome === undefined || waiting.length > 0) {
    const next = waiting.shift();
    if (next !== undefined) yield next;
    else
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (outcome !== undefined || waiting.length > 0) resolve();
      });
  }
  await done;
  yield outcome;
}

function lines(domain: Domain, records: AsyncIterable<unknown> | Iterable<unknown>, context: Asked): Response {
  const where = `${context.env.requestId}: ${context.req.method} ${context.req.path}, while streaming`;
  const body = jsonLines(records, {
    toError: domain.toError,
    onFault: (thrown) => domain.onFault(where, thrown),
  });
  return new Response(body, { headers: { "content-type": LINES } });
}
