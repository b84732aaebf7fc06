/** Where the subschemas of one schema stand, while it is made: what a reference leads to. */
import type { Check } from "./schema-assertions.ts";

/** `check` is there when the subschema is made, which a reference to it need not wait for. */
export type Made = { check: Check };

/**
 * SECURITY: a place knows its own part of the pointer alone. Whole pointers would repeat a long name for each of thousands of
 * places below it. Pinned by "many places below a long name take little memory".
 */
export class SchemaPlace {
  readonly made: Made;
  readonly #part: string;
  #above: SchemaPlace | undefined;
  readonly #below = new Map<string, SchemaPlace>();

  constructor(made: Made, part = "", above?: SchemaPlace) {
    this.made = made;
    this.#part = part;
    this.#above = above;
  }

  get isTop(): boolean {
    return this.#above === undefined;
  }

  /** As a JSON pointer, for a person. */
  get pointer(): string {
    return `${this.#above?.pointer ?? ""}${this.#part}`;
  }

  /** `part` is a keyword, or a keyword and one name or index in it: `/not`, `/properties/a`. */
  add(part: string, made: Made): SchemaPlace {
    const place = new SchemaPlace(made, part, this);
    this.#below.set(part, place);
    return place;
  }

  /** The subschema at a JSON pointer from here; undefined where none stands. */
  find(pointer: string): SchemaPlace | undefined {
    const [first, ...parts] = pointer.split("/");
    return first === "" ? this.#find(parts) : undefined;
  }

  #find([keyword, name, ...others]: readonly string[]): SchemaPlace | undefined {
    if (keyword === undefined) return this;
    const one = this.#below.get(`/${keyword}`);
    if (one !== undefined) return one.#find(name === undefined ? [] : [name, ...others]);
    const other = name === undefined ? undefined : this.#below.get(`/${keyword}/${name}`);
    return other === undefined ? undefined : other.#find(others);
  }

  /** Nothing asks any more: checks that still know a place must not keep all others. */
  forget(): void {
    for (const place of this.#below.values()) place.forget();
    this.#below.clear();
    this.#above = undefined;
  }
}
