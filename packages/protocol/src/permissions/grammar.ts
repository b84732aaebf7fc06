/** The grammar `domain:action[:pattern]`, the canonical list, and what Core knows about each kind of permission. */
import { PRINTABLE_TEXT } from "../printable-text.ts";
import { type HostPattern, parseHostPattern } from "./host-pattern.ts";
import { type PathPattern, parsePathPattern } from "./path-pattern.ts";
import { type ToolPattern, parseToolPattern } from "./tool-pattern.ts";

export const MAX_PERMISSION_BYTES = 300;

export type Permission = { domain: string; action: string; pattern: string | undefined };

const GRAMMAR = /^([a-z][a-z0-9_.-]*):([a-z][a-z0-9_.-]*)(?::(.+))?$/u;
const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * The parts of one permission; undefined when it does not follow the grammar, is over 300 bytes, has spaces around it
 * or holds characters that cannot be seen. Unknown domains parse: they can be requested, approved and shown.
 */
export function parsePermission(text: string): Permission | undefined {
  if (text.length > MAX_PERMISSION_BYTES || utf8Length(text) > MAX_PERMISSION_BYTES) return undefined;
  if (text.trim() !== text || !PRINTABLE_TEXT.test(text)) return undefined;
  const match = GRAMMAR.exec(text);
  const [, domain, action, pattern] = match ?? [];
  return domain === undefined || action === undefined ? undefined : { domain, action, pattern };
}

function utf8Length(text: string): number {
  let bytes = 0;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x1_0000 ? 3 : 4;
  }
  return bytes;
}

/** The one canonical form of a list: trimmed, no empty entries, no duplicates, sorted by code point. */
export function canonicalPermissions(list: readonly string[]): string[] {
  const distinct = new Set(list.map((entry) => entry.trim()).filter((entry) => entry !== ""));
  return [...distinct].sort(byCodePoint);
}

/** JavaScript's own order is by UTF-16 unit, which puts surrogate pairs before U+E000. */
function byCodePoint(a: string, b: string): number {
  for (let at = 0; at < a.length && at < b.length;) {
    const left = a.codePointAt(at) ?? 0;
    const right = b.codePointAt(at) ?? 0;
    if (left !== right) return left - right;
    at += left > 0xffff ? 2 : 1;
  }
  return a.length - b.length;
}

/** A permission as Core understands it; "opaque" is carried and shown but never compared by meaning. */
export type Understood =
  | { kind: "path"; write: boolean; path: PathPattern }
  | { kind: "host"; host: HostPattern }
  | { kind: "env"; name: string }
  | { kind: "tool"; tool: ToolPattern }
  | { kind: "carried" }
  | { kind: "opaque" };

const OPAQUE: Understood = { kind: "opaque" };

/** "carried" are the kinds Core knows but does not hold; "opaque" is an unknown kind or a pattern that covers nothing. */
export function understand(permission: string, home?: string): Understood {
  const parsed = parsePermission(permission);
  if (parsed === undefined) return OPAQUE;
  const pattern = parsed.pattern ?? "";
  switch (`${parsed.domain}:${parsed.action}`) {
    case "filesystem:read":
    case "filesystem:write": {
      const path = parsePathPattern(pattern, home);
      return path === undefined ? OPAQUE : { kind: "path", write: parsed.action === "write", path };
    }
    case "network:egress": {
      const host = parseHostPattern(pattern);
      return host === undefined ? OPAQUE : { kind: "host", host };
    }
    case "tool:invoke": {
      const tool = parseToolPattern(pattern);
      return tool === undefined ? OPAQUE : { kind: "tool", tool };
    }
    case "env:read":
      return ENV_NAME.test(pattern) ? { kind: "env", name: pattern } : OPAQUE;
    case "event:publish":
    case "event:subscribe":
    case "database:rw":
      return { kind: "carried" };
    default:
      return OPAQUE;
  }
}
