/**
 * Which member of a value keeps it from fitting one of several alternatives. Core says only that none fits; a form shows one
 * of them, and whoever fills it in needs to know where. An aid, no judgement: what is refused stays Core's word. Pure.
 */
import { Validator } from "@cfworker/json-schema";
import { safeText } from "@opensentience/protocol";
import type { RJSFSchema } from "@rjsf/utils";
import type { InputError } from "./input-errors.ts";
import { withDefinitions } from "./schema-check.ts";

type Schema = RJSFSchema;
type Fault = { path: string[]; rule: string; text: string };

const DEFINITION = /^#\/(\$defs|definitions)\/(.+)$/;
const MISSING = /required property "(.*)"/;
/** They say only that something further inside is wrong, which says so itself. */
const OUTER = new Set([
  ...["properties", "additionalProperties", "items", "prefixItems", "$ref"],
  ...["allOf", "anyOf", "oneOf", "contains", "propertyNames", "false"],
]);

/** Who breaks one of these is meant for another alternative. */
const KIND = new Set(["type", "const", "enum"]);

/** The errors with those inside of alternatives behind them. `schema`: what `formSchema` made, which holds no pattern. */
export function withAlternatives(errors: readonly InputError[], schema: Schema, value: unknown): readonly InputError[] {
  return errors.flatMap((error) => {
    if (error.rule !== "anyOf" && error.rule !== "oneOf") return [error];
    const alternatives = schemaAt(schema, schema, error.path)?.[error.rule];
    if (!Array.isArray(alternatives)) return [error];
    const faults = nearest(alternatives.map((one) => faultsOf(one as Schema, schema, memberAt(value, error.path))));
    return [error, ...faults.map(({ path, ...fault }) => ({ path: [...error.path, ...path], ...fault }))];
  });
}

/** Of the alternative that the value comes nearest to: it is of its kind, and the fewest members are wrong. */
function nearest(all: Fault[][]): Fault[] {
  // More than one of them fits where only one may: no member is to blame.
  if (all.some((faults) => faults.length === 0)) return [];
  const ofItsKind = all.filter((faults) => faults.every(({ path, rule }) => path.length > 0 || !KIND.has(rule)));
  return ofItsKind.toSorted((a, b) => a.length - b.length)[0] ?? [];
}

function faultsOf(alternative: Schema, root: Schema, value: unknown): Fault[] {
  try {
    const { errors } = new Validator(withDefinitions(alternative, root), "2020-12", false).validate(value);
    const faults = errors.filter(({ keyword }) => !OUTER.has(keyword)).map(faultOf);
    // A member is told once, however many rules it breaks.
    return faults.filter(
      ({ path }, index) => faults.findIndex((one) => one.path.join("/") === path.join("/")) === index,
    );
  } catch {
    return [];
  }
}

function faultOf({
  instanceLocation,
  error,
  keyword,
}: {
  instanceLocation: string;
  error: string;
  keyword: string;
}): Fault {
  const path = instanceLocation
    .split("/")
    .slice(1)
    .map((part) => decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~"));
  const missing = keyword === "required" ? MISSING.exec(error)?.[1] : undefined;
  if (missing !== undefined) return { path: [...path, missing], rule: keyword, text: "This is missing." };
  return { path, rule: keyword, text: safeText(error) };
}

/** As it is sent: without the members that are undefined. */
function memberAt(value: unknown, path: readonly string[]): unknown {
  const member = path.reduce((at, part) => (at as Record<string, unknown> | null | undefined)?.[part], value);
  return member === undefined ? null : (JSON.parse(JSON.stringify(member)) as unknown);
}

function schemaAt(schema: Schema, root: Schema, path: readonly string[]): Schema | undefined {
  const [, place, name] = DEFINITION.exec(schema.$ref ?? "") ?? [];
  if (place !== undefined && name !== undefined) {
    const { $ref: _reference, ...rest } = schema;
    const target = (root[place] as Record<string, Schema> | undefined)?.[name];
    return target?.$ref === undefined && target !== undefined
      ? schemaAt({ ...target, ...rest }, root, path)
      : undefined;
  }
  const [first, ...more] = path;
  if (first === undefined) return schema;
  const inner =
    schema.properties !== undefined && Object.hasOwn(schema.properties, first)
      ? schema.properties[first]
      : schema.type === "array"
        ? schema.items
        : schema.additionalProperties;
  return typeof inner === "object" && !Array.isArray(inner) ? schemaAt(inner, root, more) : undefined;
}
