import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { compileSchema } from "../schema/schema.ts";
import { KeptSchemas } from "./kept-schemas.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** What one session may keep is 5 MB by its own count; the texts of the schemas stand beside it. */
const MOST_MEGABYTES = 16;
const SCHEMAS = 50;

const numbers = (count: number): number[] => Array.from({ length: count }, (_, at) => at);
const named = (count: number): Record<string, unknown> =>
  Object.fromEntries(numbers(count).map((at) => [`p${at}`, {}]));

describe("what is kept of schemas", () => {
  test.each<[what: string, schema: Record<string, unknown>, value: unknown]>([
    ["patterns", { pattern: "[^a]{990}".repeat(9) }, "b".repeat(50)],
    ["patterns with groups", { pattern: "(a)".repeat(1_000) }, "a".repeat(50)],
    ["lists of numbers", { enum: numbers(10_000) }, 0],
    ["lists of values", { enum: numbers(8_000).map((at) => [at]) }, [0]],
    ["names that must be there", { required: numbers(7_000).map(String) }, {}],
    ["places below a long name", { properties: { ["n".repeat(20_000)]: { properties: named(2_500), $ref: "#" } } }, {}],
    ["conditions", { if: { type: "string" }, else: { $ref: "#" }, examples: numbers(10_000).map(() => ({})) }, "x"],
  ])("is bounded: %s", (_what, schema, value) => {
    const schemas = new KeptSchemas(compileSchema);
    const json = JSON.stringify(schema);
    const kept = [schemas.keep(JSON.parse(json) as typeof schema)];
    collect();
    const before = process.memoryUsage().heapUsed;
    for (let index = 0; index < SCHEMAS; index += 1) kept.push(schemas.keep(JSON.parse(json) as typeof schema));
    for (const { check } of kept) check(value);
    collect();
    const texts = SCHEMAS * json.length;
    expect((process.memoryUsage().heapUsed - before - texts) / 1e6).toBeLessThan(MOST_MEGABYTES);
    expect(kept).toHaveLength(SCHEMAS + 1);
  });

  test("many places below a long name take little memory while they are made", () => {
    const schema = { properties: { ["n".repeat(30_000)]: { properties: named(2_500) } } };
    compileSchema(schema);
    collect();
    const before = process.memoryUsage().heapUsed;
    compileSchema(schema);
    expect((process.memoryUsage().heapUsed - before) / 1e6).toBeLessThan(MOST_MEGABYTES);
  });
});
