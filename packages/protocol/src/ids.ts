/**
 * Identifiers: UUIDv7 (RFC 9562 section 5.7) behind a prefix that names the kind, e.g. `run_0190…`.
 * They sort by creation time. `shortId` is the form used where a path must stay short.
 */

export type IdPrefix = "run" | "apr" | "evt" | "call" | "core" | "cor" | "web";

/** New id, e.g. `run_01930c5e-7d3a-7c52-9f2e-0a1b2c3d4e5f`. `nowMs` is wall-clock milliseconds; `random` are 16 random bytes. */
export function newId(
  prefix: IdPrefix,
  nowMs: number = Date.now(),
  random: Uint8Array = crypto.getRandomValues(new Uint8Array(16)),
): string {
  const bytes = Uint8Array.from(random);
  new DataView(bytes.buffer).setUint32(0, Math.floor(nowMs / 0x1_0000));
  new DataView(bytes.buffer).setUint16(4, nowMs % 0x1_0000);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x70;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${prefix}_${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/**
 * New id that sorts behind `previous` of the same kind, whatever the clock says: after a clock was set back, and within one
 * millisecond. Its time is then one millisecond after that of `previous`.
 */
export function newIdAfter(prefix: IdPrefix, previous: string | undefined, nowMs: number = Date.now()): string {
  const hex =
    previous
      ?.slice(prefix.length + 1)
      .replaceAll("-", "")
      .slice(0, 12) ?? "";
  const previousMs = /^[0-9a-f]{12}$/.test(hex) ? Number.parseInt(hex, 16) : -1;
  return newId(prefix, Math.max(nowMs, previousMs + 1));
}

/** The last 12 hex digits: 48 random bits, enough to be unique in one home, short enough for a socket path. */
export function shortId(id: string): string {
  return id.slice(-12);
}
