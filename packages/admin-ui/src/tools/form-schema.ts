/**
 * The part of a tool's schema that a form is made of. The schema is the agent's: its texts are shown as text with what
 * hides made visible, and nothing of it is executed here, a regular expression included. Core checks the input.
 *
 * Where a schema allows what no field of a form can hold (any value, members of any name, a shape that depends on another
 * member), the field takes JSON; where that is the whole of it, so does the form. Nothing that Core would accept is out of reach.
 *
 * SECURITY: a pattern that backtracks for ever would hold the tab; pinned by "a form takes no pattern from an agent".
 */
import { safeText } from "@opensentience/protocol";
import type { RJSFSchema } from "@rjsf/utils";
import { isOffered } from "./default-value.ts";

type Json = Record<string, unknown>;

/** The form library draws a schema of this id with the field of that name. */
export const JSON_FIELD = "json";

/** Keywords whose value is a schema, a list of schemas, or a table of schemas. */
const SCHEMA = new Set(["items", "additionalProperties", "not", "contains", "propertyNames"]);
const LISTS = new Set(["oneOf", "anyOf", "allOf"]);
const TABLES = new Set(["properties", "$defs", "definitions"]);
const TEXTS = new Set(["title", "description"]);
const PLAIN = new Set([
  ...["type", "required", "const", "default", "$ref", "format", "readOnly", "contentMediaType"],
  ...["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"],
  ...["minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties"],
]);
/** With one of them what a value may be depends on more than a field shows. */
const NO_FORM = ["patternProperties", "prefixItems", "if", "dependentSchemas", "dependencies", "unevaluatedItems"];
const SHAPES = ["properties", "enum", "const", "oneOf", "anyOf", "allOf", "$ref"];
const DEFINITION = /^#\/(\$defs|definitions)\/([^/~%]+)$/;
/** Formats that a browser has an input for; with another one the form library gives up. */
const FORMATS = new Set(["date", "date-time", "time", "email", "uri"]);
const MAX_DEPTH = 32;
/** A text that may be longer gets room for lines. */
const ONE_LINE = 120;

export function formSchema(schema: unknown): RJSFSchema {
  const root = isObject(schema) ? schema : {};
  return copy(schema, { root, name: undefined, depth: 0 }) as RJSFSchema;
}

/** False where the whole input has to be written as JSON. */
export function isForm(schema: RJSFSchema): boolean {
  return schema.$id !== JSON_FIELD;
}

/** Whether a text deserves more than one line: it may be long, is of some document type, or has lines already. */
export function isLongText(
  schema: Pick<RJSFSchema, "type" | "maxLength" | "contentMediaType">,
  value: unknown,
): boolean {
  const { type, maxLength, contentMediaType } = schema;
  // Numbers have the same field.
  if (![type].flat().includes("string")) return false;
  if (contentMediaType !== undefined || maxLength === undefined || maxLength > ONE_LINE) return true;
  return typeof value === "string" && value.includes("\n");
}

type Place = { root: Json; name: string | undefined; depth: number };

function copy(given: unknown, place: Place): unknown {
  const { root, name } = place;
  if (!isObject(given) || place.depth > MAX_DEPTH) return given === false ? false : jsonField({}, name);
  const schema = isOffered(given, root) ? given : { ...given, default: undefined };
  if (place.depth > 0 || NO_FORM.some((key) => key in schema)) {
    if (!hasField(schema, root)) return jsonField(schema, name);
  }
  const inner = { root, name: undefined, depth: place.depth + 1 };
  const result: Json = {};
  for (const [key, value] of Object.entries(schema)) {
    if (TEXTS.has(key)) result[key] = typeof value === "string" ? safeText(value) : undefined;
    else if (SCHEMA.has(key)) result[key] = typeof value === "boolean" ? value : copy(value, inner);
    else if (LISTS.has(key) && Array.isArray(value)) result[key] = value.map((one) => copy(one, inner));
    else if (TABLES.has(key)) result[key] = table(value, key === "properties", inner);
    else if (key === "enum" && Array.isArray(value)) Object.assign(result, choices(value));
    else if (key === "format") result[key] = FORMATS.has(String(value)) ? value : undefined;
    else if (PLAIN.has(key)) result[key] = value;
  }
  if (name !== undefined && result["title"] === undefined) result["title"] = safeText(name);
  return Object.fromEntries(Object.entries(result).filter(([, value]) => value !== undefined));
}

function table(schemas: unknown, areNamed: boolean, place: Place): Json {
  if (!isObject(schemas)) return {};
  return Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => [
      name,
      copy(schema, { ...place, name: areNamed ? name : undefined }),
    ]),
  );
}

/** Whether a field of the form library can hold every value that the schema allows. */
function hasField(schema: Json, root: Json): boolean {
  if (NO_FORM.some((key) => key in schema)) return false;
  const { type, $ref: reference } = schema;
  if (reference !== undefined) return isDefined(reference, root);
  if (Array.isArray(type) && type.filter((one) => one !== "null").length > 1) return false;
  const types = Array.isArray(type) ? type : [type];
  if (types.includes("object")) return SHAPES.some((key) => key in schema) || isObject(schema["additionalProperties"]);
  if (types.includes("array")) return isObject(schema["items"]);
  return type !== undefined || SHAPES.some((key) => key in schema);
}

function isDefined(reference: unknown, root: Json): boolean {
  const [, place = "", name = ""] = DEFINITION.exec(String(reference)) ?? [];
  const definitions = root[place];
  return isObject(definitions) && Object.hasOwn(definitions, name);
}

function jsonField({ title, description, default: value }: Json, name: string | undefined): Json {
  const shown = typeof title === "string" ? title : name;
  return {
    $id: JSON_FIELD,
    ...(shown === undefined ? {} : { title: safeText(shown) }),
    ...(typeof description === "string" ? { description: safeText(description) } : {}),
    ...(value === undefined ? {} : { default: value }),
  };
}

/** A choice whose text would hide something is shown by its escaped text and stays the same value; so is one that is no text. */
function choices(values: unknown[]): Json {
  const isPlain = values.every((value) => !isNested(value) && (typeof value !== "string" || safeText(value) === value));
  if (isPlain) return { enum: values };
  return {
    oneOf: values.map((value) => ({
      const: value,
      title: safeText(isNested(value) ? JSON.stringify(value) : String(value)),
    })),
  };
}

function isNested(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
