/** Keywords that hold schemas for the value itself. */
import { type Applicator, listOf, mapOf, ofOne, type Maker, type Schema } from "./applicator.ts";
import { anObject, isObject, uniqueTexts, type Check } from "./schema-assertions.ts";
import { Seen, type Run } from "./schema-run.ts";

export const IN_PLACE: readonly Applicator[] = [
  ofOne("$ref", (reference, maker) => maker.reference(reference)),
  ofOne("allOf", (schemas, maker) => {
    const parts = listOf(schemas, "allOf", maker);
    return (value, run, seen) => all(parts, value, run, seen);
  }),
  ofOne("anyOf", (schemas, maker) => {
    const branches = listOf(schemas, "anyOf", maker);
    return (value, run, seen) => {
      let valid = 0;
      for (const part of branches) {
        if (branch(part, value, run, seen)) valid += 1;
        // Who asks later what was seen wants to know it of every branch.
        if (valid > 0 && seen === undefined) return true;
      }
      return valid > 0 || run.fail("anyOf");
    };
  }),
  ofOne("oneOf", (schemas, maker) => {
    const branches = listOf(schemas, "oneOf", maker);
    return (value, run, seen) => {
      let valid = 0;
      for (const part of branches) if (branch(part, value, run, seen) && (valid += 1) > 1) break;
      return valid === 1 || run.fail("oneOf");
    };
  }),
  ofOne("not", (schema, maker) => {
    const part = maker.schema(schema, "/not");
    return (value, run) => !run.hushed(part, value, undefined) || run.fail("not");
  }),
  { of: ["if", "then", "else"], make: conditional },
  { of: ["dependentSchemas"], make: dependentSchemas },
  { of: ["dependencies"], make: dependencies },
];

/** Looks on after the first that is not valid, as long as somebody wants to know. */
export function all(parts: readonly Check[], value: unknown, run: Run, seen: Seen | undefined): boolean {
  let isValid = true;
  for (const part of parts) {
    if (part(value, run, seen)) continue;
    isValid = false;
    if (run.isSettled) return false;
  }
  return isValid;
}

/** What a branch has seen counts only when the branch is valid. */
function branch(part: Check, value: unknown, run: Run, seen: Seen | undefined): boolean {
  if (seen === undefined) return run.hushed(part, value, undefined);
  const own = new Seen();
  if (!run.hushed(part, value, own)) return false;
  seen.add(own, run);
  return true;
}

/** Without `if` the other two are judged as schemas, and say nothing. */
function conditional(schema: Schema, maker: Maker): Check | undefined {
  const test = partOf(schema, "if", maker);
  const then = partOf(schema, "then", maker);
  const otherwise = partOf(schema, "else", maker);
  if (test === undefined) return undefined;
  return (value, run, seen) => {
    const next = branch(test, value, run, seen) ? then : otherwise;
    return next === undefined || next(value, run, seen);
  };
}

/** Not inside of what is made with it, which would keep the schema. */
function partOf(schema: Schema, keyword: string, maker: Maker): Check | undefined {
  return schema[keyword] === undefined ? undefined : maker.schema(schema[keyword], `/${keyword}`);
}

function dependentSchemas(schema: Schema, maker: Maker): Check {
  return whereThere(mapOf(anObject(schema["dependentSchemas"]), "dependentSchemas", maker));
}

/** Of older drafts: a member is a schema, or a list of names as in `dependentRequired`. */
function dependencies(schema: Schema, maker: Maker): Check {
  const members = Object.entries(anObject(schema["dependencies"]));
  const schemas = Object.fromEntries(members.filter(([, one]) => !Array.isArray(one)));
  const needs = members.flatMap(([name, one]) =>
    Array.isArray(one) ? [[name, needing(uniqueTexts(one))] as const] : [],
  );
  return whereThere([...mapOf(schemas, "dependencies", maker), ...needs]);
}

function needing(names: readonly string[]): Check {
  return (value, run) => {
    run.spend(names.length);
    const missing = isObject(value) ? names.find((name) => !Object.hasOwn(value, name)) : undefined;
    return missing === undefined || run.failAt(missing, "dependencies", undefined);
  };
}

/** Each check only for objects that have its member. */
function whereThere(parts: readonly (readonly [name: string, part: Check])[]): Check {
  return (value, run, seen) => {
    if (!isObject(value)) return true;
    run.spend(parts.length);
    let isValid = true;
    for (const [name, part] of parts) if (Object.hasOwn(value, name) && !part(value, run, seen)) isValid = false;
    return isValid;
  };
}
