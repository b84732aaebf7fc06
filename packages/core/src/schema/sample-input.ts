/**
 * An input that a tool's schema asks for at least: what is required, as small as its rules allow.
 *
 * SECURITY: an agent's schema may ask for a billion items, and this runs in Core; what is made has a bound, beyond which
 * there is no sample. Pinned by "a sample of a schema that asks for too much is made at once".
 */

type Schema = Record<string, unknown>;

const MAX_DEPTH = 8;
/** Values, and characters of texts and names, that one sample may have. */
const MAX_SIZE = 100_000;

/** The schema asks for more than a sample may have. */
class TooLarge extends Error {}

/** Best effort: a schema can ask for what only its author can make up, or for so much that `{}` is all there is. */
export function sampleInput(schema: Schema): Record<string, unknown> {
  try {
    const value = new Sample().of(schema, 0);
    return isObject(value) ? value : {};
  } catch (error) {
    if (error instanceof TooLarge) return {};
    throw error;
  }
}

class Sample {
  #left = MAX_SIZE;

  of(schema: unknown, depth: number): unknown {
    this.#take(1);
    if (!isObject(schema) || depth > MAX_DEPTH) return {};
    for (const given of ["const", "default"]) if (given in schema) return this.#given(schema[given]);
    for (const list of ["examples", "enum"])
      if (Array.isArray(schema[list])) return this.#given((schema[list] as unknown[])[0]);
    for (const choice of ["oneOf", "anyOf"])
      if (Array.isArray(schema[choice])) return this.of((schema[choice] as unknown[])[0], depth + 1);
    const type: unknown = Array.isArray(schema["type"]) ? schema["type"][0] : schema["type"];
    switch (type) {
      case "string":
        return "x".repeat(this.#take(numberOf(schema["minLength"], 1)));
      case "integer":
      case "number":
        return leastNumber(schema);
      case "boolean":
        return false;
      case "null":
        return null;
      case "array": {
        const length = this.#take(numberOf(schema["minItems"], 0));
        return Array.from({ length }, () => this.of(schema["items"], depth + 1));
      }
      default:
        return this.#object(schema, depth);
    }
  }

  #object(schema: Schema, depth: number): Schema {
    const properties = isObject(schema["properties"]) ? schema["properties"] : {};
    const required = Array.isArray(schema["required"]) ? schema["required"].map(String) : [];
    return Object.fromEntries(
      required.map((name) => {
        this.#take(name.length);
        return [name, this.of(properties[name], depth + 1)];
      }),
    );
  }

  /** What the schema itself holds may be large, and be asked for again and again. */
  #given(value: unknown): unknown {
    this.#take(JSON.stringify(value)?.length ?? 0);
    return value;
  }

  #take(size: number): number {
    this.#left -= size;
    if (this.#left < 0) throw new TooLarge();
    return size;
  }
}

function leastNumber(schema: Schema): number {
  const above = numberOf(schema["exclusiveMinimum"], 0) + ("exclusiveMinimum" in schema ? 1 : 0);
  return numberOf(schema["minimum"], above);
}

function isObject(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function numberOf(value: unknown, otherwise: number): number {
  return typeof value === "number" && Number.isFinite(value) ? value : otherwise;
}
