/**
 * What leaves an agent, made fit to leave: JSON that Core will take, texts of bounded length, errors without a stack.
 *
 * SECURITY: only what a handler says on purpose leaves the agent; of a stray error its text stays in the agent's own log.
 * Pinned by "a stray error says nothing of itself".
 */
import { MAX_DEPTH, MAX_VALUES, type WireError } from "@opensentience/protocol";

/** UTF-16 units of an error's message. */
const MAX_MESSAGE = 2_000;
/** Characters of an error's details as JSON. */
const MAX_DETAILS = 16_384;
/** The envelope and the payload stand around every value. */
const MAX_VALUE_DEPTH = MAX_DEPTH - 4;
const MAX_VALUES_IN_IT = MAX_VALUES - 1_000;
const CODE = /^[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*$/;
/** Complaints of one process: a peer that provokes them must not fill the log. */
const MAX_COMPLAINTS = 500;

/** Thrown by a handler to fail its call with a code and a text of its own; anything else says only that it failed. */
export class ToolError extends Error {
  readonly code: string;
  readonly details: Record<string, unknown> | undefined;

  constructor(code: string, message: string, details?: Record<string, unknown>) {
    super(message);
    this.name = "ToolError";
    this.code = code;
    this.details = details;
  }
}

/** The value as bytes of JSON. Throws ToolError: the first of `codes` for what is no JSON, the second for what is over `maxBytes` or holds too many values. */
export function jsonBytes(value: unknown, what: string, maxBytes: number, codes: readonly [string, string]): Buffer {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw new ToolError(codes[0], `${what} is no JSON: ${textOf(error).slice(0, 200)}`);
  }
  if (text === undefined) throw new ToolError(codes[0], `${what} is no JSON: it is ${typeof value}`);
  if (text.length > maxBytes || Buffer.byteLength(text) > maxBytes) {
    throw new ToolError(codes[1], `${what} is over ${maxBytes} bytes`);
  }
  const { depth, values } = extentOf(text);
  if (depth > MAX_VALUE_DEPTH) throw new ToolError(codes[0], `${what} nests deeper than ${MAX_VALUE_DEPTH}`);
  if (values > MAX_VALUES_IN_IT) throw new ToolError(codes[1], `${what} holds more than ${MAX_VALUES_IN_IT} values`);
  return Buffer.from(text);
}

export function safeError(thrown: unknown): WireError {
  if (!(thrown instanceof ToolError)) {
    complain(`a tool failed: ${stackOf(thrown)}`);
    return { code: "tool.failed", message: "the tool failed; the agent's log says why" };
  }
  const code = CODE.test(thrown.code) && thrown.code.length <= 200 ? thrown.code : "tool.failed";
  const details = safeDetails(thrown.details);
  const message = textOf(thrown.message).slice(0, MAX_MESSAGE);
  return details === undefined ? { code, message } : { code, message, details };
}

/** Details that are too long, or no JSON object, are left out. */
function safeDetails(details: unknown): Record<string, unknown> | undefined {
  if (typeof details !== "object" || details === null) return undefined;
  try {
    const bytes = jsonBytes(details, "details", MAX_DETAILS, ["tool.failed", "tool.failed"]);
    const copy: unknown = JSON.parse(bytes.toString());
    return typeof copy === "object" && copy !== null && !Array.isArray(copy)
      ? (copy as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

let complaints = 0;

/** One line on stderr, which Core keeps as the agent's log, redacted. */
export function complain(text: string): void {
  complaints += 1;
  if (complaints > MAX_COMPLAINTS) return;
  const last = complaints === MAX_COMPLAINTS ? "; further complaints are left out" : "";
  process.stderr.write(`${text.slice(0, 8_192)}${last}\n`);
}

/** Whatever was thrown may throw again when it is looked at. */
function textOf(thrown: unknown): string {
  try {
    return thrown instanceof Error ? String(thrown.message) : String(thrown);
  } catch {
    return "something that cannot be shown";
  }
}

function stackOf(thrown: unknown): string {
  try {
    return thrown instanceof Error && typeof thrown.stack === "string" ? thrown.stack : textOf(thrown);
  } catch {
    return textOf(thrown);
  }
}

/** Objects and lists inside each other, and values as Core counts them, of a text that JSON.stringify made. */
function extentOf(json: string): { depth: number; values: number } {
  let depth = 0;
  let most = 0;
  let values = 0;
  for (let at = 0; at < json.length; at += 1) {
    const unit = json.charCodeAt(at);
    if (unit === 0x22) at = endOfString(json, at);
    else if (unit === 0x7b || unit === 0x5b) {
      most = Math.max(most, (depth += 1));
      values += 1;
    } else if (unit === 0x7d || unit === 0x5d) depth -= 1;
    else if (unit === 0x2c || unit === 0x3a) values += 1;
  }
  return { depth: most, values };
}

/** Searched natively: most of a large value is text. */
function endOfString(json: string, start: number): number {
  let quote = json.indexOf('"', start + 1);
  while (isEscaped(json, quote)) quote = json.indexOf('"', quote + 1);
  return quote;
}

function isEscaped(json: string, at: number): boolean {
  let slash = at;
  while (json.charCodeAt(slash - 1) === 0x5c) slash -= 1;
  return (at - slash) % 2 === 1;
}
