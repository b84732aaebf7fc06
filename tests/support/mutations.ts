/** Messages of the runtime protocol, each wrong in some way that the seed decides. */
import { encodeFrame } from "../../packages/protocol/src/frame.ts";

export type Chance = {
  random: () => number;
  below: (most: number) => number;
  one: <T>(...of: T[]) => T;
};

export function chanceOf(random: () => number): Chance {
  const below = (most: number): number => Math.floor(random() * most);
  return { random, below, one: (...of) => of[below(of.length)] as (typeof of)[number] };
}

/** One member somewhere becomes something else, or is gone. */
export function mutated(chance: Chance, value: unknown, kept = 0.8): unknown {
  if (typeof value !== "object" || value === null || chance.random() >= kept) return oddValue(chance);
  const entries = Object.entries(value);
  const at = chance.below(entries.length);
  return Object.fromEntries(
    entries.map(([key, member], index) => [
      index === at && chance.random() < 0.1 ? chance.one("__proto__", "constructor", `${key}\0`, "") : key,
      index === at ? mutated(chance, member) : member,
    ]),
  );
}

function oddValue(chance: Chance): unknown {
  return chance.one<unknown>(
    null,
    0,
    -1,
    1e308,
    2 ** 53,
    0.5,
    "",
    "x".repeat(9_000),
    "\ud800",
    "\u202e\0\u001b[2J",
    [],
    {},
    [[], {}, null],
    true,
    { __proto__: null, code: 1 },
    { constructor: {}, toString: 1, length: -1 },
    undefined,
  );
}

/** The bytes of the frame, a few of them changed, or its end cut off. */
export function damaged(chance: Chance, body: string): Uint8Array {
  const bytes = Buffer.from(encodeFrame([Buffer.from(body)]));
  for (let change = 0; change <= chance.below(4); change += 1) bytes[chance.below(bytes.length)] = chance.below(256);
  return chance.random() < 0.2 ? bytes.subarray(0, chance.below(bytes.length)) : bytes;
}
