/** One check of one value: what it costs, where it stands, and what was found. */
import { issueMessage } from "./issue-message.ts";

/** Subschemas, their entries, and members and items of the value that one check may look at: some 20 ms, at worst 100. */
const MAX_STEPS = 500_000;
const MAX_ISSUES = 10;
/** UTF-16 units of a place that is told; names of members may be as long as the value. */
const MAX_PATH = 1_000;
/** From so many members on their names are kept; to list them costs so much for each, and so does to look at one. */
const MANY_NAMES = 64;
const NAME_STEPS = 4;
const MEMBER_STEPS = 2;

/** Where a value breaks the schema: a JSON pointer (RFC 6901), which of a missing member leads to where it should be; the keyword; and both in words. */
export type Issue = { path: string; rule: string; message: string };

/** The check would take too long; its value counts as invalid. */
export class TooCostly extends Error {}

export class Run {
  readonly issues: Issue[] = [];
  /** From the top of the value to what is looked at. */
  readonly path: (string | number)[] = [];
  #steps = 0;
  #hushed = 0;
  #names: Map<object, readonly string[]> | undefined;

  /** Throws `TooCostly`. */
  spend(steps: number): void {
    this.#steps += steps;
    if (this.#steps > MAX_STEPS) throw new TooCostly();
  }

  /** Whether nothing is won by looking further once something was wrong. */
  get isSettled(): boolean {
    return this.#hushed > 0 || this.issues.length >= MAX_ISSUES;
  }

  /** `expected`: what the keyword asks for, as issue-message.ts puts it into words. */
  fail(rule: string, expected?: unknown, value?: unknown): false {
    if (this.isSettled) return false;
    const path = this.#place();
    this.issues.push({ path, rule, message: issueMessage(path, rule, expected, value) });
    return false;
  }

  /** Of a member that is not there. */
  failAt(name: string, rule: string, expected: unknown): false {
    this.path.push(name);
    this.fail(rule, expected);
    this.path.pop();
    return false;
  }

  /** SECURITY: an agent that is told what is wrong must get the message at all. Pinned by "tells the place of a long name in short". */
  #place(): string {
    let place = "";
    for (const key of this.path) {
      place += asPointerPart(typeof key === "string" ? key.slice(0, MAX_PATH) : key);
      if (place.length > MAX_PATH) return `${place.slice(0, MAX_PATH)}…`;
    }
    return place;
  }

  /** What fails in there is no issue by itself: one of several may. */
  hushed(
    part: (value: unknown, run: Run, seen: Seen | undefined) => boolean,
    value: unknown,
    seen: Seen | undefined,
  ): boolean {
    this.#hushed += 1;
    const isValid = part(value, this, seen);
    this.#hushed -= 1;
    return isValid;
  }

  /** As many members as an object has are looked at. */
  spendMembers(count: number): void {
    this.spend(count < MANY_NAMES ? count : count * MEMBER_STEPS);
  }

  /** The names of an object's members. Many of them are listed once: that takes longer than looking at each. */
  namesIn(value: object): readonly string[] {
    const known = this.#names?.get(value);
    if (known !== undefined) return known;
    const names = Object.keys(value);
    if (names.length < MANY_NAMES) return names;
    this.spend(names.length * NAME_STEPS);
    this.#names ??= new Map();
    this.#names.set(value, names);
    return names;
  }
}

/** As it stands in a JSON pointer, with its slash. */
export function asPointerPart(key: string | number): string {
  return `/${String(key).replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

/** What one member or item costs to be noted, in steps, and once more wherever it is noted again. */
export const SEEN_STEPS = 5;

/** Members and items of one value that some keyword has judged: what `unevaluated…` leaves alone. */
export class Seen {
  readonly names = new Set<string>();
  readonly items = new Set<number>();
  /** All items before this one. */
  itemsBefore = 0;

  /** SECURITY: a chain of references would copy all names at each of its links. Pinned by "notes what was seen again and again is judged soon". */
  add(other: Seen, run: Run): void {
    run.spend((other.names.size + other.items.size) * SEEN_STEPS);
    for (const name of other.names) this.names.add(name);
    for (const item of other.items) this.items.add(item);
    this.itemsBefore = Math.max(this.itemsBefore, other.itemsBefore);
  }
}
