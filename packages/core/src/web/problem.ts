/** RFC 9457 problem details. `code`, `details` and `next_step` are those of the CLI's error JSON. */
import type { CoreError } from "@opensentience/protocol";

const FOR_STATUS: Readonly<Record<number, Record<string, string>>> = {
  401: { "www-authenticate": "Bearer" },
  405: { allow: "GET, HEAD, POST" },
  429: { "retry-after": "60" },
};

export function problemBody(error: CoreError, status: number): string {
  return JSON.stringify({
    type: "about:blank",
    title: error.code,
    status,
    code: error.code,
    detail: error.message,
    details: error.details,
    next_step: error.nextStep ?? null,
  });
}

/** Beside those of every answer; HTTP asks for some with certain statuses. */
export function problemHeaders(status: number): Record<string, string> {
  return { "content-type": "application/problem+json", ...FOR_STATUS[status] };
}
