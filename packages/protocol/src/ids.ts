/**
 * Identifiers: UUIDv7 (RFC 9562 section 5.7) behind a prefix that names the kind, e.g. `run_0190…`.
 * They sort by creation time. `shortId` is the form used where a path must stay short.
 */

export type IdPrefix = "run" | "apr" | "evt" | "call" | "core" | "cor" | "web" | "ses";

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Random bytes are drawn many at a time: each draw is a call into the system. What was given out is never kept. */
const pool = new Uint8Array(4096);
let drawn = pool.length;

/** 16 random bytes as 32 hex digits. */
export function randomHex16(): string {
  if (drawn === pool.length) {
    crypto.getRandomValues(pool);
    drawn = 0;
  }
  let text = "";
  for (const end = drawn + 16; drawn < end; drawn += 1) {
    text += HEX[pool[drawn] ?? 0];
    pool[drawn] = 0;
  }
  return text;
}

/** New id, e.g. `run_01930c5e-7d3a-7c52-9f2e-0a1b2c3d4e5f`. `nowMs` is wall-clock milliseconds. */
export function newId(prefix: IdPrefix, nowMs: number = Date.now()): string {
  const time = Math.floor(nowMs).toString(16).padStart(12, "0");
  const random = randomHex16();
  const variant = "89ab"[Number.parseInt(random.charAt(4), 16) & 3];
  return `${prefix}_${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(1, 4)}-${variant}${random.slice(5, 8)}-${random.slice(8, 20)}`;
}

/** The last 12 hex digits: 48 random bits, enough to be unique in one home, short enough for a socket path. */
export function shortId(id: string): string {
  return id.slice(-12);
}
