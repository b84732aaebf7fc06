import { defineConfig } from "vitest/config";

/** Three kinds of test: beside the code, the walls between folders, and through the public doors of real processes. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["packages/*/src/**/*.test.ts"],
        },
      },
      {
        test: {
          name: "architecture",
          include: ["tests/architecture.test.ts", "tests/docs.test.ts"],
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
    ],
  },
});
