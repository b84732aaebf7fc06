/** Keywords that hold schemas for members and items. */
import { type Applicator, listOf, mapOf, ofOne, type Maker, type Schema } from "./applicator.ts";
import { InvalidKeyword, isObject, wholeNumber, type Check } from "./schema-assertions.ts";
import type { Pattern } from "./linear-pattern.ts";
import { SEEN_STEPS, type Run } from "./schema-run.ts";

export const CHILDREN: readonly Applicator[] = [
  // The third is about what the other two leave.
  { of: ["properties", "patternProperties", "additionalProperties"], make: members },
  ofOne("propertyNames", (schema, maker) => {
    const part = maker.schema(schema, "/propertyNames");
    return (value, run) =>
      !isObject(value) || eachMember(run.namesIn(value), run, (name) => part(name, run, undefined));
  }),
  { of: ["prefixItems", "items"], make: items },
  { of: ["contains", "minContains", "maxContains"], make: contains },
];

/** They are asked last, with what all others have seen. */
export const UNEVALUATED: readonly Applicator[] = [
  ofOne("unevaluatedProperties", (schema, maker) => {
    const part = restOf(schema, "unevaluatedProperties", maker);
    return (value, run, seen) => {
      if (!isObject(value) || seen === undefined) return true;
      const names = run.namesIn(value);
      run.spend(names.length);
      const unseen = names.filter((name) => !seen.names.has(name));
      run.spend(unseen.length * SEEN_STEPS);
      for (const name of unseen) seen.names.add(name);
      return eachMember(unseen, run, (name) => part(value[name], run, undefined));
    };
  }),
  ofOne("unevaluatedItems", (schema, maker) => {
    const part = restOf(schema, "unevaluatedItems", maker);
    return (value, run, seen) => {
      if (!Array.isArray(value) || seen === undefined) return true;
      const from = seen.itemsBefore;
      seen.itemsBefore = value.length;
      return eachItem(
        value,
        [from, value.length],
        run,
        (item, index) => seen.items.has(index) || part(item, run, undefined),
      );
    };
  }),
];

/** For what is left over: where nothing may be, the keyword says so and not its schema. */
function restOf(schema: unknown, keyword: string, maker: Maker, known?: ReadonlyMap<string, Check>): Check {
  const part = maker.schema(schema, `/${keyword}`);
  return schema === false ? (_value, run) => run.fail(keyword, known) : part;
}

/** Looks on after the first that is not valid, as long as somebody wants to know. */
function eachMember(names: readonly string[], run: Run, isValid: (name: string) => boolean): boolean {
  run.spendMembers(names.length);
  let areAll = true;
  for (const name of names) {
    run.path.push(name);
    const isOne = isValid(name);
    run.path.pop();
    if (isOne) continue;
    areAll = false;
    if (run.isSettled) return false;
  }
  return areAll;
}

function eachItem(
  list: readonly unknown[],
  [from, to]: readonly [from: number, to: number],
  run: Run,
  isValid: (item: unknown, index: number) => boolean,
): boolean {
  if (to > from) run.spend(to - from);
  let areAll = true;
  for (let index = from; index < to; index += 1) {
    run.path.push(index);
    const isOne = isValid(list[index], index);
    run.path.pop();
    if (isOne) continue;
    areAll = false;
    if (run.isSettled) return false;
  }
  return areAll;
}

function members({ properties, patternProperties, additionalProperties }: Schema, maker: Maker): Check {
  const named = new Map(mapOf(properties, "properties", maker));
  const patterned: [Pattern, Check][] = [];
  for (const [source, part] of mapOf(patternProperties, "patternProperties", maker))
    patterned.push([maker.patterns.compile(source), part]);
  const other =
    additionalProperties === undefined ? undefined : restOf(additionalProperties, "additionalProperties", maker, named);
  return (value, run, seen) => {
    if (!isObject(value)) return true;
    const names = run.namesIn(value);
    if (seen !== undefined) run.spend(names.length * SEEN_STEPS);
    return eachMember(names, run, (name) => {
      const own = named.get(name);
      let isKnown = own !== undefined;
      let isValid = own === undefined || own(value[name], run, undefined);
      for (const [test, part] of patterned) {
        if (!test(name, run)) continue;
        isKnown = true;
        isValid = part(value[name], run, undefined) && isValid;
      }
      if (!isKnown && other === undefined) return true;
      seen?.names.add(name);
      return isKnown || other === undefined ? isValid : other(value[name], run, undefined);
    });
  };
}

function items({ prefixItems, items: rest }: Schema, maker: Maker): Check {
  if (Array.isArray(rest)) throw new InvalidKeyword("must be one schema; a list of them is prefixItems");
  const first = prefixItems === undefined ? [] : listOf(prefixItems, "prefixItems", maker);
  const other = rest === undefined ? undefined : restOf(rest, "items", maker);
  return (value, run, seen) => {
    if (!Array.isArray(value)) return true;
    const upTo = other === undefined ? Math.min(first.length, value.length) : value.length;
    if (seen !== undefined) seen.itemsBefore = Math.max(seen.itemsBefore, upTo);
    return eachItem(value, [0, upTo], run, (item, index) => (first[index] ?? other)?.(item, run, undefined) ?? true);
  };
}

function contains(schema: Schema, maker: Maker): Check | undefined {
  const least = wholeNumber(schema["minContains"] ?? 1);
  const most = wholeNumber(schema["maxContains"] ?? Number.MAX_SAFE_INTEGER);
  if (schema["contains"] === undefined) return undefined;
  const part = maker.schema(schema["contains"], "/contains");
  return (value, run, seen) => {
    if (!Array.isArray(value)) return true;
    run.spend(value.length * (seen === undefined ? 1 : SEEN_STEPS));
    let count = 0;
    for (const [index, item] of value.entries()) {
      if (!run.hushed(part, item, undefined)) continue;
      count += 1;
      seen?.items.add(index);
    }
    if (count < least) return run.fail("contains", least);
    return count <= most || run.fail("maxContains", most);
  };
}
