/**
 * The client of Core's control API: HTTP over the Unix socket below the home.
 *
 * One instance per command. All its requests carry the same correlation id, so that the audit log shows as one what
 * one command did. Each request checks the socket first (see socket-guard.ts), uses a connection of its own and waits
 * as long as Core works; the caller's signal ends it, and Core cancels builds and installs whose caller has left.
 *
 * When no Core answers, `startCore` is called once and the request is sent again: it never reached anybody. Without
 * `startCore` that is `core.unreachable`. A request that may have reached Core is never sent twice.
 * Errors of Core arrive as the CoreError they were, code, details and next step included.
 */
import { type IncomingMessage, request as httpRequest } from "node:http";
import { type ControlOperation, CoreError, newId, type ProgressJson } from "@opensentience/protocol";
import type { Paths } from "../host/paths.ts";
import { systemRandomBytes } from "../host/random-bytes.ts";
import { Interrupted } from "./interrupted.ts";
import { jsonLines, parseJson } from "./json-lines.ts";
import { toError } from "./problem.ts";
import { requestPath, type RequestOf, type ResponseOf, ROUTES } from "./routes.ts";
import { hasSafeSocket } from "./socket-guard.ts";

const NDJSON = "application/x-ndjson";
const MAX_DOCUMENT_CHARACTERS = 64 * 1024 * 1024;

export type ControlClientDeps = {
  paths: Pick<Paths, "runFolder" | "controlSocket" | "socketFallback">;
  uid: number;
  signal: AbortSignal;
  startCore?: (() => Promise<void>) | undefined;
};

/** Nobody listens on the socket; nothing was sent. */
class NotRunning extends Error {}

export class ControlClient {
  // An id that nobody can confuse, not a secret; Node's own source of random bytes takes long to load.
  readonly correlationId: string = newId("cor", Date.now(), systemRandomBytes(16));
  readonly #deps: ControlClientDeps;

  constructor(deps: ControlClientDeps) {
    this.#deps = deps;
  }

  /** One answer. With `onProgress` Core reports on the way; only for operations that can. */
  async call<O extends ControlOperation>(
    operation: O,
    input: RequestOf<O> = {},
    onProgress?: (progress: ProgressJson) => void,
  ): Promise<ResponseOf<O>> {
    const response = await this.#open(operation, input, onProgress === undefined ? "application/json" : NDJSON);
    return this.#translated(async () => {
      if (!isNdjson(response)) return parseJson(await readAll(response)) as ResponseOf<O>;
      for await (const line of jsonLines(response)) {
        const message = line as { progress?: ProgressJson; result?: ResponseOf<O>; error?: unknown };
        if (message.error !== undefined) throw toError(message.error);
        if (message.result !== undefined) return message.result;
        if (message.progress !== undefined) onProgress?.(message.progress);
      }
      throw leftWithoutAnswer();
    });
  }

  /** The records of an operation that answers with JSON Lines, as they come. Leaving the loop ends the request. */
  async *lines<O extends ControlOperation>(operation: O, input: RequestOf<O> = {}): AsyncGenerator<ResponseOf<O>> {
    const response = await this.#open(operation, input, NDJSON);
    const records = jsonLines(response);
    try {
      for (;;) {
        const next = await this.#translated(() => records.next());
        if (next.done === true) return;
        const record = next.value as ResponseOf<O> & { error?: { code?: unknown } };
        if (record.error?.code !== undefined) throw toError(record.error);
        yield record;
      }
    } finally {
      response.destroy();
    }
  }

  /** Whether a Core answers now; never starts one. */
  async isAnswering(): Promise<boolean> {
    try {
      (await this.#send("get_status", {}, "application/json")).resume();
      return true;
    } catch (error) {
      if (error instanceof NotRunning || isCode(error, "core.unreachable")) return false;
      throw error;
    }
  }

  /** The response to a request that Core took; its errors are thrown. */
  async #open<O extends ControlOperation>(operation: O, input: RequestOf<O>, accept: string): Promise<IncomingMessage> {
    const response = await this.#sendOrStart(operation, input, accept);
    response.setEncoding("utf8");
    if ((response.statusCode ?? 500) < 400) return response;
    const body = await this.#translated(() => readAll(response));
    throw toError(parseJson(body));
  }

  async #sendOrStart<O extends ControlOperation>(
    operation: O,
    input: RequestOf<O>,
    accept: string,
  ): Promise<IncomingMessage> {
    try {
      return await this.#send(operation, input, accept);
    } catch (error) {
      if (!(error instanceof NotRunning)) throw error;
    }
    if (this.#deps.startCore === undefined) throw notRunning();
    await this.#deps.startCore();
    try {
      return await this.#send(operation, input, accept);
    } catch (error) {
      throw error instanceof NotRunning ? notRunning() : error;
    }
  }

  #send<O extends ControlOperation>(operation: O, input: RequestOf<O>, accept: string): Promise<IncomingMessage> {
    const { paths, uid, signal } = this.#deps;
    if (signal.aborted) return Promise.reject(new Interrupted());
    if (!hasSafeSocket(paths, uid)) return Promise.reject(new NotRunning());
    const method = ROUTES[operation].method.toUpperCase();
    const body = method === "POST" ? JSON.stringify(input.body ?? {}) : undefined;
    const headers: Record<string, string | number> = { accept, "x-correlation-id": this.correlationId };
    if (body !== undefined)
      Object.assign(headers, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
    return new Promise((resolve, reject) => {
      const path = requestPath(operation, input.params as Record<string, string> | undefined, input.query);
      // The empty name of a TLS server keeps Node from working one out, which takes longer than the request.
      const target = { socketPath: paths.controlSocket, method, path, headers, agent: false, servername: "" };
      const request = httpRequest(target);
      const leave = (): void => void request.destroy();
      signal.addEventListener("abort", leave, { once: true });
      request.once("close", () => signal.removeEventListener("abort", leave));
      request.once("response", resolve);
      request.once("error", (error: NodeJS.ErrnoException) => reject(this.#translate(error)));
      request.end(body);
    });
  }

  async #translated<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      throw this.#translate(error);
    }
  }

  #translate(error: unknown): unknown {
    if (this.#deps.signal.aborted) return new Interrupted();
    if (error instanceof CoreError) return error;
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ECONNREFUSED") return new NotRunning();
    if (code === "EACCES")
      return new CoreError("core.unsafe_socket", `${this.#deps.paths.controlSocket} cannot be opened`, {
        cause: error,
      });
    return leftWithoutAnswer(error);
  }
}

async function readAll(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of response as AsyncIterable<string>) {
    text += chunk;
    if (text.length > MAX_DOCUMENT_CHARACTERS) throw leftWithoutAnswer();
  }
  return text;
}

function isNdjson(response: IncomingMessage): boolean {
  return response.headers["content-type"]?.startsWith(NDJSON) === true;
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof CoreError && error.code === code;
}

function notRunning(): CoreError {
  return new CoreError("core.unreachable", "Core is not running", { nextStep: "opensentience core start" });
}

function leftWithoutAnswer(cause?: unknown): CoreError {
  return new CoreError(
    "core.unreachable",
    "Core ended the connection before it had answered; what came of this is not known",
    {
      cause,
      nextStep: "opensentience core status",
    },
  );
}
