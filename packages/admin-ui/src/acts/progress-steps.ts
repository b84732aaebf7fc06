/** The steps of an act as they are read out. Pure. */
import type { Progress } from "../api/client.ts";

const SHOWN_STEPS = 200;
/** `Receiving objects:  45% (9/20)`: git writes one line over and over, and so is it shown. */
const COUNTING = /^(.*?):\s+\d+%? ?\(/;

/** A step that only counts on takes the place of the one that it goes on from. Older steps leave. */
export function withStep(steps: readonly Progress[], step: Progress): readonly Progress[] {
  const counted = whatCounts(step);
  const last = steps.at(-1);
  if (counted !== undefined && last !== undefined && whatCounts(last) === counted) return [...steps.slice(0, -1), step];
  return [...steps.slice(1 - SHOWN_STEPS), step];
}

function whatCounts({ phase, text }: Progress): string | undefined {
  const what = COUNTING.exec(text)?.[1];
  return what === undefined ? undefined : `${phase} ${what}`;
}
