/**
 * The head of a request to the proxy, read strictly: whatever two programs could read differently is refused, because
 * what is judged here must be what the server behind it sees.
 */
import { CoreError } from "@opensentience/protocol";
import { parseTarget, type Target } from "./target.ts";

export type Body = { kind: "none" } | { kind: "length"; bytes: number } | { kind: "chunked" };
export type ProxyRequest =
  | { kind: "tunnel"; target: Target }
  /** `head` is what goes to the server, ready to be sent. */
  | { kind: "forward"; target: Target; head: string; body: Body };

const MAX_FIELDS = 100;
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const REQUEST_LINE = new RegExp(`^(${TOKEN}) ([^ ]+) (HTTP/1\\.[01])$`, "u");
/** Obsolete folding begins with a space, and a space before the colon is read in two ways: neither fits. */
const FIELD = new RegExp(`^(${TOKEN}):[ \\t]*(.*?)[ \\t]*$`, "u");
const ABSOLUTE = /^http:\/\/([^/?#]+)((?:\/[^?#]*)?(?:\?[^#]*)?)$/iu;
/** RFC 9110 7.6.1 and what old clients send to proxies. Framing and Host are written anew. */
const NOT_FORWARDED = new Set([
  "connection",
  "content-length",
  "host",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

type Field = { name: string; value: string };

/** `bytes` is everything up to and without the empty line. Throws `egress.invalid_request`. */
export function parseRequest(bytes: Buffer): ProxyRequest {
  const text = decoded(bytes);
  const lines = text.split("\r\n");
  // SECURITY: a bare CR or LF ends a line for some programs and not for others, and so hides a request in a field;
  // pinned by "a request that could be read in two ways is refused".
  if (lines.some((line) => /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u2028\u2029]/.test(line)))
    throw invalid("a control character");
  const [, method = "", place = "", version = ""] = REQUEST_LINE.exec(lines[0] ?? "") ?? [];
  if (method === "") throw invalid("no request line");
  const fields = lines.slice(1).map(parseField);
  if (fields.length > MAX_FIELDS) throw invalid(`more than ${MAX_FIELDS} fields`);
  const body = bodyOf(fields, version);
  if (method === "CONNECT") {
    const target = parseTarget(place, undefined);
    if (target === undefined) throw invalid("CONNECT names no host and port");
    if (body.kind !== "none") throw invalid("CONNECT has no body");
    return { kind: "tunnel", target };
  }
  const [, authority, path = ""] = ABSOLUTE.exec(place) ?? [];
  if (authority === undefined) throw invalid("only http:// with a whole URL is forwarded, everything else by CONNECT");
  const target = parseTarget(authority, 80);
  if (target === undefined) throw invalid("the URL names no host");
  if (/[^\u0021-\u007e]/.test(path)) throw invalid("the URL is not in ASCII");
  const line = `${method} ${path.startsWith("/") ? path : `/${path}`} ${version}`;
  return { kind: "forward", target, head: forwardedHead(line, target, fields, body), body };
}

/** UTF-8, because a host may be; a field that is not is carried byte by byte in no case, but refused. */
function decoded(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalid("it is not UTF-8");
  }
}

function parseField(line: string): Field {
  const [, name, value = ""] = FIELD.exec(line) ?? [];
  if (name === undefined) throw invalid("a line that is no field");
  return { name: name.toLowerCase(), value };
}

/**
 * SECURITY: where two programs see the end of a body at different places, what one takes for body is a request to the
 * other; pinned by "a request that could be read in two ways is refused".
 */
function bodyOf(fields: readonly Field[], version: string): Body {
  const only = (name: string): string | undefined => {
    const found = fields.filter((field) => field.name === name);
    if (found.length > 1) throw invalid(`${name} more than once`);
    return found[0]?.value;
  };
  only("host");
  const [length, coding] = [only("content-length"), only("transfer-encoding")];
  if (coding !== undefined) {
    if (length !== undefined) throw invalid("both a length and a transfer coding");
    if (coding.toLowerCase() !== "chunked" || version !== "HTTP/1.1") throw invalid("an odd transfer coding");
    return { kind: "chunked" };
  }
  if (length === undefined) return { kind: "none" };
  if (!/^[0-9]{1,15}$/.test(length)) throw invalid("an odd length");
  return { kind: "length", bytes: Number(length) };
}

/** The server hears the host that was judged, and that this is the only request on its connection. */
function forwardedHead(line: string, target: Target, fields: readonly Field[], body: Body): string {
  const dropped = new Set(
    fields
      .filter(({ name }) => name === "connection")
      .flatMap(({ value }) => value.toLowerCase().split(/[ \t]*,[ \t]*/)),
  );
  const kept = fields.filter(({ name }) => !NOT_FORWARDED.has(name) && !dropped.has(name));
  const framing =
    body.kind === "length"
      ? [`Content-Length: ${body.bytes}`]
      : body.kind === "chunked"
        ? ["Transfer-Encoding: chunked"]
        : [];
  const lines = [
    line,
    `Host: ${target.host}${target.port === 80 ? "" : `:${target.port}`}`,
    ...kept.map(({ name, value }) => `${name}: ${value}`),
    ...framing,
    "Connection: close",
  ];
  return `${lines.join("\r\n")}\r\n\r\n`;
}

function invalid(why: string): CoreError {
  return new CoreError("egress.invalid_request", `not a request to a proxy: ${why}`);
}
