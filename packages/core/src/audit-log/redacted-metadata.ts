/** Copies metadata into plain, bounded JSON without secrets. */

import { isSecretName } from "./secret-names.ts";

const DEEPEST = 6;
const MOST_BYTES = 8192;
const LONGEST_STRING = 2048;
const MOST_ENTRIES = 100;
/** Room for the mark that something was left out. */
const MARK_BYTES = 32;

type Budget = { left: number; cut: boolean };

/** `redact` is applied to every string and key. What does not fit is left out and `_truncated: true` is added. */
export function redactMetadata(
  value: Record<string, unknown>,
  redact: (text: string) => string,
): Record<string, unknown> {
  const budget: Budget = { left: MOST_BYTES - MARK_BYTES, cut: false };
  const copied = copyObject(value, 1, budget, redact);
  if (budget.cut) copied["_truncated"] = true;
  return copied;
}

function copyObject(
  value: object,
  depth: number,
  budget: Budget,
  redact: (text: string) => string,
): Record<string, unknown> {
  const copied: Record<string, unknown> = {};
  take(budget, 2);
  let entries = 0;
  for (const [name, entry] of Object.entries(value)) {
    if (entry === undefined || name === "__proto__") continue;
    const key = redact(name.slice(0, 256));
    if (entries >= MOST_ENTRIES || !take(budget, jsonBytes(key) + 2)) {
      budget.cut = true;
      break;
    }
    entries += 1;
    const kept =
      isSecretName(name) && carriesSecret(entry)
        ? plain("[redacted:key]", budget)
        : copyValue(entry, depth, budget, redact);
    if (kept !== undefined) copied[key] = kept;
  }
  return copied;
}

function carriesSecret(entry: unknown): boolean {
  return entry !== null && typeof entry !== "boolean";
}

function copyValue(value: unknown, depth: number, budget: Budget, redact: (text: string) => string): unknown {
  if (value === null || typeof value === "boolean") return plain(value, budget);
  if (typeof value === "number") return plain(Number.isFinite(value) ? value : String(value), budget);
  if (typeof value === "bigint") return plain(value.toString(), budget);
  if (typeof value === "string") return plain(bounded(redact(value.slice(0, MOST_BYTES * 2))), budget);
  if (typeof value !== "object") return undefined;
  if (value instanceof Date) return plain(Number.isNaN(value.getTime()) ? "invalid date" : value.toISOString(), budget);
  if (value instanceof Error) return plain(bounded(redact(`${value.name}: ${value.message}`)), budget);
  if (ArrayBuffer.isView(value)) return plain(`[${value.byteLength} bytes]`, budget);
  if (depth >= DEEPEST) {
    budget.cut = true;
    return plain("[too deep]", budget);
  }
  return Array.isArray(value) ? copyArray(value, depth, budget, redact) : copyObject(value, depth + 1, budget, redact);
}

function copyArray(
  value: readonly unknown[],
  depth: number,
  budget: Budget,
  redact: (text: string) => string,
): unknown[] {
  const copied: unknown[] = [];
  take(budget, 2);
  for (const entry of value) {
    if (copied.length >= MOST_ENTRIES || budget.left <= 0) {
      budget.cut = true;
      break;
    }
    const kept = copyValue(entry, depth + 1, budget, redact);
    if (kept !== undefined) copied.push(kept);
  }
  return copied;
}

function bounded(text: string): string {
  return text.length <= LONGEST_STRING ? text : `${text.slice(0, LONGEST_STRING).toWellFormed()}…`;
}

function plain<Value extends string | number | boolean | null>(value: Value, budget: Budget): Value | undefined {
  if (take(budget, jsonBytes(value) + 1)) return value;
  budget.cut = true;
  return undefined;
}

function jsonBytes(value: string | number | boolean | null): number {
  return Buffer.byteLength(JSON.stringify(value));
}

function take(budget: Budget, bytes: number): boolean {
  if (bytes > budget.left) return false;
  budget.left -= bytes;
  return true;
}
