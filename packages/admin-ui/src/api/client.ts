/**
 * The only file of the page that sends requests. Every one goes to the page's own origin with the secret of the page. An
 * answer that is no success becomes a `Problem`; one that says that there is no session ends it for the whole page.
 */
import type { SignInJson } from "@opensentience/protocol";
import { jsonLines } from "./json-lines.ts";
import { pageSecret } from "./page-secret.ts";
import { lostDuringAct, Problem, problemOf, unreachable } from "./problem.ts";
import { type PageOperation, requestPath, type RequestOf, type ResponseOf, ROUTES } from "./routes.ts";

export type Progress = { phase: string; text: string };
type Line<R> = { progress: Progress } | { result: R } | { error: { code: string; message: string } & ErrorRest };
type ErrorRest = { details: Record<string, unknown>; next_step: string | null };

let onSignedOut = (_secret: string): void => {};

/** `act` is called when Core knows no session of that secret and this browser's cookie. */
export function onSessionRefused(act: (secret: string) => void): void {
  onSignedOut = act;
}

/** One request, one JSON answer. */
export async function call<O extends PageOperation>(
  operation: O,
  request: RequestOf<O> = {},
  signal?: AbortSignal,
): Promise<ResponseOf<O>> {
  const response = await send(operation, request, "application/json", signal);
  return await wholeAnswer(operation, signal, async () => (await response.json()) as ResponseOf<O>);
}

/** As `call`, for an act that takes its time; `onProgress` hears of each step. */
export async function callWithProgress<O extends PageOperation>(
  operation: O,
  request: RequestOf<O>,
  onProgress: (progress: Progress) => void,
  signal?: AbortSignal,
): Promise<ResponseOf<O>> {
  const response = await send(operation, request, "application/x-ndjson", signal);
  return await wholeAnswer(operation, signal, async () => {
    if (response.headers.get("content-type")?.startsWith("application/json") === true)
      return (await response.json()) as ResponseOf<O>;
    for await (const line of jsonLines<Line<ResponseOf<O>>>(response)) {
      if ("progress" in line) onProgress(line.progress);
      else if ("result" in line) return line.result;
      else throw lineProblem(line.error);
    }
    throw unanswered(operation);
  });
}

/** What is no problem is the connection, which ended in the middle of the answer. */
async function wholeAnswer<T>(
  operation: PageOperation,
  signal: AbortSignal | undefined,
  read: () => Promise<T>,
): Promise<T> {
  try {
    return await read();
  } catch (thrown) {
    if (thrown instanceof Problem || signal?.aborted === true) throw thrown;
    throw unanswered(operation);
  }
}

/** A question can be asked again; an act that was sent may have had its effect. */
function unanswered(operation: PageOperation): Problem {
  return isQuestion(operation) ? unreachable() : lostDuringAct();
}

function isQuestion(operation: PageOperation): boolean {
  return ROUTES[operation].method === "get";
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

/** The whole answer as a file for the browser to save; a browser's own download can send no header. */
export async function download<O extends PageOperation>(operation: O, asked: RequestOf<O>): Promise<Blob> {
  const response = await send(operation, asked, "application/x-ndjson", undefined);
  return await response.blob().catch(() => {
    throw unreachable();
  });
}

/** Exchanges a one-time code or the token for a session; needs none, but ends the one before. */
export async function requestSession(given: { code: string } | { token: string }): Promise<SignInJson> {
  const response = await request("/sign-in", {
    method: "POST",
    headers: { "content-type": "application/json", ...proof(pageSecret()) },
    body: JSON.stringify(given),
  });
  if (!response.ok) throw await problemOf(response);
  return (await response.json()) as SignInJson;
}

/** Throws `page.unreachable` where no Core answers; asks nothing that needs a session. */
export async function findCore(): Promise<void> {
  const response = await request("/healthz", {});
  if (!response.ok) throw await problemOf(response);
}

/** Undefined where Core refuses the stream; throws where it does not answer. Runs in a worker too, which has no storage. */
export async function requestEvents(
  query: string,
  secret: string,
  lastEventId: string,
  signal: AbortSignal,
): Promise<Response | undefined> {
  const last = lastEventId === "" ? {} : { "last-event-id": lastEventId };
  const headers = { accept: "text/event-stream", ...proof(secret), ...last };
  const response = await request(`/api/v1/events?${query}`, { headers, signal });
  if (response.status === 200) return response;
  await response.body?.cancel();
  return undefined;
}

async function send<O extends PageOperation>(
  operation: O,
  { params, query, body }: RequestOf<O>,
  accept: string,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const isGet = isQuestion(operation);
  const path = requestPath(operation, params as Record<string, string> | undefined, query);
  const secret = pageSecret();
  const init = {
    method: isGet ? "GET" : "POST",
    headers: { accept, ...proof(secret), ...(isGet ? {} : { "content-type": "application/json" }) },
    ...(isGet ? {} : { body: JSON.stringify(body ?? {}) }),
    ...(signal === undefined ? {} : { signal }),
  };
  const response = await request(path, init, unanswered(operation));
  if (response.ok) return response;
  const problem = await problemOf(response);
  if (isNoSession(problem)) onSignedOut(secret);
  throw problem;
}

/** A browser whose cookie was replaced or removed has as little of a session as one without the secret. */
export function isNoSession({ status, code }: Problem): boolean {
  return status === 401 || code === "web.csrf_refused";
}

function proof(secret: string): Record<string, string> {
  return secret === "" ? {} : { "x-csrf-token": secret };
}

async function request(path: string, init: RequestInit, noAnswer = unreachable()): Promise<Response> {
  try {
    return await fetch(path, { ...init, credentials: "same-origin", cache: "no-store", redirect: "error" });
  } catch (thrown) {
    if (init.signal?.aborted === true) throw thrown;
    throw noAnswer;
  }
}

function lineProblem({ code, message, details, next_step }: { code: string; message: string } & ErrorRest): Problem {
  return new Problem({ code, detail: message, details, next_step, status: 200 });
}
