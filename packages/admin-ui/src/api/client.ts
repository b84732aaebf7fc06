/**
 * The only file of the page that sends requests. Every one goes to the page's own origin; a state change carries the
 * session's CSRF token. An answer that is no success becomes a `Problem`; a 401 ends the session for the whole page.
 */
import type { SessionJson } from "@opensentience/protocol";
import { jsonLines } from "./json-lines.ts";
import { Problem, problemOf, unreachable } from "./problem.ts";
import { type PageOperation, requestPath, type RequestOf, type ResponseOf, ROUTES } from "./routes.ts";

export type Progress = { phase: string; text: string };
type Line<R> = { progress: Progress } | { result: R } | { error: { code: string; message: string } & ErrorRest };
type ErrorRest = { details: Record<string, unknown>; next_step: string | null };

let csrfToken = "";
let onSignedOut = (): void => {};

/** `signedOut` is called when Core no longer knows the session. */
export function adoptSession(token: string, signedOut: () => void): void {
  csrfToken = token;
  onSignedOut = signedOut;
}

/** One request, one JSON answer. */
export async function call<O extends PageOperation>(
  operation: O,
  request: RequestOf<O> = {},
  signal?: AbortSignal,
): Promise<ResponseOf<O>> {
  const response = await send(operation, request, "application/json", signal);
  return (await response.json()) as ResponseOf<O>;
}

/** As `call`, for an act that takes its time; `onProgress` hears of each step. */
export async function callWithProgress<O extends PageOperation>(
  operation: O,
  request: RequestOf<O>,
  onProgress: (progress: Progress) => void,
  signal?: AbortSignal,
): Promise<ResponseOf<O>> {
  const response = await send(operation, request, "application/x-ndjson", signal);
  if (response.headers.get("content-type")?.startsWith("application/json") === true)
    return (await response.json()) as ResponseOf<O>;
  for await (const line of jsonLines<Line<ResponseOf<O>>>(response)) {
    if ("progress" in line) onProgress(line.progress);
    else if ("result" in line) return line.result;
    else throw lineProblem(line.error);
  }
  throw unreachable();
}

/** The records of an answer in JSON Lines as they come. Leaving the loop or aborting `signal` ends the request. */
export async function* records<O extends PageOperation>(
  operation: O,
  request: RequestOf<O>,
  signal: AbortSignal,
): AsyncGenerator<ResponseOf<O>> {
  const response = await send(operation, request, "application/x-ndjson", signal);
  for await (const line of jsonLines<ResponseOf<O> | { error: { code: string; message: string } & ErrorRest }>(
    response,
  )) {
    if (isFailure(line)) throw lineProblem(line.error);
    yield line;
  }
}

function isFailure(line: object): line is { error: { code: string; message: string } & ErrorRest } {
  const { error } = line as { error?: unknown };
  return typeof error === "object" && error !== null && !("result" in line);
}

/** Exchanges a one-time code or the token for a session; the one request that needs none. */
export async function requestSession(secret: { code: string } | { token: string }): Promise<SessionJson> {
  const response = await request("/sign-in", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(secret),
  });
  if (!response.ok) throw await problemOf(response);
  return (await response.json()) as SessionJson;
}

async function send<O extends PageOperation>(
  operation: O,
  { params, query, body }: RequestOf<O>,
  accept: string,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const isGet = ROUTES[operation].method === "get";
  const path = requestPath(operation, params as Record<string, string> | undefined, query);
  const response = await request(path, {
    method: isGet ? "GET" : "POST",
    headers: { accept, ...(isGet ? {} : stateChange()) },
    ...(isGet ? {} : { body: JSON.stringify(body ?? {}) }),
    ...(signal === undefined ? {} : { signal }),
  });
  if (response.ok) return response;
  const problem = await problemOf(response);
  if (problem.status === 401) onSignedOut();
  throw problem;
}

function stateChange(): Record<string, string> {
  return { "content-type": "application/json", ...(csrfToken === "" ? {} : { "x-csrf-token": csrfToken }) };
}

async function request(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, { ...init, credentials: "same-origin", cache: "no-store", redirect: "error" });
  } catch (thrown) {
    if (init.signal?.aborted === true) throw thrown;
    throw unreachable();
  }
}

function lineProblem({ code, message, details, next_step }: { code: string; message: string } & ErrorRest): Problem {
  return new Problem({ code, detail: message, details, next_step, status: 200 });
}
