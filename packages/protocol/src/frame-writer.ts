/**
 * A message as a frame, written as bytes at once: without a text in between, and without memory of its own where it is
 * small. It is exactly what JSON.stringify gives; what is not plain (other characters than ASCII, a long text) is left to that.
 */
import { encodeFrame, HEADER_BYTES, putLength } from "./frame.ts";

/** Small frames are cut from a slab: an ArrayBuffer of its own is most of what one costs. */
const SLAB_BYTES = 16_384;
/** What stands before and behind the spliced bytes. */
const MOST_TEXT_BYTES = 2_048;
/** A frame with more spliced bytes gets memory of its own. */
const MOST_SPLICED_BYTES = 4_096;

const [QUOTE, COMMA, COLON, BACKSLASH, OPENING, CLOSING] = [0x22, 0x2c, 0x3a, 0x5c, 0x7b, 0x7d];
const [FIRST_PLAIN, LAST_PLAIN] = [0x20, 0x7e];

const encoder = new TextEncoder();
let slab = new Uint8Array(SLAB_BYTES);
/** What was given out of it. */
let used = 0;
/** Where the next byte goes, and the place that no text may pass. */
let at = 0;
let end = 0;

type Members = Readonly<Record<string, unknown>>;
type Splice = readonly [name: string, json: Uint8Array];

/** `payload` becomes the last of `members`, `splice` the last of the payload. What is undefined is left out. */
export function messageFrame(members: Members, payload: Members, splice?: Splice): Uint8Array {
  const splicedBytes = splice?.[1].length ?? 0;
  if (splicedBytes > MOST_SPLICED_BYTES) return byText(members, payload, splice);
  if (used + MOST_TEXT_BYTES + splicedBytes > SLAB_BYTES) {
    slab = new Uint8Array(SLAB_BYTES);
    used = 0;
  }
  at = used + HEADER_BYTES;
  end = used + MOST_TEXT_BYTES - 2;
  const isPlain =
    putMembers(members) &&
    putText(',"payload":') &&
    putMembers(payload) &&
    (splice === undefined || putName(splice[0]));
  if (!isPlain) return byText(members, payload, splice);
  if (splice !== undefined) {
    slab.set(splice[1], at);
    at += splicedBytes;
  }
  slab[at++] = CLOSING;
  slab[at++] = CLOSING;
  const frame = slab.subarray(used, at);
  used = at;
  putLength(frame, frame.length - HEADER_BYTES);
  return frame;
}

function byText(members: Members, payload: Members, splice: Splice | undefined): Uint8Array {
  const text = JSON.stringify({ ...members, payload });
  if (splice === undefined) return encodeFrame([encoder.encode(text)]);
  // The two closing braces come off, the spliced member goes before them.
  const comma = text.endsWith("{}}") ? "" : ",";
  const before = encoder.encode(`${text.slice(0, -2)}${comma}${JSON.stringify(splice[0])}:`);
  return encodeFrame([before, splice[1], encoder.encode("}}")]);
}

// What follows is false where it cannot write; what it wrote until then counts for nothing.

/** An object that is still open. */
function putMembers(members: Members): boolean {
  if (!putText("{")) return false;
  for (const name of Object.keys(members)) {
    const value = members[name];
    if (value === undefined) continue;
    if (!putName(name) || !(typeof value === "string" ? putString(value) : putText(JSON.stringify(value))))
      return false;
  }
  return true;
}

/** With a comma before it where it is not the first of its object. */
function putName(name: string): boolean {
  if (at >= end) return false;
  if (slab[at - 1] !== OPENING) slab[at++] = COMMA;
  if (!putString(name)) return false;
  slab[at++] = COLON;
  return true;
}

function putString(text: string): boolean {
  if (at + text.length + 3 > end) return false;
  slab[at++] = QUOTE;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit < FIRST_PLAIN || unit > LAST_PLAIN || unit === QUOTE || unit === BACKSLASH) return false;
    slab[at++] = unit;
  }
  slab[at++] = QUOTE;
  return true;
}

/** Text that is JSON already. */
function putText(json: string): boolean {
  if (at + json.length > end) return false;
  for (let index = 0; index < json.length; index += 1) {
    const unit = json.charCodeAt(index);
    if (unit > LAST_PLAIN) return false;
    slab[at++] = unit;
  }
  return true;
}
