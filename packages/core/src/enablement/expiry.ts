/** `--expires`: a duration from now (`45s`, `30m`, `12h`, `7d`) or an RFC 3339 time; never in the past, at most ten years away. */
import { CoreError } from "@opensentience/protocol";

const UNIT_MS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const MAX_MS = 10 * 365 * 86_400_000;

/** RFC 3339 UTC. Throws `enablement.invalid_expiry`. */
export function parseExpiry(text: string, nowMs: number): string {
  const duration = /^(\d{1,6})([smhd])$/.exec(text);
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(text);
  const atMs =
    duration !== null
      ? nowMs + Number(duration[1]) * (UNIT_MS[duration[2] ?? ""] ?? Number.NaN)
      : isTime
        ? Date.parse(text)
        : Number.NaN;
  if (Number.isNaN(atMs) || atMs <= nowMs || atMs - nowMs > MAX_MS) {
    throw new CoreError(
      "enablement.invalid_expiry",
      "an expiry is a duration such as 45s, 30m, 12h or 7d, or a time such as 2030-01-31T12:00:00Z in the future",
      {
        nextStep: "opensentience help agents enable",
      },
    );
  }
  return new Date(atMs).toISOString();
}
