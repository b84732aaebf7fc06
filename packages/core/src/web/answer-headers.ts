/** What every answer carries, refusals, files and streams included: nothing may be framed, sniffed, stored or sent on. */
import type { ServerResponse } from "node:http";

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join("; ");

/** On the control socket no browser listens; the first two are enough there. */
const EVERYWHERE: Readonly<Record<string, string>> = {
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
};

const PAGE_HEADERS: Readonly<Record<string, string>> = {
  ...EVERYWHERE,
  "content-security-policy": POLICY,
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

export type DoorName = "socket" | "page";

/** To be called before anything else is done with a request, so that no way of answering it can do without. */
export function setAnswerHeaders(response: ServerResponse, door: DoorName, requestId: string): void {
  for (const [name, value] of Object.entries(door === "page" ? PAGE_HEADERS : EVERYWHERE))
    response.setHeader(name, value);
  response.setHeader("x-request-id", requestId);
}

/** A whole answer for a connection of which no request could be read; it ends the connection. `text` is ASCII. */
export function rawAnswer(door: DoorName, status: string, text = ""): string {
  const headers = Object.entries(door === "page" ? PAGE_HEADERS : EVERYWHERE).map(
    ([name, value]) => `${name}: ${value}`,
  );
  const body = [...(text === "" ? [] : ["content-type: text/plain"]), `content-length: ${text.length}`];
  return [`HTTP/1.1 ${status}`, ...headers, ...body, "connection: close", "", text].join("\r\n");
}
