/**
 * One JSON object from a peer that is not trusted (docs/protocol.md, "Envelope").
 *
 * JSON.parse decides what is JSON and what a value is. One look at the same bytes finds what it lets through: nesting that
 * would exhaust memory or a stack later, numbers that are not finite, keys named `__proto__`. The same look notes where
 * members of the payload stand, so that a forwarded input or output is spliced, not serialised again.
 *
 * The look comes first, so that a frame of nothing but brackets costs no memory; it must therefore end on bytes that are
 * no JSON as well. What it finds counts only once JSON.parse has agreed.
 */
import { CoreError } from "./errors.ts";

/** Objects and lists inside each other, the outermost counted. */
export const MAX_DEPTH = 64;

/**
 * Values of one frame: each item of a list counts one, each member of an object two, one that is empty one.
 * SECURITY: four MiB of empty lists become 116 MB and hold their reader up for half a second. Pinned by "takes so many values
 * and refuses more".
 */
export const MAX_VALUES = 262_144;

/** Members of a payload whose bytes somebody forwards. */
export type ForwardedMember = "input" | "output" | "data";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

export type WireObject = {
  value: Record<string, unknown>;
  /** The bytes of `payload[member]` as they came, or serialised again where something had to be left out of them. */
  payloadBytes: (member: ForwardedMember) => Uint8Array | undefined;
};

/** Throws `protocol.invalid_frame`: no UTF-8, no JSON, no object, too deep, a number that is not finite. */
export function parseWireObject(bytes: Uint8Array): WireObject {
  const text = decoded(bytes);
  const scan = new Scan(bytes, text);
  const value = parsed(text);
  if (scan.hasProtoKey) {
    dropProtoKeys(value);
    return { value, payloadBytes: (member) => serialised(value, member) };
  }
  return { value, payloadBytes: (member) => forwarded(value, member, scan) };
}

/**
 * SECURITY: of two members of one name JSON.parse takes the last, which is checked; the next reader may take the first. So
 * what names a member twice is serialised again. Pinned by "what is forwarded names each member once".
 */
function forwarded(value: Record<string, unknown>, member: ForwardedMember, scan: Scan): Uint8Array | undefined {
  const span = scan.spanOf(member);
  if (span === undefined) return undefined;
  return membersIn((value["payload"] as Record<string, unknown>)[member]) === span.names
    ? span.bytes
    : serialised(value, member);
}

/** Members of all objects in it; the depth is bounded by then. */
function membersIn(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  let count = 0;
  if (Array.isArray(value)) for (const item of value) count += membersIn(item);
  else
    for (const name in value) {
      count += 1;
      count += membersIn((value as Record<string, unknown>)[name]);
    }
  return count;
}

function decoded(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw invalidFrame("a frame is not UTF-8");
  }
}

function parsed(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalidFrame("a frame is not JSON");
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw invalidFrame("a frame is not one JSON object");
}

function invalidFrame(message: string): CoreError {
  return new CoreError("protocol.invalid_frame", message);
}

function serialised(value: Record<string, unknown>, member: string): Uint8Array | undefined {
  const payload: unknown = value["payload"];
  if (typeof payload !== "object" || payload === null) return undefined;
  const found: unknown = Object.hasOwn(payload, member) ? Reflect.get(payload, member) : undefined;
  return found === undefined ? undefined : encoder.encode(JSON.stringify(found));
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
const ZERO = 0x30;
const NINE = 0x39;
/** Below so many bytes a loop finds the end of a string sooner than a native search. */
const SHORT = 48;
/** A number of fewer characters is finite, also with an exponent of two digits. */
const LONG_NUMBER = 200;
const SHORT_EXPONENT = "e99".length;

/** Keys that mean something here, by their length: it decides for nearly all others. */
type Named = ForwardedMember | "payload" | "__proto__";
const NAMED: readonly Named[] = ["data", "input", "output", "payload", "__proto__"];
const NAMED_BY_LENGTH = new Map(NAMED.map((name) => [name.length, { name, bytes: encoder.encode(name) }]));
const PROTO_LENGTH = "__proto__".length;

/** Walks bytes that JSON.parse has yet to judge: ends on any bytes, is right about those that are JSON. */
class Scan {
  hasProtoKey = false;
  readonly #bytes: Uint8Array;
  /** The same as text, where a byte is a character: searching it is several times faster. */
  readonly #ascii: string | undefined;
  /** Where members of the payload begin and end. */
  #spans: { member: ForwardedMember; from: number; to: number; names: number }[] = [];
  /** Names of members so far. */
  #names = 0;
  #depth = 0;
  #values = 0;
  /** Whether the object at depth 1 is at its member `payload`. */
  #isPayload = false;
  #member: ForwardedMember | undefined;
  #memberStart = 0;
  #namesBefore = 0;

  constructor(bytes: Uint8Array, text: string) {
    this.#bytes = bytes;
    this.#ascii = text.length === bytes.length ? text : undefined;
    const end = bytes.length;
    let at = 0;
    while (at < end) {
      const byte = bytes[at] ?? 0;
      if (byte === QUOTE) at = this.#string(at);
      else if (byte === 0x7b || byte === 0x5b) {
        this.#depth += 1;
        if (this.#depth > MAX_DEPTH) throw invalidFrame(`a frame nests deeper than ${MAX_DEPTH}`);
        this.#count();
        at += 1;
      } else if (byte === 0x7d || byte === 0x5d) {
        if (this.#depth === 2) this.#endMember(at);
        this.#depth -= 1;
        at += 1;
      } else if ((byte >= ZERO && byte <= NINE) || byte === 0x2d) at = this.#number(at);
      else {
        if (byte === COMMA) {
          this.#count();
          if (this.#depth === 2) this.#endMember(at);
        }
        at += 1;
      }
    }
  }

  #count(): void {
    this.#values += 1;
    if (this.#values > MAX_VALUES) throw invalidFrame(`a frame holds more than ${MAX_VALUES} values`);
  }

  /** With how many members are named in it. */
  spanOf(member: ForwardedMember): { bytes: Uint8Array; names: number } | undefined {
    // The last of two equal keys wins, here as in JSON.parse.
    const span = this.#spans.findLast((one) => one.member === member);
    return span === undefined ? undefined : { bytes: this.#bytes.subarray(span.from, span.to), names: span.names };
  }

  #endMember(at: number): void {
    if (this.#member === undefined) return;
    this.#spans.push({
      member: this.#member,
      from: this.#memberStart,
      to: at,
      names: this.#names - this.#namesBefore,
    });
    this.#member = undefined;
  }

  /** Where what follows the string begins; if it is a key, where its value begins. */
  #string(start: number): number {
    const bytes = this.#bytes;
    const end = this.#endOfString(start + 1);
    let next = end + 1;
    if (bytes[next] !== COLON) {
      next = this.#afterSpace(next);
      if (bytes[next] !== COLON) return next;
    }
    this.#count();
    this.#names += 1;
    next = this.#afterSpace(next + 1);
    if (this.#depth <= 2 || end - start >= PROTO_LENGTH) this.#key(start + 1, end, next);
    return next;
  }

  /** Of the closing quote; behind the bytes where there is none. */
  #endOfString(from: number): number {
    const bytes = this.#bytes;
    const short = Math.min(from + SHORT, bytes.length);
    let at = from;
    while (at < short) {
      const byte = bytes[at];
      if (byte === QUOTE) return at;
      at += byte === BACKSLASH ? 2 : 1;
    }
    for (;;) {
      const quote = this.#ascii === undefined ? bytes.indexOf(QUOTE, at) : this.#ascii.indexOf('"', at);
      if (quote === -1) return bytes.length;
      let slash = quote;
      while (slash > at && bytes[slash - 1] === BACKSLASH) slash -= 1;
      if ((quote - slash) % 2 === 0) return quote;
      at = quote + 1;
    }
  }

  #key(from: number, to: number, valueStart: number): void {
    const name = this.#nameOf(from, to);
    if (name === "__proto__") this.hasProtoKey = true;
    if (this.#depth === 1) {
      this.#isPayload = name === "payload";
      if (this.#isPayload) this.#spans = [];
    } else if (this.#depth === 2 && this.#isPayload) {
      this.#member = name === "payload" || name === "__proto__" ? undefined : name;
      this.#memberStart = valueStart;
      this.#namesBefore = this.#names;
    }
  }

  #nameOf(from: number, to: number): Named | undefined {
    const bytes = this.#bytes;
    // SECURITY: a key may be spelled with escapes ("inp\u0075t"). What is validated (the parsed value) and what is
    // forwarded (these bytes) must be the same member. Pinned by "what is forwarded is what was parsed".
    for (let at = from; at < to; at += 1) if (bytes[at] === BACKSLASH) return spelled(bytes.subarray(from, to));
    const named = NAMED_BY_LENGTH.get(to - from);
    if (named === undefined) return undefined;
    for (let at = from; at < to; at += 1) if (bytes[at] !== named.bytes[at - from]) return undefined;
    return named.name;
  }

  #number(start: number): number {
    const bytes = this.#bytes;
    let at = start;
    let exponentAt = 0;
    for (; at < bytes.length; at += 1) {
      const byte = bytes[at] ?? 0;
      if (byte >= ZERO && byte <= NINE) continue;
      if (byte === 0x65 || byte === 0x45) exponentAt = at;
      else if (byte !== 0x2e && byte !== 0x2b && byte !== 0x2d) break;
    }
    if (at - start < LONG_NUMBER && (exponentAt === 0 || at - exponentAt <= SHORT_EXPONENT)) return at;
    const value = Number(decoder.decode(bytes.subarray(start, at)));
    if (!Number.isFinite(value)) throw invalidFrame("a frame holds a number that is not finite");
    return at;
  }

  #afterSpace(from: number): number {
    const bytes = this.#bytes;
    let at = from;
    for (;;) {
      const byte = bytes[at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at;
      at += 1;
    }
  }
}

function spelled(key: Uint8Array): Named | undefined {
  try {
    const text: unknown = JSON.parse(`"${decoder.decode(key)}"`);
    return NAMED.find((name) => name === text);
  } catch {
    // No JSON; JSON.parse will say so of the whole.
    return undefined;
  }
}
