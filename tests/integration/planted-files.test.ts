/** What a program of the same user can put in place of the files that Core keeps for itself, while Core is not running. */
import { existsSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runTool } from "../../packages/core/src/host/child-process.ts";
import { EXAMPLES, gitRepository, newHome, type CoreHome } from "../support/core-home.ts";

const AGENT = "org.opensentience.examples.hello-tools";
/** A start that waits for a FIFO never ends; one that does not takes some two seconds. */
const AT_ONCE = { timeoutMs: 30_000 };

type Plant = (path: string) => Promise<void> | void;
const PLANTS: [name: string, plant: Plant][] = [
  ["a FIFO", fifo],
  ["a link", (path) => symlinkSync("/dev/zero", path)],
  ["a file of 10 GB with nothing in it", hole],
];

async function fifo(path: string): Promise<void> {
  const made = await runTool(["/usr/bin/mkfifo", path], { cwd: "/", env: {}, timeoutMs: 10_000, maxBytes: 1_000 });
  expect(made.exitCode).toBe(0);
}

function hole(path: string): void {
  writeFileSync(path, "");
  truncateSync(path, 10 * 1024 ** 3);
}

let home: CoreHome;
beforeAll(async () => {
  const repository = await gitRepository("hello-tools", { copyOf: join(EXAMPLES, "hello-tools") });
  home = await newHome();
  await home.json(["agents", "install", repository.url, "--allow-local"]);
  await home.json(["agents", "enable", AGENT, "--all"]);
});
afterAll(() => home.dispose());

test("a forged journal does not have Core remove a healthy agent, and is in the log", async () => {
  await home.cli(["core", "stop"]);
  const forged = { commit: "0", parts: [], hadPrevious: false, isRollback: false };
  writeFileSync(join(home.folder, "agents", AGENT, "installing.json"), JSON.stringify(forged));
  await home.json(["core", "start"], AT_ONCE);
  const agent = await home.json<{ approval: { status: string } }>(["agents", "info", AGENT]);
  expect(agent.approval.status).toBe("active");
  expect(existsSync(home.sourceOf(AGENT))).toBe(true);
  const { items } = await home.json<{ items: { event_type: string; metadata: object }[] }>(["audit", "list"]);
  expect(items.filter((event) => event.event_type === "security.denied")).toMatchObject([
    { metadata: { code: "no_intent" } },
  ]);
  expect(items.some((event) => event.event_type === "agent.removed")).toBe(false);
});

describe("what was planted in place of Core's own files does not hold up its start", () => {
  test.each(PLANTS)("%s", async (_, plant) => {
    await home.cli(["core", "stop"]);
    const root = join(home.folder, "agents", AGENT);
    for (const name of ["installing.json", "tracked.json", "built.json", "tree-cache.json"]) {
      rmSync(join(root, name), { force: true });
      await plant(join(root, name));
    }
    await plant(join(home.folder, "run/core.pid"));
    await home.json(["core", "start"], AT_ONCE);
    expect(existsSync(join(root, "src"))).toBe(true);
    expect(existsSync(join(root, "installing.json"))).toBe(false);
    expect(home.coreLog()).toContain(`${AGENT}: a journal of an install that the audit log does not know`);
    await home.json(["agents", "info", AGENT], AT_ONCE);
  });
});

describe("what was planted in place of the audit log's files is said at the start, which does not wait", () => {
  test.each(PLANTS)("%s", async (_, plant) => {
    const fresh = await newHome();
    await fresh.json(["core", "start"]);
    for (const name of ["audit.checkpoints", "audit.key"]) {
      await fresh.cli(["core", "stop"]);
      const path = join(fresh.folder, "state", name);
      rmSync(path);
      await plant(path);
      await fresh.cli(["core", "start"], AT_ONCE);
      const { error } = await fresh.fails(["agents", "list"], AT_ONCE);
      expect(error).toMatchObject({ code: "core.degraded", next_step: expect.stringContaining("mv ") as string });
      const what = name === "audit.key" ? "the signing key" : "the file of checkpoints";
      expect(fresh.coreLog()).toContain(
        `degraded: audit.not_intact: the audit log is not intact: ${what} cannot be read`,
      );
    }
    await fresh.dispose();
  });
});
