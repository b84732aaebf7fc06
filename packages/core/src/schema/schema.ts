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
import { Patterns } from "./linear-pattern.ts";
import type { Applicator, Maker, Schema } from "./applicator.ts";
import { CHILDREN, UNEVALUATED } from "./child-applicators.ts";
import { all, IN_PLACE } from "./in-place-applicators.ts";
import { aText, ASSERTIONS, InvalidKeyword, isObject, type Check } from "./schema-assertions.ts";
import { asPointerPart, Run, Seen, TooCostly, type Issue } from "./schema-run.ts";

export { sampleInput } from "./sample-input.ts";
export type { Issue } from "./schema-run.ts";

/** Bytes of one schema as JSON. */
const MAX_SCHEMA_BYTES = 65_536;
const TOO_COSTLY: Issue = { path: "", rule: "too costly to check", message: "it is too costly to check" };
const REFUSED = ["$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef", "$recursiveAnchor"];
/** Drafts whose schemas mean the same here, or are refused for what they mean otherwise. */
const DIALECT = /^https?:\/\/json-schema\.org\/(?:draft\/20(?:19-09|20-12)|draft-0[67])\/schema#?$/;

/** Of one schema; `subschemas` says how large it is in memory. */
export type CompiledSchema = {
  /** The issues of a value, empty when it is valid; each at most once, at most ten. */
  issuesOf: (value: unknown) => Issue[];
  subschemas: number;
};

/** Throws `tool.invalid_schema` and `tool.schema_too_large`. */
export function compileSchema(schema: Record<string, unknown>): CompiledSchema {
  if (Buffer.byteLength(JSON.stringify(schema)) > MAX_SCHEMA_BYTES) {
    throw new CoreError("tool.schema_too_large", `the schema is over ${MAX_SCHEMA_BYTES} bytes`);
  }
  const compiler = new Compiler();
  const check = compiler.compile(schema);
  return { issuesOf: (value) => issuesOf(value, check), subschemas: compiler.subschemas };
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

/** A subschema; `check` is there when it is made, which a reference to it need not wait for. */
type Made = { check: Check };

class Compiler {
  /** By their JSON pointer. */
  readonly #made = new Map<string, Made>();
  readonly #references: { from: string; to: string; target: Made }[] = [];
  readonly #patterns = new Patterns();

  get subschemas(): number {
    return this.#made.size;
  }

  compile(schema: unknown): Check {
    const check = this.#schema(schema, "");
    for (const { from, to, target } of this.#references) {
      const made = this.#made.get(to);
      if (made === undefined) throw invalid(from, "$ref", "leads to no schema of this one");
      target.check = made.check;
    }
    return check;
  }

  #schema(schema: unknown, pointer: string): Check {
    const made: Made = { check: NEVER };
    this.#made.set(pointer, made);
    made.check = this.#checkOf(schema, pointer);
    return made.check;
  }

  #checkOf(schema: unknown, pointer: string): Check {
    if (schema === true) return ALWAYS;
    if (schema === false) return NEVER;
    if (!isObject(schema)) throw invalid(pointer, "it", "must be an object, true or false");
    const refused = REFUSED.find((name) => Object.hasOwn(schema, name));
    if (refused !== undefined) throw invalid(pointer, refused, "is not supported; write a $ref to #/$defs/NAME");
    if (pointer !== "" && Object.hasOwn(schema, "$id")) throw invalid(pointer, "$id", "may only stand at the top");
    const { $schema: dialect } = schema;
    if (dialect !== undefined && !(typeof dialect === "string" && DIALECT.test(dialect)))
      throw invalid(pointer, "$schema", "names no draft that is understood; leave it out");
    this.#definitions(schema, pointer);
    const maker = this.#makerAt(pointer);
    const { checks, steps } = this.#assertions(schema, pointer);
    checks.push(...applied(APPLICATORS, schema, maker, pointer));
    return together(checks, steps + checks.length, applied(LAST_APPLICATORS, schema, maker, pointer));
  }

  #assertions(schema: Record<string, unknown>, pointer: string): { checks: Check[]; steps: number } {
    const checks: Check[] = [];
    let steps = 1;
    for (const [keyword, value] of Object.entries(schema)) {
      const make = Object.hasOwn(ASSERTIONS, keyword) ? ASSERTIONS[keyword] : undefined;
      const assertion =
        make === undefined ? undefined : told(pointer, keyword, () => make(value, this.#patterns, schema));
      if (assertion === undefined) continue;
      checks.push(assertion.check);
      steps += assertion.steps ?? 0;
    }
    return { checks, steps };
  }

  /** Schemas that only references lead to; they must be schemas all the same. */
  #definitions(schema: Record<string, unknown>, pointer: string): void {
    for (const keyword of ["$defs", "definitions"]) {
      const definitions = schema[keyword];
      if (definitions === undefined) continue;
      if (!isObject(definitions)) throw invalid(pointer, keyword, "must be an object");
      for (const [name, one] of Object.entries(definitions))
        this.#schema(one, `${pointer}/${keyword}${asPointerPart(name)}`);
    }
  }

  #makerAt(pointer: string): Maker {
    return {
      schema: (value, below) => this.#schema(value, `${pointer}${below}`),
      reference: (reference) => {
        const to = pointerOf(aText(reference));
        if (to === undefined) throw new InvalidKeyword("may only lead into this schema, as #/$defs/NAME");
        const target: Made = { check: NEVER };
        this.#references.push({ from: pointer, to, target });
        return (value, run, seen) => target.check(value, run, seen);
      },
      patterns: this.#patterns,
    };
  }
}

const ALWAYS: Check = () => true;
const NEVER: Check = (_value, run) => run.fail("false schema");

const APPLICATORS = byKeyword([...IN_PLACE, ...CHILDREN]);
const LAST_APPLICATORS = byKeyword(UNEVALUATED);

function byKeyword(applicators: readonly Applicator[]): ReadonlyMap<string, Applicator> {
  return new Map(applicators.flatMap((one) => one.of.map((keyword) => [keyword, one] as const)));
}

/** The checks of those whose keywords the schema has, each once. */
function applied(table: ReadonlyMap<string, Applicator>, schema: Schema, maker: Maker, pointer: string): Check[] {
  const checks: Check[] = [];
  const done = new Set<Applicator>();
  for (const keyword of Object.keys(schema)) {
    const applicator = table.get(keyword);
    if (applicator === undefined || done.has(applicator)) continue;
    done.add(applicator);
    const check = told(pointer, applicator.of.join(", "), () => applicator.make(schema, maker));
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
    seen?.add(own);
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
function told<T>(pointer: string, keyword: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof CoreError) throw error;
    const isKnown = error instanceof Error;
    throw invalid(pointer, keyword, isKnown ? error.message : "is wrong");
  }
}

function invalid(pointer: string, what: string, why: string): CoreError {
  const where = pointer === "" ? "" : ` at ${pointer.slice(0, 200)}`;
  return new CoreError(
    "tool.invalid_schema",
    `the schema is not JSON Schema 2020-12: ${what}${where} ${why.slice(0, 200)}`,
  );
}
