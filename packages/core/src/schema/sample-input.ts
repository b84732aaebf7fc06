/** An input that a tool's schema asks for at least: what is required, as small as its rules allow. */

type Schema = Record<string, unknown>;

const MAX_DEPTH = 8;

/** Best effort: a schema can ask for what only its author can make up. */
export function sampleInput(schema: Schema): Record<string, unknown> {
  const value = sample(schema, 0);
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

function sample(schema: unknown, depth: number): unknown {
  if (typeof schema !== "object" || schema === null || depth > MAX_DEPTH) return {};
  const rules = schema as Schema;
  for (const given of ["const", "default"]) if (given in rules) return rules[given];
  for (const list of ["examples", "enum"]) if (Array.isArray(rules[list])) return rules[list][0];
  for (const choice of ["oneOf", "anyOf"]) if (Array.isArray(rules[choice])) return sample(rules[choice][0], depth + 1);
  const type: unknown = Array.isArray(rules["type"]) ? rules["type"][0] : rules["type"];
  switch (type) {
    case "string":
      return "x".repeat(numberOf(rules["minLength"], 1));
    case "integer":
    case "number":
      return numberOf(rules["minimum"], numberOf(rules["exclusiveMinimum"], 0) + ("exclusiveMinimum" in rules ? 1 : 0));
    case "boolean":
      return false;
    case "null":
      return null;
    case "array":
      return Array.from({ length: numberOf(rules["minItems"], 0) }, () => sample(rules["items"], depth + 1));
    default:
      return sampleObject(rules, depth);
  }
}

function sampleObject(rules: Schema, depth: number): Record<string, unknown> {
  const properties = (rules["properties"] ?? {}) as Record<string, unknown>;
  const required = Array.isArray(rules["required"]) ? rules["required"].map(String) : [];
  return Object.fromEntries(required.map((name) => [name, sample(properties[name], depth + 1)]));
}

function numberOf(value: unknown, otherwise: number): number {
  return typeof value === "number" && Number.isFinite(value) ? value : otherwise;
}
