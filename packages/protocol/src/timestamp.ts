let writtenMs = Number.NaN;
let written = "";

/** RFC 3339 in UTC with milliseconds. Formatted once a millisecond: a busy socket asks for the same text many times. */
export function timestamp(nowMs: number = Date.now()): string {
  if (nowMs !== writtenMs) {
    writtenMs = nowMs;
    written = new Date(nowMs).toISOString();
  }
  return written;
}
