/**
 * `npm test`: all of it, in the order in which a fault is cheapest to see. Installs missing Debian packages where it
 * may, bundles, runs every check, the integration tests against the bundle and the page in a browser, then stages and tries a release.
 * Ends with one plain line, `N passed, N failed`.
 */
import { resolve } from "node:path";
import { buildBundle } from "./build-bundle.ts";
import { buildPage } from "./build-page.ts";
import { buildRelease } from "./build-release.ts";
import { runChecks } from "./check.ts";
import { ensureTools } from "./ensure-tools.ts";
import { runVitest } from "./run-vitest.ts";
import { addTallies, closeWith, tallyStep, type Tally } from "./tally.ts";

const REPOSITORY = resolve(import.meta.dirname, "..");

const tallies: Tally[] = [];
tallies.push(
  await tallyStep("tools", () => {
    const missing = ensureTools();
    // Without CI their tests skip themselves; under CI nothing that can be installed may be missing.
    if (missing.length > 0 && process.env["CI"]) throw new Error(`missing: ${missing.join(", ")}`);
  }),
);
tallies.push(
  await tallyStep("bundle", async () => {
    if (!(await buildBundle())) throw new Error("there is no program to bundle");
  }),
);
tallies.push(await tallyStep("page", () => buildPage()));
tallies.push(await runChecks());
tallies.push(await runVitest(["integration", "e2e", "soak"], REPOSITORY));
tallies.push(await tallyStep("release", () => buildRelease()));
closeWith(addTallies(tallies));
