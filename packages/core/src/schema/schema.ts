/**
 * JSON Schema 2020-12, as far as a tool's input and output need it: made into checks once, run against every value.
 *
 * It makes no code and fetches nothing. Each keyword becomes a function that knows its parts; a reference leads only to a
 * subschema of the same schema. What annotates (`title`, `format`, `default`, what is not known) is ignored.
 *
 * SECURITY: a schema comes from an agent, and what it does to Core's one thread concerns every other agent. Its size is
 * bounded; patterns run on an engine without backtracking (linear-pattern.ts); and every step of a check is counted, so that
 * a schema that grows exponentially with its input (two references to itself side by side are enough) or compares everything
 * with everything ends with an error (schema-run.ts). Pinned by "a schema that …" in schema.test.ts.
 *
 * Refuses: schemas over 64 KiB, keywords whose value is not what the standard says, references that lead elsewhere, and what
 * gives subschemas names of their own (`$anchor`, `$dynamicRef`, `$id` below the top). Callers: runtime (tool-catalog.ts); for an input that a schema
 * takes (sample-input.ts), web and conformance.
 */
import { CoreError } from "@opensentience/protocol";
import { sizeOfJson } from "./equal-json.ts";
import { Patterns } from "./linear-pattern.ts";
import type { Applicator, Maker, Schema } from "./applicator.ts";
import { CHILDREN, UNEVALUATED } from "./child-applicators.ts";
import { all, IN_PLACE } from "./in-place-applicators.ts";
import { aText, ASSERTIONS, InvalidKeyword, isObject, type Check } from "./schema-assertions.ts";
import { SchemaPlace, type Made } from "./schema-place.ts";
import { asPointerPart, Run, Seen, TooCostly, type Issue } from "./schema-run.ts";

export { sampleInput } from "./sample-input.ts";
export type { Issue } from "./schema-run.ts";

/** Bytes of one schema as JSON. */
const MAX_SCHEMA_BYTES = 65_536;
const TOO_COSTLY: Issue = { path: "", rule: "too costly to check", message: "it is too costly to check" };
const REFUSED = ["$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef", "$recursiveAnchor"];
/** Drafts whose schemas mean the same here, or are refused for what they mean otherwise. */
const DIALECT = /^https?:\/\/json-schema\.org\/(?:draft\/20(?:19-09|20-12)|draft-0[67])\/schema#?$/;

/** What one more of these takes in memory, in what a subschema does: half a kilobyte. */
const LISTED_VALUE = 1 / 8;
const INSTRUCTION = 1 / 2;
const CHARACTER = 1 / 512;
/** Keywords whose values are kept as they stand. */
const LISTING = new Set(["enum", "const", "required", "dependentRequired", "dependencies"]);

/** Of one schema; `size` in memory, in half kilobytes. */
export type CompiledSchema = {
  /** The issues of a value, empty when it is valid; each at most once, at most ten. */
  issuesOf: (value: unknown) => Issue[];
  size: number;
};

/** Throws `tool.invalid_schema` and `tool.schema_too_large`. */
export function compileSchema(schema: Record<string, unknown>): CompiledSchema {
  const json = JSON.stringify(schema);
  if (Buffer.byteLength(json) > MAX_SCHEMA_BYTES) {
    throw new CoreError("tool.schema_too_large", `the schema is over ${MAX_SCHEMA_BYTES} bytes`);
  }
  const compiler = new Compiler();
  const check = compiler.compile(schema);
  return { issuesOf: (value) => issuesOf(value, check), size: compiler.size + json.length * CHARACTER };
}

function issuesOf(value: unknown, check: Check): Issue[] {
  const run = new Run();
  try {
    if (check(value, run, undefined)) return [];
  } catch (error) {
    // RangeError: a schema that refers to itself without going down into the value.
    if (error instanceof TooCostly || error instanceof RangeError) return [TOO_COSTLY];
    throw error;
  }
  return run.issues;
}

class Compiler {
  readonly #top = new SchemaPlace({ check: NEVER });
  readonly #references: { from: SchemaPlace; to: string; target: Made }[] = [];
  readonly #patterns = new Patterns();
  #subschemas = 0;
  #listed = 0;

  get size(): number {
    return this.#subschemas + this.#listed * LISTED_VALUE + this.#patterns.instructions * INSTRUCTION;
  }

  compile(schema: unknown): Check {
    const check = this.#make(schema, this.#top);
    for (const { from, to, target } of this.#references) {
      const place = this.#top.find(to);
      if (place === undefined) throw invalid(from, "$ref", "leads to no schema of this one");
      target.check = place.made.check;
    }
    this.#top.forget();
    return check;
  }

  #make(schema: unknown, place: SchemaPlace): Check {
    this.#subschemas += 1;
    place.made.check = this.#checkOf(schema, place);
    return place.made.check;
  }

  #below(schema: unknown, part: string, place: SchemaPlace): Check {
    return this.#make(schema, place.add(part, { check: NEVER }));
  }

  #checkOf(schema: unknown, place: SchemaPlace): Check {
    if (schema === true) return ALWAYS;
    if (schema === false) return NEVER;
    if (!isObject(schema)) throw invalid(place, "it", "must be an object, true or false");
    const refused = REFUSED.find((name) => Object.hasOwn(schema, name));
    if (refused !== undefined) throw invalid(place, refused, "is not supported; write a $ref to #/$defs/NAME");
    if (!place.isTop && Object.hasOwn(schema, "$id")) throw invalid(place, "$id", "may only stand at the top");
    const { $schema: dialect } = schema;
    if (dialect !== undefined && !(typeof dialect === "string" && DIALECT.test(dialect)))
      throw invalid(place, "$schema", "names no draft that is understood; leave it out");
    this.#definitions(schema, place);
    const maker = this.#makerAt(place);
    const { checks, steps } = this.#assertions(schema, place);
    checks.push(...applied(APPLICATORS, schema, maker, place));
    return together(checks, steps + checks.length, applied(LAST_APPLICATORS, schema, maker, place));
  }

  #assertions(schema: Record<string, unknown>, place: SchemaPlace): { checks: Check[]; steps: number } {
    const checks: Check[] = [];
    let steps = 1;
    for (const [keyword, value] of Object.entries(schema)) {
      const make = Object.hasOwn(ASSERTIONS, keyword) ? ASSERTIONS[keyword] : undefined;
      const assertion =
        make === undefined ? undefined : told(place, keyword, () => make(value, this.#patterns, schema));
      if (assertion === undefined) continue;
      checks.push(assertion.check);
      if (LISTING.has(keyword)) this.#listed += sizeOfJson(value);
      steps += assertion.steps ?? 0;
    }
    return { checks, steps };
  }

  /** Schemas that only references lead to; they must be schemas all the same. */
  #definitions(schema: Record<string, unknown>, place: SchemaPlace): void {
    for (const keyword of ["$defs", "definitions"]) {
      const definitions = schema[keyword];
      if (definitions === undefined) continue;
      if (!isObject(definitions)) throw invalid(place, keyword, "must be an object");
      for (const [name, one] of Object.entries(definitions))
        this.#below(one, `/${keyword}${asPointerPart(name)}`, place);
    }
  }

  #makerAt(place: SchemaPlace): Maker {
    return {
      schema: (value, part) => this.#below(value, part, place),
      reference: (reference) => {
        const to = pointerOf(aText(reference));
        if (to === undefined) throw new InvalidKeyword("may only lead into this schema, as #/$defs/NAME");
        const target: Made = { check: NEVER };
        this.#references.push({ from: place, to, target });
        return follow(target);
      },
      patterns: this.#patterns,
    };
  }
}

/** Outside of the compiler, which a function made inside would keep. */
function follow(target: Made): Check {
  return (value, run, seen) => target.check(value, run, seen);
}

const ALWAYS: Check = () => true;
const NEVER: Check = (_value, run) => run.fail("false schema");

const APPLICATORS = byKeyword([...IN_PLACE, ...CHILDREN]);
const LAST_APPLICATORS = byKeyword(UNEVALUATED);

function byKeyword(applicators: readonly Applicator[]): ReadonlyMap<string, Applicator> {
  return new Map(applicators.flatMap((one) => one.of.map((keyword) => [keyword, one] as const)));
}

/** The checks of those whose keywords the schema has, each once. */
function applied(table: ReadonlyMap<string, Applicator>, schema: Schema, maker: Maker, place: SchemaPlace): Check[] {
  const checks: Check[] = [];
  const done = new Set<Applicator>();
  for (const keyword of Object.keys(schema)) {
    const applicator = table.get(keyword);
    if (applicator === undefined || done.has(applicator)) continue;
    done.add(applicator);
    const check = told(place, applicator.of.join(", "), () => applicator.make(schema, maker));
    if (check !== undefined) checks.push(check);
  }
  return checks;
}

/** One check of several; those of `last` are told what the others have seen. It holds nothing of the schema any more. */
function together(checks: readonly Check[], steps: number, last: readonly Check[]): Check {
  const [only = ALWAYS] = checks;
  const first: Check =
    checks.length < 2
      ? (value, run, seen) => {
          run.spend(steps);
          return only(value, run, seen);
        }
      : (value, run, seen) => {
          run.spend(steps);
          return all(checks, value, run, seen);
        };
  return last.length === 0 ? first : withLast(first, last);
}

function withLast(first: Check, last: readonly Check[]): Check {
  return (value, run, seen) => {
    const own = new Seen();
    if (!first(value, run, own) || !all(last, value, run, own)) return false;
    seen?.add(own, run);
    return true;
  };
}

/** `#`, or `#` and a JSON pointer as in an address. */
function pointerOf(reference: string): string | undefined {
  if (!/^#(?:\/|$)/.test(reference)) return undefined;
  try {
    return decodeURIComponent(reference.slice(1));
  } catch {
    return undefined;
  }
}

/** What `make` says against a keyword, with the place of its schema. */
function told<T>(place: SchemaPlace, keyword: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof CoreError) throw error;
    const isKnown = error instanceof Error;
    throw invalid(place, keyword, isKnown ? error.message : "is wrong");
  }
}

function invalid({ pointer }: SchemaPlace, what: string, why: string): CoreError {
  const where = pointer === "" ? "" : ` at ${pointer.slice(0, 200)}`;
  return new CoreError(
    "tool.invalid_schema",
    `the schema is not JSON Schema 2020-12: ${what}${where} ${why.slice(0, 200)}`,
  );
}
