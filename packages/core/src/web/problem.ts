/** RFC 9457 problem details. `code`, `details` and `next_step` are those of the CLI's error JSON. */
import type { CoreError } from "@opensentience/protocol";

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
