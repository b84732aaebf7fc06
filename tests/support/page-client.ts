/** A client of the web page's door that writes every byte of a request itself, as a browser or an attacker may. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import type { StreamEventJson } from "@opensentience/protocol";
import type { CoreHome } from "./core-home.ts";

export type RawAnswer = { status: number; headers: Map<string, string>; text: string };
export type Ask = { headers?: Record<string, string>; body?: string; host?: string };
/** Both secrets of a session, and what the audit log calls it. */
export type SignedIn = { cookie: string; csrf: string; session: string };

/** What the page sends with every request. */
export function proof({ cookie, csrf }: SignedIn): { cookie: string; "x-csrf-token": string } {
  return { cookie, "x-csrf-token": csrf };
}

/** On every answer of the page's door. */
export const PAGE_POLICY: Record<string, string> = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  "x-frame-options": "DENY",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

const ANSWER_MS = 10_000;

export class PageClient {
  readonly url: string;
  readonly port: number;
  readonly #home: CoreHome;

  private constructor(home: CoreHome, url: string) {
    this.#home = home;
    this.url = url;
    this.port = Number(new URL(url).port);
  }

  /** Starts Core when it does not run. */
  static async of(home: CoreHome): Promise<PageClient> {
    return new PageClient(home, (await home.json<{ web_url: string }>(["core", "start"])).web_url);
  }

  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  get token(): string {
    return readFileSync(join(this.#home.folder, "state/web.token"), "utf8").trim();
  }

  /** One answer to exactly these bytes; the connection is read to its end. */
  async raw(bytes: string): Promise<RawAnswer> {
    const socket = await this.open();
    socket.write(bytes);
    const chunks: Buffer[] = [];
    // An answer that was sent before a reset counts.
    socket.on("data", (chunk: Buffer) => chunks.push(chunk)).on("error", () => {});
    await once(socket, "close", { signal: AbortSignal.timeout(ANSWER_MS) }).finally(() => socket.destroy());
    return parseAnswer(Buffer.concat(chunks).toString("latin1"));
  }

  async open(): Promise<Socket> {
    const socket = connect(this.port, "127.0.0.1");
    await once(socket, "connect");
    return socket;
  }

  /** `headers` replace those a browser would send; an empty value leaves one out. */
  ask(method: string, target: string, { headers = {}, body, host = this.host }: Ask = {}): Promise<RawAnswer> {
    return this.raw(requestText(method, target, { host, connection: "close", ...headers }, body));
  }

  /** A state change as the page sends it. */
  change(target: string, by: SignedIn, body: object = {}, headers: Record<string, string> = {}): Promise<RawAnswer> {
    return this.ask("POST", target, {
      headers: { "content-type": "application/json", ...proof(by), ...headers },
      body: JSON.stringify(body),
    });
  }

  /** The code of a link that Core prints. */
  async code(): Promise<string> {
    const { url } = await this.#home.json<{ url: string }>(["open", "--print"]);
    return new URL(url).hash.replace("#code=", "");
  }

  postSignIn(body: unknown, headers: Record<string, string> = {}): Promise<RawAnswer> {
    const type = { "content-type": "application/json" };
    return this.ask("POST", "/sign-in", { headers: { ...type, ...headers }, body: JSON.stringify(body) });
  }

  async signIn(): Promise<SignedIn> {
    return signedIn(await this.postSignIn({ code: await this.code() }));
  }

  /** An event stream that is read as it comes. */
  async stream(query: string, headers: Record<string, string>): Promise<EventStream> {
    const socket = await this.open();
    socket.write(requestText("GET", `/api/v1/events${query}`, { host: this.host, ...headers }));
    return EventStream.of(socket);
  }
}

export function signedIn(answer: RawAnswer): SignedIn {
  if (answer.status !== 200) throw new Error(`not signed in: ${answer.status} ${answer.text}`);
  const { csrf_token: csrf, actor } = JSON.parse(answer.text) as { csrf_token: string; actor: string };
  return {
    cookie: (answer.headers.get("set-cookie") ?? "").split(";")[0] ?? "",
    csrf,
    session: actor.split("web:")[1] ?? "",
  };
}

export function requestText(method: string, target: string, headers: Record<string, string>, body = ""): string {
  const length = body === "" ? {} : { "content-length": String(Buffer.byteLength(body)) };
  const lines = Object.entries({ ...length, ...headers }).flatMap(([name, value]) =>
    value === "" ? [] : [`${name}: ${value}`],
  );
  return `${method} ${target} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n${body}`;
}

function parseAnswer(text: string): RawAnswer {
  const end = text.indexOf("\r\n\r\n");
  const [first = "", ...lines] = text.slice(0, end === -1 ? undefined : end).split("\r\n");
  const headers = new Map(
    lines.map((line) => [line.split(":", 1)[0]?.toLowerCase() ?? "", line.replace(/^[^:]*:\s*/, "")]),
  );
  const body = end === -1 ? "" : text.slice(end + 4);
  return {
    status: Number(first.split(" ")[1] ?? 0),
    headers,
    text: headers.get("transfer-encoding") === "chunked" ? unchunked(body) : body,
  };
}

function unchunked(body: string): string {
  let text = "";
  for (let at = 0; at < body.length;) {
    const lineEnd = body.indexOf("\r\n", at);
    const size = Number.parseInt(body.slice(at, lineEnd), 16);
    if (!(size > 0)) break;
    text += body.slice(lineEnd + 2, lineEnd + 2 + size);
    at = lineEnd + 2 + size + 2;
  }
  return text;
}

export type SentEvent = { id: string; event: string; data: StreamEventJson["data"]; receivedMs: number };

export class EventStream {
  readonly status: number;
  readonly headers: Map<string, string>;
  readonly events: SentEvent[] = [];
  bytes = 0;
  readonly #comments: number[] = [];
  isOver = false;
  readonly socket: Socket;
  /** As received, chunked; and without the chunks, from the last whole event on. */
  #raw = Buffer.alloc(0);
  #body = Buffer.alloc(0);
  #look: () => void = () => {};

  private constructor(socket: Socket, { status, headers }: RawAnswer) {
    this.socket = socket;
    this.status = status;
    this.headers = headers;
  }

  /** Resolves when the head of the answer is there; what follows is collected in `events`. */
  static async of(socket: Socket): Promise<EventStream> {
    socket.on("error", () => {});
    let head = Buffer.alloc(0);
    while (!head.includes("\r\n\r\n"))
      head = Buffer.concat([
        head,
        (await once(socket, "data", { signal: AbortSignal.timeout(ANSWER_MS) }))[0] as Buffer,
      ]);
    const end = head.indexOf("\r\n\r\n") + 4;
    const stream = new EventStream(socket, parseAnswer(head.toString("latin1", 0, end)));
    socket.on("data", (bytes: Buffer) => stream.#take(bytes));
    socket.once("close", () => {
      stream.isOver = true;
      stream.#look();
    });
    stream.#take(head.subarray(end));
    return stream;
  }

  /** The first event, from the one at `from` on, that fits; waits for it. */
  async until(fits: (event: SentEvent) => boolean, what: string, from = 0): Promise<SentEvent> {
    const { promise, resolve, reject } = Promise.withResolvers<SentEvent>();
    const limit = setTimeout(
      () => reject(new Error(`no ${what} among ${this.events.map(({ event }) => event).join(" ")}`.slice(0, 2_000))),
      ANSWER_MS,
    );
    this.#look = () => {
      const found = this.events.slice(from).find(fits);
      if (found !== undefined) resolve(found);
      else if (this.isOver) reject(new Error(`the stream ended before ${what}`));
    };
    this.#look();
    return await promise.finally(() => clearTimeout(limit));
  }

  /** When each of the first `count` comments came, in ms. */
  async commentsUntil(count: number): Promise<number[]> {
    while (this.#comments.length < count) await once(this.socket, "data", { signal: AbortSignal.timeout(ANSWER_MS) });
    return this.#comments.slice(0, count);
  }

  named(name: string): SentEvent[] {
    return this.events.filter(({ event }) => event === name);
  }

  /** Resolves when Core ends it. */
  async end(): Promise<void> {
    if (!this.isOver) await once(this.socket, "close", { signal: AbortSignal.timeout(ANSWER_MS) });
  }

  close(): void {
    this.socket.destroy();
  }

  #take(bytes: Buffer): void {
    this.bytes += bytes.length;
    this.#raw = Buffer.concat([this.#raw, bytes]);
    for (;;) {
      const lineEnd = this.#raw.indexOf("\r\n");
      const size = Number.parseInt(this.#raw.toString("latin1", 0, Math.max(0, lineEnd)), 16);
      const end = lineEnd + 2 + size;
      if (!(size > 0) || this.#raw.length < end + 2) break;
      this.#body = Buffer.concat([this.#body, this.#raw.subarray(lineEnd + 2, end)]);
      this.#raw = this.#raw.subarray(end + 2);
    }
    const whole = this.#body.lastIndexOf("\n\n");
    if (whole === -1) return;
    for (const block of this.#body.toString("utf8", 0, whole).split("\n\n")) this.#event(block);
    this.#body = this.#body.subarray(whole + 2);
    this.#look();
  }

  #event(block: string): void {
    const field = (name: string): string | undefined =>
      block
        .split("\n")
        .find((line) => line.startsWith(`${name}: `))
        ?.slice(name.length + 2);
    const data = field("data");
    if (data === undefined) {
      if (block.startsWith(":")) this.#comments.push(performance.now());
      return;
    }
    this.events.push({
      id: field("id") ?? "",
      event: field("event") ?? "",
      data: JSON.parse(data) as SentEvent["data"],
      receivedMs: performance.now(),
    });
  }
}
