/** A restart that cannot start again: refused before the stop where that can be known, and said where it could not. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PsItemJson } from "@opensentience/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { actsIn } from "../support/agent-acts.ts";
import { type CoreHome, eventually, newHome } from "../support/core-home.ts";
import { refuse } from "../support/refuse.ts";
import { smallAgentAt } from "../support/small-agent.ts";

const GREETING = "env:read:GREETING";

let home: CoreHome;
beforeAll(async () => {
  home = await newHome();
});
afterAll(() => home.dispose());
const { said } = actsIn(() => home);

const liveRun = async (id: string): Promise<string | undefined> =>
  (await home.json<{ items: PsItemJson[] }>(["agents", "ps"])).items.find(({ agent_id: one }) => one === id)?.run_id;

/** What runs is the run of before, and the refusal says that it does. */
async function isLeftAlone(id: string, expected: Parameters<typeof refuse>[2]): Promise<void> {
  const before = await liveRun(id);
  expect(before).toBeDefined();
  const { message } = await refuse(home, ["agents", "restart", id], { ...expected, about: id });
  expect(message).toContain(`${id} runs on as it was`);
  expect(await liveRun(id)).toBe(before);
}

test("a restart into a missing variable, a forbidden path or a missing program leaves the run alone", async () => {
  const id = "com.example.variable";
  const forbidden = "filesystem:read:/proc/**";
  await smallAgentAt(home, id, "built", { permissions: [GREETING, forbidden] });
  await home.cli(["agents", "enable", id, "--approve", ""]);
  await home.json(["agents", "run", id]);
  await home.json(["agents", "enable", id, "--approve", GREETING]);
  await isLeftAlone(id, { code: "launcher.env_missing", exit: 4, next: "opensentience core restart" });
  await home.json(["agents", "enable", id, "--approve", forbidden]);
  await isLeftAlone(id, { code: "sandbox.path_forbidden", exit: 4 });
  await home.json(["agents", "revoke", id]);
  const { message } = await refuse(home, ["agents", "restart", id], { code: "enablement.not_enabled", exit: 4 });
  expect(message).not.toContain("runs on");
});

test("a restart that is refused after the stop says that the agent is stopped now, and what mends it", async () => {
  const id = "com.example.late";
  const text = "#!/bin/sh\ntrap 'echo asked; while [ ! -e \"$HOME/go\" ]; do sleep 0.05; done; exit 0' TERM\n";
  const program = { text: `${text}echo started\nwhile :; do sleep 0.05; done\n`, mode: 0o755 };
  await smallAgentAt(home, id, "running", {}, { "bin/agent": program, "notes.txt": "1\n" });
  await said(id, "started");
  const next = `opensentience agents build ${id}`;
  const refused = refuse(home, ["agents", "restart", id], { code: "enablement.drifted", exit: 4, next, about: id });
  await said(id, "asked");
  rmSync(join(home.sourceOf(id), "notes.txt"));
  writeFileSync(join(home.folder, "agents", id, "data/go"), "");
  expect((await refused).message).toContain(`${id} is stopped now`);
  expect(await liveRun(id)).toBeUndefined();
});

test("a restart of a run whose approval has just ended is refused, and the run with it", async () => {
  const id = "com.example.ended";
  await smallAgentAt(home, id, "built");
  const at = new Date(Date.now() + 4_000).toISOString();
  await home.json(["agents", "enable", id, "--all", "--expires", at]);
  await home.json(["agents", "run", id]);
  await eventually(() => Date.now() > Date.parse(at), "the approval to end");
  const { message } = await refuse(home, ["agents", "restart", id], { code: "enablement.expired", exit: 4, about: id });
  expect(message).not.toContain("runs on");
  expect(await liveRun(id)).toBeUndefined();
});
