/** Keywords that hold schemas: what one of them is, and what it is made with. */
import { anObject, InvalidKeyword, type Check } from "./schema-assertions.ts";
import type { Patterns } from "./linear-pattern.ts";
import { asPointerPart } from "./schema-run.ts";

export type Schema = Readonly<Record<string, unknown>>;

export type Maker = {
  /** The subschema at `pointer` from the keyword's own schema. */
  schema: (value: unknown, pointer: string) => Check;
  /** What a reference leads to, known when all schemas are made. */
  reference: (reference: unknown) => Check;
  patterns: Patterns;
};

/** One check of the keywords `of`, made when the schema has one of them. Throws InvalidKeyword. */
export type Applicator = { of: readonly string[]; make: (schema: Schema, maker: Maker) => Check | undefined };

export function ofOne(keyword: string, make: (value: unknown, maker: Maker) => Check): Applicator {
  return { of: [keyword], make: (schema, maker) => make(schema[keyword], maker) };
}

export function listOf(value: unknown, keyword: string, maker: Maker): Check[] {
  if (!Array.isArray(value) || value.length === 0) throw new InvalidKeyword("must be a list with at least one schema");
  return value.map((one, index) => maker.schema(one, `/${keyword}/${index}`));
}

/** Of a keyword that may be missing. */
export function mapOf(value: unknown, keyword: string, maker: Maker): [name: string, part: Check][] {
  if (value === undefined) return [];
  return Object.entries(anObject(value)).map(([name, one]) => [
    name,
    maker.schema(one, `/${keyword}${asPointerPart(name)}`),
  ]);
}
