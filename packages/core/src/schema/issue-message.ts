/**
 * What is said of a value that breaks a keyword.
 *
 * SECURITY: an input or output may hold what nobody else is to read, and a message ends on screens and in logs: it has names
 * of members, types, and what the schema itself says, never what the value holds.
 * Pinned by "says what is wrong in words, and nothing of what the value holds".
 */

/** Characters of a name, a pattern or a list that a message quotes. */
const MAX_QUOTED = 100;
const MAX_LISTED = 10;

const BOUNDS: Readonly<Record<string, (limit: string) => string>> = {
  minimum: (limit) => `must be at least ${limit}`,
  maximum: (limit) => `must be at most ${limit}`,
  exclusiveMinimum: (limit) => `must be above ${limit}`,
  exclusiveMaximum: (limit) => `must be below ${limit}`,
  multipleOf: (limit) => `must be a multiple of ${limit}`,
  minLength: (limit) => `is too short: it must have at least ${limit} characters`,
  maxLength: (limit) => `is too long: it may have at most ${limit} characters`,
  minItems: (limit) => `must have at least ${limit} items`,
  maxItems: (limit) => `may have at most ${limit} items`,
  minProperties: (limit) => `must have at least ${limit} members`,
  maxProperties: (limit) => `may have at most ${limit} members`,
  contains: (limit) => `must have at least ${limit} items of the kind that its schema asks for`,
  maxContains: (limit) => `may have at most ${limit} items of the kind that its schema asks for`,
  pattern: (source) => `does not match the pattern ${source}`,
};

const OTHERS: Readonly<Record<string, string>> = {
  uniqueItems: "holds an item twice",
  anyOf: "fits none of the alternatives",
  oneOf: "must fit exactly one of the alternatives",
  not: "is what its schema excludes",
  dependencies: "is missing, and another member needs it",
};

/** One sentence: where, and what is wrong there. `path` is a JSON pointer; `expected` is what the keyword asks for. */
export function issueMessage(path: string, rule: string, expected: unknown, value: unknown): string {
  return `${subject(path)} ${predicate(rule, expected, value)}`;
}

function predicate(rule: string, expected: unknown, value: unknown): string {
  const bound = Object.hasOwn(BOUNDS, rule) ? BOUNDS[rule] : undefined;
  if (bound !== undefined) return bound(clipped(String(expected)));
  switch (rule) {
    case "type":
      return `must be ${typesIn(expected)}, not ${typeOfValue(value)}`;
    case "required":
      return expected === undefined ? "is missing" : `is missing; it must be ${typesIn(expected)}`;
    case "dependentRequired":
      return `is missing, and "${clipped(String(expected))}" needs it`;
    case "enum":
    case "const":
      return Array.isArray(expected) ? `must be ${listed(expected)}` : "must be one of the listed values";
    default:
      return (Object.hasOwn(OTHERS, rule) ? OTHERS[rule] : undefined) ?? unexpected(expected);
  }
}

function unexpected(known: unknown): string {
  const names = known instanceof Map ? [...(known as Map<string, unknown>).keys()] : [];
  return `is not expected${names.length === 0 ? "" : `; known: ${several(names.map((name) => `"${clipped(name)}"`))}`}`;
}

/** A member of the value itself by its name, a deeper one by its pointer. */
function subject(path: string): string {
  if (path === "") return "it";
  const isDeep = path.indexOf("/", 1) !== -1;
  return `"${clipped(isDeep ? path : path.slice(1).replaceAll("~1", "/").replaceAll("~0", "~"))}"`;
}

function listed(values: readonly unknown[]): string {
  return `${values.length === 1 ? "" : "one of "}${several(values.map((one) => clipped(JSON.stringify(one))))}`;
}

function several(texts: readonly string[]): string {
  const shown = texts.slice(0, MAX_LISTED).join(", ");
  return texts.length > MAX_LISTED ? `${shown} and ${texts.length - MAX_LISTED} more` : shown;
}

function typesIn(types: unknown): string {
  return (Array.isArray(types) ? types : [types]).map((name) => typeNamed(clipped(String(name)))).join(" or ");
}

function typeOfValue(value: unknown): string {
  if (value === null) return "null";
  return typeNamed(Array.isArray(value) ? "array" : typeof value);
}

function typeNamed(name: string): string {
  if (name === "null") return name;
  return `${/^[aio]/.test(name) ? "an" : "a"} ${name}`;
}

function clipped(text: string): string {
  return text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text;
}
