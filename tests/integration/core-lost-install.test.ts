/** kill -9 of Core at the worst moments of an install: the tree is the old one or the new one, and usable. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { type CoreHome, eventually, type GitRepository, gitRepository, newHome } from "../support/core-home.ts";
import { manifestText, MANIFEST, smallAgent } from "../support/small-agent.ts";

const AGENT = "lost.install";
/** Attempts to hit the moment before the test says that it could not. */
const ATTEMPTS = 12;

let home: CoreHome;
let repository: GitRepository;
let root = "";
let version = 1;
beforeAll(async () => {
  home = await newHome();
  root = join(home.folder, "agents", AGENT);
  repository = await gitRepository("source", smallAgent(AGENT, { version: "1.0.0" }, { "version.txt": "1.0.0" }));
});
afterAll(() => home.dispose());

const has = (...path: string[]): boolean => existsSync(join(root, ...path));

/** Commits another version, installs it, and kills Core as soon as `moment` is there; false when the install was quicker. */
async function killAt(moment: () => boolean): Promise<boolean> {
  version += 1;
  await repository.commit({
    [MANIFEST]: manifestText(AGENT, { version: `${version}.0.0` }),
    "version.txt": `${version}.0.0`,
  });
  const pid = (await home.json<{ pid: number }>(["core", "start"])).pid;
  let isOver = false;
  const installing = home
    .cli(["agents", "install", repository.url, "--allow-local", "--json"])
    .finally(() => (isOver = true));
  while (!isOver && !moment()) await nextTurn();
  process.kill(pid, "SIGKILL");
  const wasInTime = !isOver;
  await installing;
  await eventually(
    () => !existsSync(`/proc/${pid}`) || readFileSync(`/proc/${pid}/stat`, "latin1").includes(") Z "),
    "Core to be dead",
  );
  return wasInTime;
}

/** Whatever happened, what is there now is one whole version, on disk and in the database, and it can be used. */
async function expectUsable(): Promise<string> {
  const agent = await home.json<{
    version: string;
    source_commit: string;
    build_status: string;
    status: string;
    next_step: string;
  }>(["agents", "info", AGENT]);
  expect(readFileSync(join(root, "src/version.txt"), "utf8")).toBe(agent.version);
  expect(await repository.git("show", `${agent.source_commit}:version.txt`)).toBe(agent.version);
  expect(has("installing.json")).toBe(false);
  const staging = join(home.folder, "agents/.staging");
  expect(existsSync(staging) ? readdirSync(staging) : []).toEqual([]);
  await home.json(["agents", "build", AGENT, "--yes"]);
  await home.json(["agents", "enable", AGENT, "--all"]);
  await home.json(["agents", "run", AGENT]);
  await home.json(["agents", "stop", AGENT]);
  expect(await home.json(["audit", "verify"])).toMatchObject({ status: "intact" });
  return agent.version;
}

describe("a first install", () => {
  test("interrupted in the middle of the swap leaves no agent, or the whole of it", async () => {
    let hit = false;
    for (let attempt = 0; attempt < ATTEMPTS && !hit && !has("src"); attempt += 1)
      hit = (await killAt(() => has("installing.json"))) && has("installing.json");
    const { items } = await home.json<{ items: { agent_id: string; install_path: string | null }[] }>([
      "agents",
      "list",
    ]);
    const isInstalled = items.some((agent) => agent.agent_id === AGENT && agent.install_path !== null);
    expect(has("src")).toBe(isInstalled);
    expect(has("installing.json")).toBe(false);
    if (hit && !isInstalled) expect(auditRows(home, "agent.install_failed").at(-1)?.metadata["code"]).toBe("core_lost");
    if (!isInstalled) await home.json(["agents", "install", repository.url, "--allow-local"]);
    await expectUsable();
  });
});

describe("an install of another version", () => {
  test.each([
    [
      "while git's objects arrive",
      (): boolean =>
        existsSync(join(home.folder, "agents/.staging")) &&
        readdirSync(join(home.folder, "agents/.staging")).length > 0,
      false,
    ],
    ["when the journal is written", (): boolean => has("installing.json"), true],
    ["when the old source has moved away", (): boolean => has("installing.json") && !has("src"), true],
    [
      "when the new source is in place",
      (): boolean => has("installing.json") && has("src") && has("previous", "src"),
      true,
    ],
  ])("interrupted %s is the old one or the new one", async (_when, moment, isInSwap) => {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const before = (await home.json<{ version: string }>(["agents", "info", AGENT])).version;
      const hit = await killAt(moment);
      const inSwap = has("installing.json");
      const failures = auditRows(home, "agent.install_failed").length;
      const after = await expectUsable();
      expect([before, `${version}.0.0`]).toContain(after);
      const closed = auditRows(home, "agent.install_failed").slice(failures);
      expect(closed.map(({ metadata }) => metadata["code"])).toEqual(inSwap && after === before ? ["core_lost"] : []);
      const done = auditRows(home, "agent.installed")
        .filter(({ metadata }) => metadata["phase"] === "done")
        .at(-1);
      expect(await repository.git("show", `${String(done?.metadata["commit"])}:version.txt`)).toBe(after);
      if (isInSwap ? inSwap : hit) return;
    }
    throw new Error(`not once in ${ATTEMPTS} attempts was the moment met`);
  });

  test("interrupted when the journal is gone is the new one", async () => {
    let seen = false;
    await killAt(() => {
      seen ||= has("installing.json");
      return seen && !has("installing.json");
    });
    expect(await expectUsable()).toBe(`${version}.0.0`);
  });
});
