/** How many checks and tests passed, failed and were skipped, and the plain closing line that says so. */

export type Tally = { passed: number; failed: number; skipped: number };

export function addTallies(tallies: readonly Tally[]): Tally {
  return tallies.reduce(
    (sum, one) => ({
      passed: sum.passed + one.passed,
      failed: sum.failed + one.failed,
      skipped: sum.skipped + one.skipped,
    }),
    { passed: 0, failed: 0, skipped: 0 },
  );
}

/** A check that either passes or throws counts as one test. */
export async function tallyStep(name: string, step: () => unknown): Promise<Tally> {
  const startedAt = performance.now();
  try {
    await step();
    printStep("ok", name, startedAt);
    return { passed: 1, failed: 0, skipped: 0 };
  } catch (error) {
    printStep("FAILED", name, startedAt);
    console.log(error instanceof Error ? error.message : String(error));
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

function printStep(result: string, name: string, startedAt: number): void {
  console.log(`${result.padEnd(7)}${name} (${Math.round(performance.now() - startedAt)} ms)`);
}

/** Prints `N passed, N failed` (and `, N skipped`) alone on the last line and sets the exit code. */
export function closeWith(tally: Tally): void {
  const skipped = tally.skipped > 0 ? `, ${tally.skipped} skipped` : "";
  console.log(`\n${tally.passed} passed, ${tally.failed} failed${skipped}`);
  process.exitCode = tally.failed > 0 || tally.passed === 0 ? 1 : 0;
}
