/**
 * The guard of the web page: one function in front of every route, file and stream of the TCP door. It sees the head of a
 * request before anything else of Core does, and lets nothing through that a page of another site, another program's
 * port, a rebound name or an unknown caller could have sent.
 *
 * In this order: the host the request names, the origin it comes from, its method and kind, and who sends it. A session is
 * two secrets: the cookie alone, which the browser sends to every port of this address, is nobody. What is public is a
 * short list; everything else, reads and streams too, needs a token or a session, routes that do not exist included. A
 * refusal tells its code and nothing of what was given.
 */
import type { IncomingMessage } from "node:http";
import { CoreError, ERROR_KINDS, type ErrorCode } from "@opensentience/protocol";
import type { Access } from "./access.ts";
import type { Session } from "./sessions.ts";

/** Who sends a request. `nobody` reaches only what is public; `cookieOf` is a session of which it has the cookie alone. */
export type Caller =
  | { kind: "operator" }
  | { kind: "nobody"; cookieOf: Session | null }
  | { kind: "token" }
  | { kind: "session"; session: Session };

export type RequestHead = Pick<IncomingMessage, "method" | "url" | "rawHeaders">;
export type GuardRules = {
  /** Exactly these values of Host are ours. */
  hosts: readonly string[];
  access: Access;
};

/** Statuses that HTTP has for these and that no kind of error stands for. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  "web.host_refused": 421,
  "web.method_refused": 405,
  "web.type_refused": 415,
  "web.too_many_attempts": 429,
};

const READS = new Set(["GET", "HEAD"]);
const CHANGES = new Set(["POST", "PUT", "PATCH", "DELETE"]);
const ASSET = /^\/assets\/[A-Za-z0-9_-][A-Za-z0-9._-]*$/;
const BEARER = /^Bearer +([!-~]{1,512})$/i;

export function statusOf(error: CoreError): number {
  return STATUS[error.code] ?? ERROR_KINDS[error.kind].status;
}

/** Hosts under which an address is reached: its own name, and for loopback the two that everybody types. */
export function hostsOf(address: string, port: number): string[] {
  const own = address.includes(":") ? `[${address}]` : address;
  // Bound to every address, it is still reached from outside only where something forwards to loopback.
  const names = new Set(["127.0.0.1", "localhost", ...(/^(0\.0\.0\.0|::)$/.test(address) ? [] : [own])]);
  // A browser leaves the port of http out.
  return [...names].flatMap((name) => (port === 80 ? [`${name}:${port}`, name] : [`${name}:${port}`]));
}

/** The caller, or a thrown CoreError whose status `statusOf` gives. */
export function judge(request: RequestHead, rules: GuardRules): Caller {
  const headers = new Heads(request.rawHeaders);
  const method = request.method ?? "";
  const host = judgeHost(headers, rules.hosts);
  judgeOrigin(headers, host);
  const path = judgeTarget(request.url ?? "");
  if (!READS.has(method) && !CHANGES.has(method))
    throw new CoreError("web.method_refused", "that method does not exist here");
  if (CHANGES.has(method)) judgeType(headers);
  const caller = identify(headers, rules.access);
  if (isPublic(method, path)) return caller;
  if (caller.kind !== "nobody") return caller;
  throw caller.cookieOf === null
    ? new CoreError("web.not_signed_in", "sign in first", { nextStep: "opensentience open" })
    : new CoreError("web.csrf_refused", "the secret of the page (x-csrf-token) is missing or is not this session's", {
        nextStep: "opensentience open",
      });
}

/** Whether a whole tab waits for the answer, for somebody to read: a link was followed, with no form sent. */
export function isNavigation(request: RequestHead): boolean {
  const headers = new Heads(request.rawHeaders);
  const is = (name: string, value: string): boolean => headers.all(name).join("\n") === value;
  const asked = request.method === "GET" && is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document");
  return asked && headers.all("origin").length === 0 && /\btext\/html\b/i.test(headers.all("accept").join());
}

function isPublic(method: string, path: string): boolean {
  if (method === "POST") return path === "/sign-in";
  return READS.has(method) && (path === "/" || path === "/healthz" || ASSET.test(path));
}

/**
 * SECURITY: a site of the attacker's whose name is made to resolve to 127.0.0.1 (DNS rebinding) is same-origin with
 * itself, but the browser still sends its name; pinned by "a host that is not exactly ours".
 */
function judgeHost(headers: Heads, hosts: readonly string[]): string {
  const given = headers.all("host");
  if (given.length === 1 && hosts.includes(given[0] ?? "")) return given[0] ?? "";
  throw new CoreError("web.host_refused", "that is not the address of this page");
}

/**
 * SECURITY: pages of other sites, of other ports of this address (a site of their own port is "same-site"), and
 * documents without an origin can all send requests here; pinned by "an origin that is not exactly ours". Ours is the
 * one that belongs to the host that was asked: whoever holds port 6767 of [::1] is `http://localhost:6767` as well.
 */
function judgeOrigin(headers: Heads, host: string): void {
  const refused = (): CoreError => new CoreError("web.origin_refused", "that request comes from another origin");
  const origin = headers.all("origin");
  if (origin.length > 1 || (origin.length === 1 && origin[0] !== `http://${host}`)) throw refused();
  const site = headers.all("sec-fetch-site");
  if (site.length > 1 || (site.length === 1 && site[0] !== "same-origin" && site[0] !== "none")) throw refused();
}

/**
 * SECURITY: `/assets/../api/v1/agents` is public for one reader and a route for the next, so a target that any reader
 * could take for another one is none; pinned by "a target that could be read in two ways". The path.
 */
function judgeTarget(target: string): string {
  const path = target.split("?", 1)[0] ?? "";
  const refused = (): CoreError => new CoreError("web.request_refused", "the request names no path");
  if (!path.startsWith("/") || path.startsWith("//") || target.includes("#")) throw refused();
  let read: URL;
  try {
    read = new URL(`http://x${target}`);
  } catch {
    throw refused();
  }
  if (read.pathname !== path || read.host !== "x") throw refused();
  return path;
}

/** SECURITY: what a form or a beacon of another site can send is none of the types that need its permission; pinned by "a state change that is not JSON". */
function judgeType(headers: Heads): void {
  const [type = "", ...more] = headers.all("content-type");
  if (more.length === 0 && /^application\/json[ \t]*(;|$)/i.test(type)) return;
  throw new CoreError("web.type_refused", "a state change needs content-type application/json");
}

/**
 * A token that was given has to be right: no cookie makes up for it.
 *
 * SECURITY: the browser sends the cookie to servers of other users on other ports of this address, and a page of theirs
 * (same-site here) can make it send the cookie to us; pinned by "the cookie of a session without the secret of its page"
 * and "the cookie that a server on another port was sent opens nothing".
 */
function identify(headers: Heads, access: Access): Caller {
  const authorization = headers.all("authorization");
  if (authorization.length > 0) {
    const token = authorization.length === 1 ? BEARER.exec(authorization[0] ?? "")?.[1] : undefined;
    access.checkToken(token ?? "");
    return { kind: "token" };
  }
  const given = headers.all("x-csrf-token");
  let cookieOf: Session | null = null;
  for (const cookie of headers.cookies(access.cookieName)) {
    const session = access.sessions.find(cookie);
    if (session === undefined) continue;
    if (given.length === 1 && access.sessions.isProven(session, given[0] ?? "")) return { kind: "session", session };
    cookieOf ??= session;
  }
  return { kind: "nobody", cookieOf };
}

/** Headers as they were sent: Node's own reading drops the second of two Host headers. */
class Heads {
  readonly #raw: readonly string[];

  constructor(raw: readonly string[]) {
    this.#raw = raw;
  }

  all(name: string): string[] {
    const values: string[] = [];
    for (let index = 0; index < this.#raw.length; index += 2)
      if (this.#raw[index]?.toLowerCase() === name) values.push(this.#raw[index + 1] ?? "");
    return values;
  }

  /** Other programs on this address can set cookies of the same name: each is tried, as many as a head has room for. */
  cookies(name: string): string[] {
    return this.all("cookie")
      .flatMap((header) => header.split(";"))
      .map((pair) => pair.trim())
      .filter((pair) => pair.startsWith(`${name}=`))
      .map((pair) => pair.slice(name.length + 1));
  }
}
