/** Keywords that look at a value by themselves: its type, its size, its texts and numbers. */
import { canonicalJson, sizeOfJson } from "./equal-json.ts";
import type { Patterns } from "./linear-pattern.ts";
import type { Run, Seen } from "./schema-run.ts";

/** Whether the value is valid; says to the run what is not. */
export type Check = (value: unknown, run: Run, seen: Seen | undefined) => boolean;

/** What a keyword says of itself is wrong. */
export class InvalidKeyword extends Error {}

/** `steps`: what looking costs, beyond one. */
export type Assertion = { check: Check; steps?: number };
/** `schema`: the one that the keyword stands in. */
type Maker = (value: unknown, patterns: Patterns, schema: Record<string, unknown>) => Assertion | undefined;

const TYPES: Record<string, (value: unknown) => boolean> = {
  null: (value) => value === null,
  boolean: (value) => typeof value === "boolean",
  number: (value) => typeof value === "number",
  integer: (value) => Number.isInteger(value),
  string: (value) => typeof value === "string",
  array: (value) => Array.isArray(value),
  object: isObject,
};

/** One for all schemas: most subschemas are just a type. */
const TYPE_CHECKS = new Map(
  Object.entries(TYPES).map(([name, test]): [unknown, Check] => [
    name,
    (value, run) => test(value) || run.fail("type", name, value),
  ]),
);

function typeTest(name: string): (value: unknown) => boolean {
  const test = Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
  if (test === undefined) throw new InvalidKeyword("is no type");
  return test;
}

function typeNamed(name: unknown): Check {
  const check = TYPE_CHECKS.get(name);
  if (check === undefined) throw new InvalidKeyword("is no type");
  return check;
}

/** What an item costs that others are compared with. */
const ITEM_STEPS = 5;
/** What a text's length is counted at, characters a step. */
const CHARACTERS_A_STEP = 16;

export const ASSERTIONS: Readonly<Record<string, Maker>> = {
  type: (types) => {
    if (!Array.isArray(types)) return { check: typeNamed(types) };
    const tests = uniqueTexts(types, 1).map((name) => typeTest(name));
    const check: Check = (value, run) => tests.some((test) => test(value)) || run.fail("type", types, value);
    return { check, steps: tests.length };
  },
  enum: (values) => {
    if (!Array.isArray(values)) throw new InvalidKeyword("must be a list");
    return oneOfThese(values, "enum");
  },
  const: (only) => oneOfThese([only], "const"),

  minimum: bound("minimum", (value, limit) => value >= limit),
  maximum: bound("maximum", (value, limit) => value <= limit),
  exclusiveMinimum: bound("exclusiveMinimum", (value, limit) => value > limit),
  exclusiveMaximum: bound("exclusiveMaximum", (value, limit) => value < limit),
  multipleOf: (divisor, patterns, schema) => {
    if (typeof divisor !== "number" || divisor <= 0) throw new InvalidKeyword("must be a number above 0");
    return bound("multipleOf", (value, limit) => Number.isInteger(value / limit))(divisor, patterns, schema);
  },

  minLength: (limit) => {
    const least = wholeNumber(limit);
    return ofTexts((text, run) => !isShorter(text, least, run) || run.fail("minLength", least));
  },
  maxLength: (limit) => {
    const most = wholeNumber(limit);
    return ofTexts((text, run) => isShorter(text, most + 1, run) || run.fail("maxLength", most));
  },
  pattern: (source, patterns) => {
    const test = patterns.compile(aText(source));
    return ofTexts((text, run) => test(text, run) || run.fail("pattern", source));
  },

  minItems: (limit) => {
    const least = wholeNumber(limit);
    return ofLists((items, run) => items.length >= least || run.fail("minItems", least));
  },
  maxItems: (limit) => {
    const most = wholeNumber(limit);
    return ofLists((items, run) => items.length <= most || run.fail("maxItems", most));
  },
  uniqueItems: (wanted) => {
    if (typeof wanted !== "boolean") throw new InvalidKeyword("must be true or false");
    if (!wanted) return undefined;
    return ofLists((items, run) => {
      run.spend(items.length * ITEM_STEPS);
      const plain = items.filter((item) => typeof item !== "object" || item === null);
      const nested = items.filter((item) => typeof item === "object" && item !== null);
      const texts = new Set(nested.map((item) => canonicalJson(item, (steps) => run.spend(steps))));
      return new Set(plain).size + texts.size === items.length || run.fail("uniqueItems");
    });
  },

  minProperties: (limit) => {
    const least = wholeNumber(limit);
    return ofObjects((value, run) => run.namesIn(value).length >= least || run.fail("minProperties", least));
  },
  maxProperties: (limit) => {
    const most = wholeNumber(limit);
    return ofObjects((value, run) => run.namesIn(value).length <= most || run.fail("maxProperties", most));
  },
  required: (names, _patterns, { properties }) => {
    const needed = uniqueTexts(names);
    const types = needed.map((name) => typeOf(properties, name));
    const check = (value: object, run: Run): boolean => {
      if (hasAll(value, needed)) return true;
      for (const [index, name] of needed.entries())
        if (!Object.hasOwn(value, name)) run.failAt(name, "required", types[index]);
      return false;
    };
    return { ...ofObjects(check), steps: needed.length };
  },
  dependentRequired: (needs) => {
    const each = Object.entries(anObject(needs)).map(([name, needed]) => [name, uniqueTexts(needed)] as const);
    const check = (value: object, run: Run): boolean =>
      each.every(
        ([name, needed]) =>
          !Object.hasOwn(value, name) ||
          hasAll(value, needed) ||
          run.failAt(needed.find((one) => !Object.hasOwn(value, one)) ?? "", "dependentRequired", name),
      );
    return { ...ofObjects(check), steps: sizeOfJson(needs) };
  },
};

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function anObject(value: unknown): Record<string, unknown> {
  if (isObject(value)) return value;
  throw new InvalidKeyword("must be an object");
}

export function aText(value: unknown): string {
  if (typeof value === "string") return value;
  throw new InvalidKeyword("must be a text");
}

export function uniqueTexts(value: unknown, least = 0): string[] {
  const isList = Array.isArray(value) && value.every((one) => typeof one === "string");
  if (isList && new Set(value).size === value.length && value.length >= least) return value;
  throw new InvalidKeyword(`must be a list of ${least > 0 ? "at least one and " : ""}different texts`);
}

export function wholeNumber(value: unknown): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) return value;
  throw new InvalidKeyword("must be a whole number, not negative");
}

function hasAll(value: object, names: readonly string[]): boolean {
  return names.every((name) => Object.hasOwn(value, name));
}

/** The `type` of a member's schema, for whoever misses the member. */
function typeOf(properties: unknown, name: string): unknown {
  const schema = isObject(properties) && Object.hasOwn(properties, name) ? properties[name] : undefined;
  return isObject(schema) ? schema["type"] : undefined;
}

function bound(rule: string, holds: (value: number, limit: number) => boolean): Maker {
  return (limit) => {
    if (typeof limit !== "number") throw new InvalidKeyword("must be a number");
    return { check: (value, run) => typeof value !== "number" || holds(value, limit) || run.fail(rule, limit) };
  };
}

function ofTexts(check: (text: string, run: Run) => boolean): Assertion {
  return { check: (value, run) => typeof value !== "string" || check(value, run) };
}

function ofLists(check: (items: readonly unknown[], run: Run) => boolean): Assertion {
  return { check: (value, run) => !Array.isArray(value) || check(value, run) };
}

function ofObjects(check: (value: object, run: Run) => boolean): Assertion {
  return { check: (value, run) => !isObject(value) || check(value, run) };
}

/** Texts and numbers are found at once, everything else by its canonical text. */
function oneOfThese(values: readonly unknown[], rule: string): Assertion {
  const plain = new Set(values.filter((value) => typeof value !== "object" || value === null));
  const nested = values.filter((value) => typeof value === "object" && value !== null);
  const texts = new Set(nested.map((value) => canonicalJson(value, () => {})));
  const most = Math.max(0, ...nested.map(sizeOfJson));
  return {
    check: (value, run) => {
      if (typeof value !== "object" || value === null) return plain.has(value) || run.fail(rule, values);
      // What is larger than all of them is none of them, however much larger it is.
      if (texts.size === 0 || isLarger(value, most, run)) return run.fail(rule, values);
      return texts.has(canonicalJson(value, (steps) => run.spend(steps))) || run.fail(rule, values);
    },
    steps: most,
  };
}

function isLarger(value: object, most: number, run: Run): boolean {
  let left = most;
  const fits = (one: unknown): boolean => {
    left -= 1;
    if (typeof one !== "object" || one === null) return left >= 0;
    if (Array.isArray(one)) return one.length <= left && one.every(fits);
    return run.namesIn(one).length <= left && Object.values(one).every(fits);
  };
  return !fits(value);
}

/** In characters, of which some are two UTF-16 units: most texts are told by their length alone. */
function isShorter(text: string, length: number, run: Run): boolean {
  if (text.length < length) return true;
  if (text.length >= length * 2) return false;
  run.spend(text.length / CHARACTERS_A_STEP);
  let pairs = 0;
  for (let at = 1; at < text.length; at += 1) {
    const isPair = (text.charCodeAt(at) & 0xfc00) === 0xdc00 && (text.charCodeAt(at - 1) & 0xfc00) === 0xd800;
    if (isPair) pairs += 1;
  }
  return text.length - pairs < length;
}
