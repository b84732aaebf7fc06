/**
 * One JSON object from a peer that is not trusted, parsed once (docs/protocol.md, "Envelope").
 *
 * JSON.parse decides what is JSON and what a value is. A second look at the same bytes finds what it lets through:
 * nesting that would exhaust a stack later, numbers that are not finite, keys named `__proto__`. The same look notes
 * where members of the payload stand, so that a forwarded input or output is spliced, not serialised again.
 */
import { CoreError } from "./errors.ts";

/** Objects and lists inside each other, the outermost counted. */
export const MAX_DEPTH = 64;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

export type WireObject = {
  value: Record<string, unknown>;
  /** The bytes of `payload[key]` as they came, or serialised again where something had to be left out of them. */
  payloadBytes(key: string): Uint8Array | undefined;
};

/** Throws `protocol.invalid_frame`: no UTF-8, no JSON, no object, too deep, a number that is not finite. */
export function parseWireObject(bytes: Uint8Array): WireObject {
  const value = parse(bytes);
  const scan = new Scan(bytes);
  if (scan.hasProtoKey) {
    dropProtoKeys(value);
    return { value, payloadBytes: (key) => serialised(value, key) };
  }
  return {
    value,
    payloadBytes: (key) => {
      const span = scan.payload.get(key);
      return span === undefined ? undefined : bytes.subarray(span[0], span[1]);
    },
  };
}

function parse(bytes: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(bytes));
  } catch (error) {
    const what = error instanceof SyntaxError ? "JSON" : error instanceof RangeError ? "JSON of a sane depth" : "UTF-8";
    throw new CoreError("protocol.invalid_frame", `a frame is not ${what}`);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new CoreError("protocol.invalid_frame", "a frame is not one JSON object");
}

function serialised(value: Record<string, unknown>, key: string): Uint8Array | undefined {
  const payload: unknown = value["payload"];
  if (typeof payload !== "object" || payload === null) return undefined;
  const member: unknown = Reflect.get(payload, key);
  return member === undefined ? undefined : encoder.encode(JSON.stringify(member));
}

/** The depth is bounded by then. */
function dropProtoKeys(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  Reflect.deleteProperty(value, "__proto__");
  for (const member of Object.values(value)) dropProtoKeys(member);
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;

/** Members whose bytes somebody forwards, and the keys that lead there. */
const KNOWN_KEYS: readonly (readonly [string, Uint8Array])[] = [
  "payload",
  "input",
  "output",
  "data",
  "error",
  "__proto__",
].map((name) => [name, encoder.encode(name)] as const);

/** Walks bytes that are known to be JSON. */
class Scan {
  hasProtoKey = false;
  /** Member of the payload → where its value begins and ends. */
  readonly payload = new Map<string, [number, number]>();
  readonly #bytes: Uint8Array;
  #at = 0;
  #depth = 0;
  /** Whether the object at depth 1 is at its member `payload`. */
  #isPayload = false;
  #member: string | undefined;
  #memberStart = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    while (this.#at < bytes.length) this.#token(bytes[this.#at] ?? 0);
  }

  #token(byte: number): void {
    if (byte === QUOTE) this.#string();
    else if (byte === 0x7b || byte === 0x5b) this.#open();
    else if (byte === 0x7d || byte === 0x5d) this.#close();
    else if (byte === 0x2d || (byte >= 0x30 && byte <= 0x39)) this.#number();
    else {
      if (byte === COMMA && this.#depth === 2) this.#endMember();
      this.#at += 1;
    }
  }

  #open(): void {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) {
      throw new CoreError("protocol.invalid_frame", `a frame nests deeper than ${MAX_DEPTH}`);
    }
    this.#at += 1;
  }

  #close(): void {
    if (this.#depth === 2) this.#endMember();
    this.#depth -= 1;
    this.#at += 1;
  }

  #endMember(): void {
    if (this.#member === undefined) return;
    this.payload.set(this.#member, [this.#memberStart, this.#at]);
    this.#member = undefined;
  }

  #string(): void {
    const start = this.#at;
    let end = this.#bytes.indexOf(QUOTE, start + 1);
    while (this.#isEscaped(end)) end = this.#bytes.indexOf(QUOTE, end + 1);
    this.#at = end + 1;
    const colon = this.#afterSpace(this.#at);
    if (this.#bytes[colon] !== COLON) return;
    this.#at = this.#afterSpace(colon + 1);
    this.#key(start, end);
  }

  #key(start: number, end: number): void {
    const key = this.#knownKey(start + 1, end);
    if (key === "__proto__") this.hasProtoKey = true;
    if (this.#depth === 1) {
      this.#isPayload = key === "payload";
      // The last of two equal keys wins, here as in JSON.parse.
      if (this.#isPayload) this.payload.clear();
    } else if (this.#depth === 2 && this.#isPayload) {
      this.#member = key;
      this.#memberStart = this.#at;
    }
  }

  /** The key between the quotes if it is one that matters here. */
  #knownKey(start: number, end: number): string | undefined {
    const bytes = this.#bytes.subarray(start, end);
    // SECURITY: a key may be spelled with escapes ("inp\u0075t"). What is validated (the parsed value) and what is
    // forwarded (these bytes) must be the same member. Pinned by "what is forwarded is what was parsed".
    if (bytes.includes(BACKSLASH)) {
      const key: unknown = JSON.parse(`"${decoder.decode(bytes)}"`);
      return KNOWN_KEYS.find(([name]) => name === key)?.[0];
    }
    return KNOWN_KEYS.find(
      ([, known]) => known.length === bytes.length && known.every((byte, at) => byte === bytes[at]),
    )?.[0];
  }

  #number(): void {
    const start = this.#at;
    let mayOverflow = false;
    for (; this.#at < this.#bytes.length; this.#at += 1) {
      const byte = this.#bytes[this.#at] ?? 0;
      if (byte === 0x65 || byte === 0x45) mayOverflow = true;
      else if ((byte < 0x30 || byte > 0x39) && byte !== 0x2e && byte !== 0x2b && byte !== 0x2d) break;
    }
    if (!mayOverflow && this.#at - start < 300) return;
    const value = Number(decoder.decode(this.#bytes.subarray(start, this.#at)));
    if (!Number.isFinite(value))
      throw new CoreError("protocol.invalid_frame", "a frame holds a number that is not finite");
  }

  #isEscaped(quote: number): boolean {
    let at = quote - 1;
    while (this.#bytes[at] === BACKSLASH) at -= 1;
    return (quote - at) % 2 === 0;
  }

  #afterSpace(from: number): number {
    let at = from;
    while (this.#bytes[at] === 0x20 || this.#bytes[at] === 0x0a || this.#bytes[at] === 0x0d || this.#bytes[at] === 0x09)
      at += 1;
    return at;
  }
}
