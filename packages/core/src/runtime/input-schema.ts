/**
 * JSON Schema 2020-12 of tools, compiled once when a tool is registered.
 *
 * SECURITY: a schema comes from an agent. Its size and depth are bounded, a `$ref` may only lead into the schema itself
 * (nothing is ever fetched), and patterns run on a linear-time engine, so that no input can make a pattern backtrack for
 * ever. Pinned by "a schema that …" in input-schema.test.ts.
 */
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { CoreError } from "@opensentience/protocol";
import { RE2JS } from "re2js";

/** Bytes of one schema as JSON. */
const MAX_SCHEMA_BYTES = 65_536;
const MAX_ISSUES = 10;

export type Issue = { path: string; rule: string };
/** The issues of a value, empty when it is valid. */
export type SchemaCheck = (value: unknown) => Issue[];

/** Throws `tool.invalid_schema` and `tool.schema_too_large`. */
export function compileSchema(schema: Record<string, unknown>): SchemaCheck {
  const text = JSON.stringify(schema);
  if (Buffer.byteLength(text) > MAX_SCHEMA_BYTES) {
    throw new CoreError("tool.schema_too_large", `the schema is over ${MAX_SCHEMA_BYTES} bytes`);
  }
  const foreign = foreignReference(schema);
  if (foreign !== undefined) {
    throw new CoreError("tool.invalid_schema", `${foreign} leads out of the schema; only "#…" is followed`);
  }
  let validate: ValidateFunction;
  try {
    // One instance per schema: the `$id` of one tool must not be a name in another's.
    const ajv = new Ajv2020({
      strict: false,
      allErrors: false,
      validateFormats: false,
      logger: false,
      code: { regExp: linearRegExp },
    });
    validate = ajv.compile(schema);
  } catch (error) {
    const reason = error instanceof Error ? error.message.slice(0, 200) : "it cannot be compiled";
    throw new CoreError("tool.invalid_schema", `the schema is not JSON Schema 2020-12: ${reason}`);
  }
  return (value) => {
    if (validate(value) === true) return [];
    return (validate.errors ?? [])
      .slice(0, MAX_ISSUES)
      .map((error) => ({ path: error.instancePath, rule: error.keyword }));
  };
}

/** What Ajv takes for a RegExp; the engine of RE2 has no backtracking, and so no back-references or look-around. */
function linearRegExp(pattern: string): { test: (text: string) => boolean } {
  const compiled = RE2JS.compile(pattern);
  return { test: (text) => compiled.matcher(text).find() };
}
linearRegExp.code = "linearRegExp";

function foreignReference(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  for (const [key, member] of Object.entries(value)) {
    const isReference = key === "$ref" || key === "$dynamicRef";
    if (isReference && typeof member === "string" && !member.startsWith("#")) return key;
    // Another base would make "#" mean another document.
    if (key === "$id" || key === "$schema") continue;
    const found = foreignReference(member);
    if (found !== undefined) return found;
  }
  return undefined;
}
