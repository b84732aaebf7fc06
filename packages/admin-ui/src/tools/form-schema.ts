/**
 * The part of a tool's schema that a form is made of. The schema is the agent's: its texts are shown as text with what
 * hides made visible, and nothing of it is executed here, a regular expression included. Core checks the input.
 *
 * SECURITY: a pattern that backtracks for ever would hold the tab; pinned by "a form takes no pattern from an agent".
 */
import { safeText } from "@opensentience/protocol";
import type { RJSFSchema } from "@rjsf/utils";

type Json = Record<string, unknown>;

/** Keywords whose value is a schema, a list of schemas, or a table of schemas. */
const SCHEMA = new Set(["items", "additionalProperties", "not", "contains", "propertyNames"]);
const LISTS = new Set(["oneOf", "anyOf", "allOf", "prefixItems"]);
const TABLES = new Set(["properties", "$defs", "definitions"]);
const TEXTS = new Set(["title", "description"]);
const PLAIN = new Set([
  ...["type", "required", "const", "default", "$ref", "format", "readOnly"],
  ...["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"],
  ...["minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties"],
]);
/** Formats that a browser has an input for; with another one the form library gives up. */
const FORMATS = new Set(["date", "date-time", "time", "email", "uri"]);
const MAX_DEPTH = 32;

export function formSchema(schema: unknown): RJSFSchema {
  return copy(schema, undefined, 0) as RJSFSchema;
}

function copy(schema: unknown, name: string | undefined, depth: number): unknown {
  if (typeof schema !== "object" || schema === null || Array.isArray(schema) || depth > MAX_DEPTH)
    return typeof schema === "boolean" ? schema : {};
  const result: Json = {};
  for (const [key, value] of Object.entries(schema)) {
    if (TEXTS.has(key)) result[key] = typeof value === "string" ? safeText(value) : undefined;
    else if (SCHEMA.has(key)) result[key] = copy(value, undefined, depth + 1);
    else if (LISTS.has(key) && Array.isArray(value)) result[key] = value.map((one) => copy(one, undefined, depth + 1));
    else if (TABLES.has(key)) result[key] = table(value, key === "properties", depth + 1);
    else if (key === "enum" && Array.isArray(value)) Object.assign(result, choices(value));
    else if (key === "format") result[key] = FORMATS.has(String(value)) ? value : undefined;
    else if (PLAIN.has(key)) result[key] = value;
  }
  if (name !== undefined && result["title"] === undefined) result["title"] = safeText(name);
  return Object.fromEntries(Object.entries(result).filter(([, value]) => value !== undefined));
}

function table(schemas: unknown, areNamed: boolean, depth: number): Json {
  if (typeof schemas !== "object" || schemas === null) return {};
  return Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => [name, copy(schema, areNamed ? name : undefined, depth)]),
  );
}

/** A choice whose text would hide something is shown by its escaped text and stays the same value. */
function choices(values: unknown[]): Json {
  const isPlain = values.every((value) => typeof value !== "string" || safeText(value) === value);
  if (isPlain) return { enum: values };
  return { oneOf: values.map((value) => ({ const: value, title: safeText(String(value)) })) };
}
