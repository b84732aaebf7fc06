import { defineConfig } from "vitest/config";

/** With the full counts of a soak a test may take an hour, and does not wait. */
const isSoak = process.env["SOAK_REPORT"] !== undefined;
const SOAK_TIMEOUT = isSoak ? 3_600_000 : 180_000;

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
          // Each file starts its own Core and real agents, and waits for them for a good part of its time: it takes three
          // files at a time to fill a machine with two cores.
          maxWorkers: 3,
          sequence: { groupOrder: 2 },
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
          // Each file starts a browser, which is never idle for long, and a Core: two of them fill a small machine. Before the
          // others and not beside them: what a page shows has to be there in time.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: "soak",
          include: ["tests/soak/**/*.test.ts"],
          maxWorkers: isSoak ? 2 : 3,
          sequence: { groupOrder: isSoak ? 3 : 2 },
          testTimeout: SOAK_TIMEOUT,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
