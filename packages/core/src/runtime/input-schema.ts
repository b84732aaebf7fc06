/**
 * JSON Schema 2020-12 of tools: compiled once when a tool is registered, run against every input and output.
 *
 * SECURITY: a schema comes from an agent, and what it does to Core's one thread concerns every other agent. Its size is
 * bounded; a `$ref` leads only to the schema itself or one of its `$defs` (nothing is fetched); patterns run on an engine
 * without backtracking; and every step of a check is counted, so that a schema that grows exponentially with its input (two
 * references to itself side by side are enough) or compares everything with everything ends at MAX_STEPS with an error.
 * Pinned by "a schema that …" in input-schema.test.ts.
 */
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { CoreError, MAX_SCHEMA_BYTES } from "@opensentience/protocol";
import { RE2JS } from "re2js";

/** Subschemas and their own entries that one check may look at: some 20 ms. */
const MAX_STEPS = 1_000_000;
/** What a pattern costs, in such steps. */
const CALL_STEPS = 50;
const CHARACTER_STEPS = 5;
/** Patterns of one schema: each is compiled. */
const MAX_PATTERNS = 100;
const MAX_ISSUES = 10;
const COST = "x-opensentience-cost";

/** Where a value breaks the schema: a JSON pointer (RFC 6901) and the keyword. */
export type Issue = { path: string; rule: string };
/** The issues of a value, empty when it is valid. */
export type SchemaCheck = (value: unknown) => Issue[];

class TooCostly extends Error {}

/** Schemas after which a compiler is replaced: Ajv keeps a little of each. */
const MAX_COMPILED = 2_000;
let shared: SchemaCompiler | undefined;

/** One for all sessions: its own schemas cost a megabyte. */
export function sharedCompiler(): SchemaCompiler {
  if (shared === undefined || shared.compiled > MAX_COMPILED) shared = new SchemaCompiler();
  return shared;
}

export class SchemaCompiler {
  compiled = 0;
  readonly #ajv: Ajv2020;
  #steps = 0;
  #patterns = 0;

  constructor() {
    this.#ajv = new Ajv2020({
      strict: false,
      validateFormats: false,
      logger: false,
      code: { regExp: Object.assign((pattern: string) => this.#linearRegExp(pattern), { code: "linearRegExp" }) },
    });
    this.#ajv.addKeyword({
      keyword: COST,
      schemaType: "number",
      validate: (cost: number) => {
        this.#spend(cost);
        return true;
      },
    });
    this.#ajv.removeKeyword("uniqueItems");
    this.#ajv.addKeyword({
      keyword: "uniqueItems",
      type: "array",
      schemaType: "boolean",
      // Ajv's own compares every item with every other.
      validate: (wanted: boolean, items: unknown[]) =>
        !wanted || new Set(items.map((item) => canonical(item, (cost) => this.#spend(cost)))).size === items.length,
    });
  }

  /** Throws `tool.invalid_schema` and `tool.schema_too_large`. */
  compile(schema: Record<string, unknown>): SchemaCheck {
    if (Buffer.byteLength(JSON.stringify(schema)) > MAX_SCHEMA_BYTES) {
      throw new CoreError("tool.schema_too_large", `the schema is over ${MAX_SCHEMA_BYTES} bytes`);
    }
    const validate = this.#compiled(schema);
    return (value) => {
      this.#steps = 0;
      try {
        if (validate(value) === true) return [];
      } catch (error) {
        // RangeError: a schema that refers to itself without going down into the value.
        if (error instanceof TooCostly || error instanceof RangeError)
          return [{ path: "", rule: "too costly to check" }];
        throw error;
      }
      const issues = (validate.errors ?? []).filter(({ keyword }) => keyword !== COST);
      return issues.slice(0, MAX_ISSUES).map(({ instancePath, keyword }) => ({ path: instancePath, rule: keyword }));
    };
  }

  #compiled(schema: Record<string, unknown>): ValidateFunction {
    this.compiled += 1;
    const own = priced(schema) as Record<string, unknown>;
    [this.#steps, this.#patterns] = [0, 0];
    try {
      return this.#ajv.compile(own);
    } catch (error) {
      const isCostly = error instanceof TooCostly || error instanceof RangeError;
      const reason = isCostly ? "it is too costly to check" : error instanceof Error ? error.message.slice(0, 200) : "";
      throw new CoreError("tool.invalid_schema", `the schema is not JSON Schema 2020-12: ${reason}`);
    } finally {
      this.#ajv.removeSchema(own);
    }
  }

  #spend(cost: number): void {
    this.#steps += cost;
    if (this.#steps > MAX_STEPS) throw new TooCostly();
  }

  /** What Ajv takes for a RegExp. The engine is RE2's: no backtracking, and so no back-references and no look-around. */
  #linearRegExp(pattern: string): { test: (text: string) => boolean; toString: () => string } {
    this.#patterns += 1;
    if (this.#patterns > MAX_PATTERNS) throw new Error(`it has more than ${MAX_PATTERNS} patterns`);
    const expression = RE2JS.compile(pattern);
    return {
      test: (text) => {
        this.#spend(CALL_STEPS + CHARACTER_STEPS * text.length);
        return expression.test(text);
      },
      // Ajv knows a compiled pattern by this name: without one all patterns would be the first.
      toString: () => `/${pattern}/`,
    };
  }
}

/** Equal values, and only they, have equal texts. */
function canonical(value: unknown, spend: (cost: number) => void): string {
  spend(1);
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item, spend)).join()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(([key, member]) => `${JSON.stringify(key)}:${canonical(member, spend)}`);
  return `{${members.toSorted().join()}}`;
}

const MAPS = new Set(["properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"]);
const LISTS = new Set(["allOf", "anyOf", "oneOf", "prefixItems"]);
const SINGLE = new Set(
  "items additionalItems additionalProperties unevaluatedItems unevaluatedProperties contains propertyNames not if then else".split(
    " ",
  ),
);

/** A copy in which every subschema names its own price. Throws `tool.invalid_schema` for a reference that leads elsewhere. */
function priced(schema: unknown): unknown {
  if (typeof schema !== "object" || schema === null || Array.isArray(schema)) return schema;
  const copy: Record<string, unknown> = {};
  let cost = 1;
  for (const [key, value] of Object.entries(schema)) {
    cost += sizeOf(value);
    if (key === "$ref") copy[key] = ownReference(value);
    else if (["$dynamicRef", "$recursiveRef", "$anchor", "$dynamicAnchor"].includes(key)) throw foreign(key);
    // SECURITY: `$async` is Ajv's own: a check that answers later passes everything, and its failure would stop Core. Pinned by
    // "a schema that would be checked later is checked at once, and Core goes on".
    else if (key === "$id" || key === "$async" || key === COST) continue;
    else if (MAPS.has(key) && isObject(value)) {
      copy[key] = Object.fromEntries(Object.entries(value).map(([name, member]) => [name, priced(member)]));
    } else if (LISTS.has(key) && Array.isArray(value)) copy[key] = value.map(priced);
    else if (SINGLE.has(key)) copy[key] = priced(value);
    else copy[key] = value;
  }
  return { ...copy, [COST]: cost };
}

/** Entries that the keyword itself looks at, whatever the value. */
function sizeOf(value: unknown): number {
  if (Array.isArray(value)) return value.length;
  return isObject(value) ? Object.keys(value).length : 1;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function ownReference(value: unknown): unknown {
  if (typeof value === "string" && /^#(?:\/(?:\$defs|definitions)\/[^/]+)?$/.test(value)) return value;
  throw foreign("$ref");
}

function foreign(key: string): CoreError {
  return new CoreError("tool.invalid_schema", `${key} may only be a $ref to "#" or "#/$defs/NAME"`);
}
