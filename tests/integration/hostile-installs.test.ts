/** Installs against what can go wrong or be put in their way: no half state, no stolen id, no open end. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { AgentDetailJson } from "@opensentience/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { type CoreHome, gitRepository, newHome } from "../support/core-home.ts";
import { refuse } from "../support/refuse.ts";
import { manifestText, MANIFEST, smallAgent, smallAgentAt } from "../support/small-agent.ts";
import { typeNextStep } from "../support/terminal.ts";

let home: CoreHome;
beforeAll(async () => {
  home = await newHome();
});
afterAll(() => home.dispose());

const info = (id: string): Promise<AgentDetailJson> => home.json(["agents", "info", id]);

test("a reinstall that fails before its swap leaves the working install, and names the agent and its intent", async () => {
  const id = "install.kept";
  await smallAgentAt(home, id, "enabled");
  // The journal cannot be written: its name is taken.
  const obstacle = join(home.folder, "agents", id, "installing.json");
  mkdirSync(obstacle);
  const again = ["agents", "install", id, "--allow-local"];
  await refuse(home, again, { code: "install.io_failed", exit: 1, next: "opensentience core status" });
  rmSync(obstacle, { recursive: true });
  expect(await info(id)).toMatchObject({ drift: null, build_status: "built" });
  expect(await home.json(["agents", "run", id])).toMatchObject({ status: "running" });
  await home.json(["agents", "stop", id]);
  const [failed] = causes("agent.install_failed", id);
  expect(failed?.causation_id).toBe(causes("agent.installed", id).at(-1)?.event_id);
  await home.json(again);
});

test("an install by URL does not take an installed id over from another repository", async () => {
  const id = "install.owner";
  const owner = await smallAgentAt(home, id, "enabled");
  const thief = await gitRepository("thief", smallAgent(id, { version: "6.6.6" }));
  const next = `opensentience agents install ${id} --git-url file://${thief.url} --allow-local`;
  const expected = { code: "install.already_installed", exit: 6, next } as const;
  await refuse(home, ["agents", "install", thief.url, "--allow-local"], expected);
  expect(await info(id)).toMatchObject({ source_commit: owner.head, version: "1.0.0", drift: null });
  // Its own repository is no other.
  await home.json(["agents", "install", owner.url, "--allow-local"]);
  await typeNextStep(home, next);
  expect(await info(id)).toMatchObject({ source_commit: thief.head, version: "6.6.6" });
  const done = auditRows(home, "agent.installed").filter(
    ({ subject, metadata }) => subject === id && metadata["phase"] === "done",
  );
  expect(done.map(({ metadata }) => metadata["previous_git_url"])).toEqual([
    undefined,
    undefined,
    `file://${owner.url}`,
  ]);
});

test("an install that fails is recorded about the agent as soon as its id is known", async () => {
  const id = "install.busy";
  const repository = await smallAgentAt(home, id, "running");
  await refuse(home, ["agents", "install", repository.url, "--allow-local"], { code: "install.running", exit: 6 });
  expect(causes("agent.install_failed", id)).toHaveLength(1);
  await home.json(["agents", "stop", id]);
});

test.each([
  ["the tree in place is the one that was installed", false],
  ["the swap was in its middle", true],
])("a damaged journal does not keep Core from starting: %s", async (_when, isInSwap) => {
  const id = `install.journal${isInSwap ? "1" : "2"}`;
  const repository = await smallAgentAt(home, id, "installed");
  await repository.commit({ [MANIFEST]: manifestText(id, { version: "2.0.0" }) });
  await home.json(["agents", "install", id, "--allow-local"]);
  await home.json(["agents", "build", id, "--yes"]);
  await home.json(["core", "stop"]);
  const root = join(home.folder, "agents", id);
  if (isInSwap) {
    rmSync(join(root, "previous"), { recursive: true });
    mkdirSync(join(root, "previous"));
    for (const part of ["repo.git", "tracked.json", "src"]) renameSync(join(root, part), join(root, "previous", part));
  }
  writeFileSync(join(root, "installing.json"), "{half");
  expect(await info(id)).toMatchObject({ version: "2.0.0", drift: null });
  expect(existsSync(join(root, "installing.json"))).toBe(false);
  expect(readFileSync(join(root, "src", MANIFEST), "utf8")).toContain("2.0.0");
  const [type, code] = isInSwap ? ["agent.install_failed", "core_lost"] : ["security.denied", "no_intent"];
  expect(auditRows(home, type).at(-1)).toMatchObject({ subject: id, metadata: { code } });
  await home.json(["agents", "build", id, "--yes"]);
});

test("staging is empty afterwards", () => {
  const staging = join(home.folder, "agents/.staging");
  expect(existsSync(staging) ? readdirSync(staging) : []).toEqual([]);
});

/** The ids that link the events of one type about an agent, oldest first. */
function causes(type: string, agentId: string): { event_id: string; causation_id: string | null }[] {
  const database = new DatabaseSync(join(home.folder, "state/core.sqlite3"), { readOnly: true });
  try {
    return database
      .prepare("SELECT event_id, causation_id FROM audit_events WHERE event_type = ? AND subject_id = ? ORDER BY seq")
      .all(type, agentId) as { event_id: string; causation_id: string | null }[];
  } finally {
    database.close();
  }
}
