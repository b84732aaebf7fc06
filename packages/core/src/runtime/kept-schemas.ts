/** The schemas of one session's tools: kept as text, and as checks while there is room for them. */
import type { CompiledSchema, Issue } from "../schema/schema.ts";

/** Of all checks that are kept, in half kilobytes. What has no room is made again when it is used. */
const MAX_SIZE = 10_000;

/** The issues of a value, empty when it is valid. */
export type SchemaCheck = (value: unknown) => Issue[];
export type KeptSchema = { json: string; check: SchemaCheck };

export class KeptSchemas {
  readonly #compile: (schema: Record<string, unknown>) => CompiledSchema;
  /** By the check that uses them, oldest first. */
  readonly #compiled = new Map<SchemaCheck, CompiledSchema>();
  #size = 0;

  constructor(compile: (schema: Record<string, unknown>) => CompiledSchema) {
    this.#compile = compile;
  }

  /** Throws what compiling throws. */
  keep(schema: Record<string, unknown>): KeptSchema {
    const compiled = this.#compile(schema);
    const json = JSON.stringify(schema);
    const check: SchemaCheck = (value) => (this.#compiled.get(check) ?? this.#again(check, json)).issuesOf(value);
    this.#add(check, compiled);
    return { json, check };
  }

  #again(check: SchemaCheck, json: string): CompiledSchema {
    const compiled = this.#compile(JSON.parse(json) as Record<string, unknown>);
    this.#add(check, compiled);
    return compiled;
  }

  #add(check: SchemaCheck, compiled: CompiledSchema): void {
    this.#compiled.set(check, compiled);
    this.#size += compiled.size;
    for (const [oldest, { size }] of this.#compiled) {
      if (this.#size <= MAX_SIZE || oldest === check) return;
      this.#compiled.delete(oldest);
      this.#size -= size;
    }
  }
}
