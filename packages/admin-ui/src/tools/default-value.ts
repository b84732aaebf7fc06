/**
 * The `default` of a schema, which a form begins with. What is prefilled is sent, so only a value that its field can show is
 * taken: one of the right type and choice, without text that hides something and without members that no field stands for.
 * Everything else that a schema asks for (a length, a pattern, a range) is Core's to check, and is said by the field.
 */
import { safeText } from "@opensentience/protocol";

type Json = Record<string, unknown>;
/** `left`: what may still be looked at. */
type Budget = { left: number };

/** SECURITY: alternatives that refer to each other would be looked at for ever; pinned by "a default is judged soon". */
const MOST_LOOKS = 1_000;
const DEFINITION = /^#\/(\$defs|definitions)\/([^/~%]+)$/;
/** A browser shows an empty field for what is not of these. */
const FORMATS: Readonly<Record<string, RegExp>> = {
  date: /^\d{4}-\d\d-\d\d$/,
  time: /^\d\d:\d\d(:\d\d)?$/,
  "date-time": /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/,
};

/** Whether the field of `schema` begins with its default. `root` has its definitions. */
export function isOffered(schema: Json, root: Json): boolean {
  const { default: value } = schema;
  return value !== undefined && isPlain(value) && fits(value, schema, root, { left: MOST_LOOKS });
}

/** Where the whole input is JSON: what its author begins with. */
export function presetInput(schema: unknown): Json {
  if (!isObject(schema)) return {};
  const preset = presetOf(schema, schema);
  return isObject(preset) ? preset : {};
}

function presetOf(schema: unknown, root: Json): unknown {
  if (!isObject(schema)) return undefined;
  const own = isOffered(schema, root) ? schema["default"] : undefined;
  if (!isObject(schema["properties"]) || (own !== undefined && !isObject(own))) return own;
  const members = Object.entries(schema["properties"]).flatMap(([name, property]) => {
    const value = isShown(name) ? presetOf(property, root) : undefined;
    return value === undefined ? [] : [[name, value] as const];
  });
  return own === undefined && members.length === 0 ? undefined : { ...Object.fromEntries(members), ...own };
}

function fits(value: unknown, schema: unknown, root: Json, budget: Budget): boolean {
  if (--budget.left < 0 || schema === false) return false;
  if (!isObject(schema)) return schema === true;
  const also = (inner: unknown): boolean => fits(value, inner, root, budget);
  const { $ref: reference, type, format, allOf, anyOf, oneOf } = schema;
  if (reference !== undefined && !also(definitionOf(reference, root))) return false;
  if (type !== undefined && ![type].flat().some((one) => isOfType(value, one))) return false;
  if (typeof value === "string" && FORMATS[String(format)]?.test(value) === false) return false;
  const choices = "const" in schema ? [schema["const"]] : schema["enum"];
  if (Array.isArray(choices) && !choices.some((one) => JSON.stringify(one) === JSON.stringify(value))) return false;
  if (Array.isArray(allOf) && !allOf.every(also)) return false;
  if ([anyOf, oneOf].some((list) => Array.isArray(list) && !list.some(also))) return false;
  if (Array.isArray(value)) {
    const { items = true } = schema;
    return value.every((one) => fits(one, items, root, budget));
  }
  return !isObject(value) || haveFields(value, schema, root, budget);
}

/** A member that the schema does not name has no field, and would be sent without being shown. */
function haveFields(value: Json, schema: Json, root: Json, budget: Budget): boolean {
  const { properties, additionalProperties: others } = schema;
  const isOpen = properties === undefined || "patternProperties" in schema;
  return Object.entries(value).every(([name, member]) => {
    if (isObject(properties) && Object.hasOwn(properties, name)) return fits(member, properties[name], root, budget);
    return isObject(others) ? fits(member, others, root, budget) : isOpen && others !== false;
  });
}

function definitionOf(reference: unknown, root: Json): unknown {
  const [, place = "", name = ""] = DEFINITION.exec(String(reference)) ?? [];
  const definitions = root[place];
  return isObject(definitions) && Object.hasOwn(definitions, name) ? definitions[name] : false;
}

function isOfType(value: unknown, type: unknown): boolean {
  if (type === "integer") return Number.isInteger(value);
  if (type === "null") return value === null;
  if (type === "array") return Array.isArray(value);
  return type === "object" ? isObject(value) : typeof value === type;
}

/** Whether all its texts show all that they hold. */
function isPlain(value: unknown): boolean {
  if (typeof value === "string") return isShown(value.replace(/[\n\t]/g, ""));
  if (typeof value !== "object" || value === null) return true;
  return Object.entries(value).every(([name, inner]) => isShown(name) && isPlain(inner));
}

function isShown(text: string): boolean {
  return safeText(text) === text;
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
