/**
 * Keeps the heap of a long-lived Core near what it really uses. By default V8 lets garbage pile up while a program is
 * busy: an agent that floods its output would make Core 100 MB larger, although at no moment more than a few MB of it
 * are alive. Collecting earlier costs no throughput that could be measured. Called once, before the daemon is
 * loaded.
 */
import { setFlagsFromString } from "node:v8";

/** V8 reads these each time it decides how far a space may grow, so they take effect in a running process. */
const FLAGS = ["--semi-space-growth-factor=1", "--heap-growing-percent=20"];

export function keepHeapSmall(): void {
  for (const flag of FLAGS) setFlagsFromString(flag);
}
