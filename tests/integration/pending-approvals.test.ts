/** An approval that is given while its agent runs: what holds at once, what waits for the next start, and who says so. */
import type { AgentDetailJson, AgentJson } from "@opensentience/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CoreHome, newHome } from "../support/core-home.ts";
import { smallAgentAt } from "../support/small-agent.ts";

const READ = "filesystem:read:~/notes/**";
const EGRESS = "network:egress:example.com:443";
const TOOL = "tool:invoke:com.example.other/search";

let home: CoreHome;
beforeAll(async () => {
  home = await newHome();
});
afterAll(() => home.dispose());

const listed = async (agentId: string): Promise<AgentJson | undefined> =>
  (await home.json<{ items: AgentJson[] }>(["agents", "list"])).items.find(({ agent_id: id }) => id === agentId);

test("what was narrowed while it runs is pending until it is restarted, and said everywhere", async () => {
  const id = "com.example.narrowed";
  await smallAgentAt(home, id, "built", { permissions: [READ, EGRESS, TOOL] });
  await home.json(["agents", "enable", id, "--approve", READ, "--approve", TOOL]);
  await home.json(["agents", "run", id]);
  expect(await listed(id)).toMatchObject({ pending_permissions: null, next_step: `opensentience agents logs ${id}` });
  // A tool is asked for with every call, so that one is not pending.
  const enabled = await home.cli(["agents", "enable", id, "--approve", EGRESS]);
  expect(enabled.stdout).toContain(`until it is restarted, this run keeps ${READ}, lacks ${EGRESS}`);
  expect(enabled.stderr).toContain(`opensentience agents restart ${id}`);
  expect(enabled.stderr).toContain(`no longer approved: ${TOOL}; takes effect at once\n`);
  expect(enabled.stderr).toContain(`no longer approved: ${READ}; takes effect at the next start\n`);
  const pending = { removed: [READ], added: [EGRESS] };
  const restart = { pending_permissions: pending, next_step: `opensentience agents restart ${id}` };
  expect(await listed(id)).toMatchObject(restart);
  expect(await home.json<AgentDetailJson>(["agents", "info", id])).toMatchObject(restart);
  await home.json(["agents", "restart", id]);
  expect(await listed(id)).toMatchObject({ pending_permissions: null });
  // What is put back to what the run began with is pending no more.
  await home.json(["agents", "enable", id, "--all"]);
  expect(await listed(id)).toMatchObject({ pending_permissions: { removed: [], added: [READ] } });
  await home.json(["agents", "enable", id, "--approve", EGRESS]);
  expect(await listed(id)).toMatchObject({ pending_permissions: null });
  await home.json(["agents", "stop", id]);
  expect(await listed(id)).toMatchObject({ pending_permissions: null, next_step: `opensentience agents run ${id}` });
});

test("what a wider permission covers is not pending, whichever of the two the run began with", async () => {
  const id = "com.example.covered";
  const narrow = "filesystem:read:~/notes/a/**";
  const write = "filesystem:write:~/notes/a/**";
  await smallAgentAt(home, id, "built", { permissions: [READ, narrow, write] });
  const pending = async (...approved: string[]): Promise<unknown> => {
    await home.json(["agents", "enable", id, ...approved.flatMap((permission) => ["--approve", permission])]);
    return (await home.json<AgentDetailJson>(["agents", "info", id])).pending_permissions;
  };
  await pending(READ);
  await home.json(["agents", "run", id]);
  expect(await pending(READ, narrow)).toBeNull();
  expect(await pending(READ, narrow, write)).toEqual({ removed: [], added: [write] });
  expect(await pending(narrow)).toEqual({ removed: [READ], added: [] });
  await home.json(["agents", "restart", id]);
  expect(await pending(READ)).toEqual({ removed: [], added: [READ] });
  await home.json(["agents", "stop", id]);
});

test("an agent in trouble gets the step that it needs: run where it is approved, a review where it is not", async () => {
  const id = "com.example.crashed";
  const failing = { "bin/agent": { text: "#!/bin/sh\nexit 3\n", mode: 0o755 } };
  await smallAgentAt(home, id, "enabled", {}, failing);
  await home.fails(["agents", "run", id]);
  expect(await listed(id)).toMatchObject({ status: "error", next_step: `opensentience agents run ${id}` });
  await home.json(["agents", "revoke", id]);
  expect(await listed(id)).toMatchObject({ status: "error", next_step: `opensentience agents enable ${id}` });
});
