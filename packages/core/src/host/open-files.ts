/** How many descriptors this process may have. */
import { readFileSync } from "node:fs";

/** The limit that holds now (`ulimit -n`; Node raises it to the hard one when it starts); Infinity where there is none, or none is told. */
export function openFileLimit(): number {
  let text: string;
  try {
    text = readFileSync("/proc/self/limits", "utf8");
  } catch {
    return Infinity;
  }
  const limit = Number(/^Max open files +(\d+)/m.exec(text)?.[1]);
  return Number.isNaN(limit) ? Infinity : limit;
}
