/**
 * The words of a transcript: what one side says and what it must hear, as data (packages/protocol/conformance/*.json).
 *
 * In a pattern an object names the members that matter, and a text that begins with `$` stands for something: `$string`,
 * `$number`, `$any`, `$absent` for what may be there; every other `$name` for a value of the play (`$case`, `$agent_id`).
 */
import { z } from "zod";

const message = z.looseObject({ type: z.string(), payload: z.record(z.string(), z.unknown()) });
const pattern = z.record(z.string(), z.unknown());

/** One step; a step has exactly the keys of one line. */
const step = z.union([
  /** One message, whole, or cut at every byte, or cut inside every character. */
  z.strictObject({
    send: message,
    as: z.enum(["whole", "bytes", "characters"]).optional(),
    padded_to: z.int().optional(),
  }),
  /** Several messages in one write. */
  z.strictObject({ send_together: z.array(message) }),
  /** Bytes in hex, as they are. */
  z.strictObject({ raw: z.string().regex(/^([0-9a-f]{2})*$/) }),
  /** The answer to the hello, and from then on the session. */
  z.strictObject({ welcome: z.record(z.string(), z.unknown()) }),
  /**
   * The next message with this type, in_reply_to and call_id: it must fit the rest of the pattern, and `and`.
   * `first`: nothing came before it. `any`: others of its kind may come before the one that fits.
   */
  z.strictObject({
    expect: pattern,
    and: pattern.optional(),
    first: z.literal(true).optional(),
    any: z.literal(true).optional(),
  }),
  /** Nothing like this came behind what was expected last. */
  z.strictObject({ absent: pattern, barrier: z.literal(false).optional() }),
  /** The pieces of a call's stream, so many, in order, before its result. */
  z.strictObject({ stream: z.string(), pieces: z.int() }),
  z.strictObject({ heartbeats: z.int(), like: pattern }),
  /** A ping is answered. */
  z.strictObject({ lives: z.literal(true) }),
  /** This side closes the connection. */
  z.strictObject({ close: z.literal(true) }),
  z.strictObject({ exits: z.enum(["any", "nonzero"]) }),
  /** A look at everything that came in so far. */
  z.strictObject({ judge: z.enum(["definitions", "envelopes", "ids", "token"]) }),
]);

const agentCase = z.strictObject({
  name: z.string(),
  /** What an agent that passes does. */
  says: z.string(),
  /** `raw`: begins with the agent's hello. `open`: hands are shaken and tools registered. */
  start: z.enum(["raw", "open"]),
  /** Has a session of its own, because it ends the session. */
  own: z.boolean().optional(),
  /** Only for agents whose hello names it. */
  capability: z.string().optional(),
  /** Only for agents that register this tool; `*` is whatever tool can be called. */
  tool: z.string().optional(),
  steps: z.array(step),
});

export type Step = z.infer<typeof step>;
export type AgentCase = z.infer<typeof agentCase>;
export type Values = Readonly<Record<string, unknown>>;

/** The cases of one fixture file. */
export function parseAgentCases(fixture: unknown): AgentCase[] {
  return z.strictObject({ about: z.string(), cases: z.array(agentCase) }).parse(fixture).cases;
}

/** The same with every `$name` of `values` replaced: whole texts by the value, inside a text by its text. */
export function filled<T>(template: T, values: Values): T {
  return fill(template, values) as T;
}

function fill(template: unknown, values: Values): unknown {
  if (typeof template === "string") return fillText(template, values);
  if (Array.isArray(template)) return template.map((one) => fill(one, values));
  if (typeof template !== "object" || template === null) return template;
  return Object.fromEntries(Object.entries(template).map(([key, value]) => [key, fill(value, values)]));
}

function fillText(text: string, values: Values): unknown {
  if (text.startsWith("$") && Object.hasOwn(values, text.slice(1))) return values[text.slice(1)];
  return text.replaceAll(/\$([a-z_]+)/g, (whole, name: string) =>
    Object.hasOwn(values, name) ? String(values[name]) : whole,
  );
}

/** Where and how `actual` is not what `expected` describes; undefined when it is. */
export function mismatch(expected: unknown, actual: unknown, path = ""): string | undefined {
  const where = path === "" ? "the message" : path;
  if (typeof expected === "string" && expected.startsWith("$")) return mismatchOfKind(expected, actual, where);
  if (typeof expected !== "object" || expected === null) {
    return Object.is(expected, actual) ? undefined : `${where} is ${shown(actual)}, not ${shown(expected)}`;
  }
  if (Array.isArray(expected)) {
    return JSON.stringify(expected) === JSON.stringify(actual) ? undefined : `${where} is ${shown(actual)}`;
  }
  const special = mismatchOfSpecial(expected as Record<string, unknown>, actual, where);
  if (special !== undefined) return special.problem;
  if (typeof actual !== "object" || actual === null) return `${where} is ${shown(actual)}, not an object`;
  for (const [key, value] of Object.entries(expected)) {
    const problem = mismatch(value, (actual as Record<string, unknown>)[key], path === "" ? key : `${path}.${key}`);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function mismatchOfKind(kind: string, actual: unknown, where: string): string | undefined {
  switch (kind) {
    case "$any":
      return undefined;
    case "$absent":
      return actual === undefined ? undefined : `${where} is there, ${shown(actual)}`;
    case "$string":
      return typeof actual === "string" && actual !== "" ? undefined : `${where} is ${shown(actual)}, not a text`;
    case "$number":
      return typeof actual === "number" && actual >= 0 ? undefined : `${where} is ${shown(actual)}, not a number`;
    default:
      return kind === actual ? undefined : `${where} is ${shown(actual)}, not ${shown(kind)}`;
  }
}

function mismatchOfSpecial(
  expected: Record<string, unknown>,
  actual: unknown,
  where: string,
): { problem: string | undefined } | undefined {
  if ("$has" in expected) {
    const has = Array.isArray(actual) && actual.includes(expected["$has"]);
    return { problem: has ? undefined : `${where} has no ${shown(expected["$has"])}` };
  }
  if ("$first" in expected) {
    return { problem: mismatch(expected["$first"], Array.isArray(actual) ? actual[0] : undefined, `${where}[0]`) };
  }
  if ("$length" in expected) {
    const length = typeof actual === "string" ? actual.length : undefined;
    return { problem: length === expected["$length"] ? undefined : `${where} has length ${length ?? "none"}` };
  }
  if (Array.isArray(expected["$one_of"])) {
    const among = expected["$one_of"].includes(actual);
    return { problem: among ? undefined : `${where} is ${shown(actual)}` };
  }
  return undefined;
}

/** A value in a few words. */
export function shown(value: unknown): string {
  const text = value === undefined ? "missing" : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
