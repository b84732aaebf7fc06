/** When two JSON values are the same: order of members means nothing, 1 and 1.0 are one number, "1" is another value. */

/** Looked at, one by one. */
export function sizeOfJson(value: unknown): number {
  if (typeof value !== "object" || value === null) return 1;
  return Object.values(value).reduce<number>((size, member) => size + sizeOfJson(member), 1);
}

/** What one value costs to be written, in steps, and how many characters are one more. */
const VALUE_STEPS = 6;
const CHARACTERS_A_STEP = 8;

/**
 * Equal values, and only they, have equal texts. `spend` is told what it costs: texts and names are written, and what holds
 * them writes them once more.
 */
export function canonicalJson(value: unknown, spend: (steps: number) => void): string {
  spend(VALUE_STEPS);
  if (typeof value !== "object" || value === null) return written(JSON.stringify(value), spend);
  if (Array.isArray(value)) return written(`[${value.map((item) => canonicalJson(item, spend)).join()}]`, spend);
  const members = Object.entries(value).map(
    ([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member, spend)}`,
  );
  return written(`{${members.toSorted().join()}}`, spend);
}

function written(text: string, spend: (steps: number) => void): string {
  spend(text.length / CHARACTERS_A_STEP);
  return text;
}
