/**
 * Identifiers: UUIDv7 (RFC 9562 section 5.7) behind a prefix that names the kind, e.g. `run_0190…`.
 * They sort by creation time. `shortId` is the form used where a path must stay short.
 */

export type IdPrefix = "run" | "apr" | "evt" | "call" | "core" | "cor" | "web" | "ses";

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Random bytes are drawn many at a time: each draw is a call into the system. What was given out is never kept. */
const pool = new Uint8Array(4096);
let drawn = pool.length;

function random16(): Uint8Array {
  if (drawn === pool.length) {
    crypto.getRandomValues(pool);
    drawn = 0;
  }
  const bytes = pool.slice(drawn, drawn + 16);
  pool.fill(0, drawn, drawn + 16);
  drawn += 16;
  return bytes;
}

/** 16 random bytes as 32 hex digits. */
export function randomHex16(): string {
  return hexOf(random16(), 0, 16);
}

function hexOf(bytes: Uint8Array, from: number, to: number): string {
  let text = "";
  for (let at = from; at < to; at += 1) text += HEX[bytes[at] ?? 0];
  return text;
}

let timeMs = Number.NaN;
let timeHex = "";

/** The first 48 bits, `xxxxxxxx-xxxx`; written once a millisecond. */
function timeOf(nowMs: number): string {
  if (nowMs !== timeMs) {
    const hex = Math.floor(nowMs).toString(16).padStart(12, "0");
    timeHex = `${hex.slice(0, 8)}-${hex.slice(8)}`;
    timeMs = nowMs;
  }
  return timeHex;
}

/** New id, e.g. `run_01930c5e-7d3a-7c52-9f2e-0a1b2c3d4e5f`. `nowMs` is wall-clock milliseconds; of `random`, 10 bytes are used, and changed. */
export function newId(prefix: IdPrefix, nowMs: number = Date.now(), random: Uint8Array = random16()): string {
  random[0] = 0x70 | ((random[0] ?? 0) & 0x0f);
  random[2] = 0x80 | ((random[2] ?? 0) & 0x3f);
  return `${prefix}_${timeOf(nowMs)}-${hexOf(random, 0, 2)}-${hexOf(random, 2, 4)}-${hexOf(random, 4, 10)}`;
}

/** The latest that an id can hold. */
const MAX_TIME_MS = 2 ** 48 - 1;
/** A hundred years ahead is no clock that was set back (one without a battery begins in 1970), but a forged id. */
const MAX_AHEAD_MS = 100 * 365 * 86_400_000;

/**
 * New id that sorts behind `previous` of the same kind, also after the clock was set back by years, and within one
 * millisecond. Its time is then one millisecond after that of `previous`. A `previous` further ahead counts for nothing:
 * the ids made after it would carry its wrong time for ever.
 */
export function newIdAfter(prefix: IdPrefix, previous: string | undefined, nowMs: number = Date.now()): string {
  const hex =
    previous
      ?.slice(prefix.length + 1)
      .replaceAll("-", "")
      .slice(0, 12) ?? "";
  const previousMs = /^[0-9a-f]{12}$/.test(hex) ? Number.parseInt(hex, 16) : -1;
  const afterMs = previousMs - nowMs > MAX_AHEAD_MS ? nowMs : Math.max(nowMs, previousMs + 1);
  return newId(prefix, Math.min(afterMs, MAX_TIME_MS));
}

/** Whether it has the form of an id of one of these kinds; whoever made it. */
export function isIdOf(text: string, ...prefixes: readonly IdPrefix[]): boolean {
  const [, prefix] = ID.exec(text) ?? [];
  return prefixes.some((one) => one === prefix);
}

const ID = /^([a-z]+)_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The last 12 hex digits: 48 random bits, enough to be unique in one home, short enough for a socket path. */
export function shortId(id: string): string {
  return id.slice(-12);
}
