import { defineConfig } from "vitest/config";

/** With the full counts of a soak a test may take an hour. */
const SOAK_TIMEOUT = process.env["SOAK_REPORT"] === undefined ? 180_000 : 3_600_000;

/**
 * Kinds of test: beside the code, the walls between folders, through the public doors of real processes, the page in a
 * real browser, and what counts, with counts that `npm run soak` raises.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["packages/*/src/**/*.test.ts"],
          // Some wait for what real processes do. Vitest would leave half of a machine with two cores unused.
          maxWorkers: 2,
          // What takes a second of a processor takes many where others need it too.
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: "architecture",
          include: ["tests/architecture.test.ts", "tests/docs.test.ts"],
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: "integration",
          include: ["tests/integration/**/*.test.ts"],
          // Each file starts its own Core and real agents: two files at a time fill a small machine.
          maxWorkers: 2,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: "e2e",
          include: ["tests/e2e/**/*.test.ts"],
          // Pictures are made when they are asked for, with `npm run pictures`.
          exclude: process.env["PAGE_PICTURES"] === undefined ? ["tests/e2e/pictures.test.ts"] : [],
          // Each file starts a browser and a Core. As many as of the others, so that all three share one queue.
          maxWorkers: 2,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: "soak",
          include: ["tests/soak/**/*.test.ts"],
          maxWorkers: 2,
          testTimeout: SOAK_TIMEOUT,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
