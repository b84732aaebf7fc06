/** What moved since an approval, said in words, and how an agent comes back: by a new approval, or by its old state. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  CONTROL_ROUTES,
  type AgentDetailJson,
  type ApprovalJson,
  type DriftJson,
  type RunJson,
} from "@opensentience/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isAlive, readProcess } from "../../packages/core/src/host/process-tree.ts";
import { approvalRows, auditRows } from "../support/audit-rows.ts";
import { type CoreHome, eventually, newHome, writeFiles } from "../support/core-home.ts";
import { denials, refuse } from "../support/refuse.ts";
import { MANIFEST, manifestText, smallAgentAt } from "../support/small-agent.ts";
import { typeNextStep } from "../support/terminal.ts";

let home: CoreHome;
beforeAll(async () => {
  home = await newHome();
  await home.json(["core", "start"]);
});
afterAll(() => home.dispose());

async function driftOf(id: string): Promise<DriftJson | null> {
  const { drift } = CONTROL_ROUTES.diff_agent.response.parse(await home.json(["agents", "diff", id]));
  expect((await home.json<AgentDetailJson>(["agents", "info", id])).drift).toEqual(drift);
  return drift;
}

function editManifest(id: string, changes: Record<string, unknown>): void {
  writeFileSync(join(home.sourceOf(id), MANIFEST), manifestText(id, changes));
}

function driftEvents(id: string): ReturnType<typeof auditRows> {
  return auditRows(home, "agent.manifest_drift_detected").filter(({ subject }) => subject === id);
}

const NOTHING = {
  permissions: { added: [], removed: [], widened: [], narrowed: [] },
  entrypoint: null,
  commit: null,
  fields: [],
  files: { added: [], removed: [], changed: [] },
};

test("the diff says what was added, removed, widened and narrowed, and what else changed", async () => {
  const id = "com.example.diff";
  const permissions = [
    "filesystem:read:~/a/**",
    "filesystem:write:~/b/x",
    "network:egress:example.com",
    "env:read:OLD_NAME",
  ];
  await smallAgentAt(home, id, "enabled", { permissions });
  expect(await driftOf(id)).toBeNull();
  editManifest(id, {
    name: "Smaller",
    description: "Stays a while.",
    entrypoint: { type: "command", value: "./bin/agent", args: ["--fast"] },
    permissions: [
      "filesystem:read:~/a/deep/**",
      "filesystem:write:~/b/**",
      "network:egress:example.com",
      "env:read:NEW_NAME",
    ],
  });
  expect(await driftOf(id)).toEqual({
    layers: ["manifest", "permissions", "entrypoint"],
    narrowing: false,
    next_step: `opensentience agents enable ${id}`,
    diff: {
      ...NOTHING,
      permissions: {
        added: ["env:read:NEW_NAME"],
        removed: ["env:read:OLD_NAME"],
        widened: [{ from: "filesystem:write:~/b/x", to: "filesystem:write:~/b/**" }],
        narrowed: [{ from: "filesystem:read:~/a/**", to: "filesystem:read:~/a/deep/**" }],
      },
      entrypoint: { from: "command ./bin/agent", to: 'command ./bin/agent "--fast"' },
      fields: [
        { field: "name", from: "Small", to: "Smaller" },
        { field: "description", from: "Stays.", to: "Stays a while." },
      ],
    },
  });
  const agent = await home.json<AgentDetailJson>(["agents", "info", id]);
  expect(agent).toMatchObject({ name: "Smaller", entrypoint: { args: ["--fast"] } });
  expect(agent.requested_permissions.map(({ permission, approved }) => [permission, approved])).toContainEqual([
    "env:read:NEW_NAME",
    false,
  ]);
  const text = (await home.cli(["agents", "diff", id])).stdout;
  for (const word of ["env:read:NEW_NAME", "env:read:OLD_NAME", "~/b/**", "~/a/deep/**", "--fast", "Smaller"])
    expect(text).toContain(word);
});

test("the diff names files that were added, removed and changed, and both commits", async () => {
  const id = "com.example.difffiles";
  const repository = await smallAgentAt(home, id, "enabled", {}, { "a.txt": "a\n", "b.txt": "b\n" });
  const source = home.sourceOf(id);
  writeFileSync(join(source, "a.txt"), "A\n");
  writeFileSync(join(source, "c.txt"), "c\n");
  const from = repository.head;
  expect(await driftOf(id)).toEqual({
    layers: ["commit"],
    narrowing: false,
    next_step: `opensentience agents build ${id}`,
    diff: { ...NOTHING, files: { added: ["c.txt"], removed: [], changed: ["a.txt"] } },
  });
  const to = await repository.commit({ "b.txt": null, "d.txt": "d\n" });
  await home.json(["agents", "install", id, "--allow-local"]);
  expect(await driftOf(id)).toEqual({
    layers: ["commit"],
    // It asks for nothing more, and Core itself fetched it.
    narrowing: true,
    next_step: `opensentience agents enable ${id}`,
    diff: { ...NOTHING, commit: { from, to } },
  });
});

test.each<[what: string, narrowing: boolean, permissions: string[], changes: Record<string, unknown>]>([
  ["a permission less", true, ["filesystem:read:~/a/**"], {}],
  ["a narrower permission", true, ["filesystem:read:~/a/**", "network:egress:api.example.com"], {}],
  ["a permission less and another description", true, ["filesystem:read:~/a/**"], { description: "x" }],
  ["another description alone", false, ["filesystem:read:~/a/**", "network:egress:*"], { description: "x" }],
  ["a permission less and another name", false, ["filesystem:read:~/a/**"], { name: "Other" }],
  ["a permission less and another one", false, ["filesystem:read:~/b/**"], {}],
  ["write instead of read", false, ["filesystem:write:~/a/**"], {}],
  [
    "a permission less and other arguments",
    false,
    [],
    { entrypoint: { type: "command", value: "./bin/agent", args: ["x"] } },
  ],
])("%s: narrowing is %s", async (_, narrowing, permissions, changes) => {
  const id = "com.example.narrowing";
  const original = ["filesystem:read:~/a/**", "network:egress:*"];
  const isKnown = auditRows(home, "agent.enabled").some(({ subject }) => subject === id);
  if (!isKnown) await smallAgentAt(home, id, "enabled", { permissions: original });
  editManifest(id, { permissions, ...changes });
  expect((await driftOf(id))?.narrowing).toBe(narrowing);
  editManifest(id, { permissions: original });
  expect(await driftOf(id)).toBeNull();
});

test("the list marks an agent that drifted, and one that runs is advised to stop before it is built anew", async () => {
  const [id, still] = ["com.example.marked", "com.example.unmarked"];
  for (const one of [id, still]) await smallAgentAt(home, one, "running");
  await writeFiles(home.sourceOf(id), { "bin/agent": "#!/bin/sh\nexec sleep 2000\n" });
  const { stdout, stderr } = await home.cli(["agents", "list"]);
  expect(stdout).toMatch(new RegExp(`^${id} +1\\.0\\.0 +running, drifted +Small$`, "m"));
  expect(stdout).toMatch(new RegExp(`^${still} +1\\.0\\.0 +running +Small$`, "m"));
  // Of those that drifted the first one's: here an agent of an earlier test.
  expect(stderr).toContain("next: opensentience agents diff com.example.");
  const { drift } = await home.json<{ drift: DriftJson }>(["agents", "diff", id]);
  expect(drift.next_step).toBe(`opensentience agents stop ${id}`);
  await typeNextStep(home, drift.next_step);
  const after = (await home.json<{ drift: DriftJson }>(["agents", "diff", id])).drift.next_step;
  expect(after).toBe(`opensentience agents build ${id}`);
  await typeNextStep(home, after);
  expect((await home.json<{ drift: DriftJson | null }>(["agents", "diff", id])).drift).toBeNull();
  for (const one of [id, still]) await home.json(["agents", "stop", one]);
});

test("drift is recorded once per state, by whichever door sees it first", async () => {
  const id = "com.example.once";
  await smallAgentAt(home, id, "enabled");
  editManifest(id, { description: "First." });
  // Scans see it and its watch may see it; runs and looks see it too.
  for (let round = 0; round < 2; round += 1) {
    await home.json(["agents", "scan"]);
    await refuse(home, ["agents", "run", id], { code: "enablement.drifted", exit: 4, about: id });
    await driftOf(id);
  }
  expect(driftEvents(id).map(({ outcome, metadata }) => [outcome, metadata["layers"]])).toEqual([
    ["denied", ["manifest"]],
  ]);
  editManifest(id, { description: "Second." });
  await eventually(() => driftEvents(id).length === 2, "the watch to see the second change");
  await refuse(home, ["agents", "run", id], { code: "enablement.drifted", exit: 4, about: id });
  expect(driftEvents(id)).toHaveLength(2);
});

test("two states that take turns are two rows", async () => {
  const id = "com.example.turns";
  await smallAgentAt(home, id, "enabled");
  for (const description of ["First.", "Second.", "First.", "Second.", "First."]) {
    editManifest(id, { description });
    await refuse(home, ["agents", "run", id], { code: "enablement.drifted", exit: 4, about: id });
    await home.json(["agents", "scan"]);
  }
  expect(driftEvents(id)).toHaveLength(2);
});

test("approving again makes the changed agent run, and supersedes the old approval", async () => {
  const id = "com.example.again";
  const repository = await smallAgentAt(home, id, "enabled", { permissions: ["filesystem:read:~/a/**"] });
  const first = (await home.json<AgentDetailJson>(["agents", "info", id])).approval as ApprovalJson;
  editManifest(id, { permissions: ["filesystem:read:~/**"] });
  await refuse(home, ["agents", "run", id], { code: "enablement.drifted", exit: 4, about: id });
  await typeNextStep(home, `opensentience agents diff ${id}`);
  // What the diff says to do next, answered with yes to everything.
  await typeNextStep(home, `opensentience agents enable ${id}`);
  const second = (await home.json<AgentDetailJson>(["agents", "info", id])).approval as ApprovalJson;
  expect(second).toMatchObject({ status: "active", approved_permissions: ["filesystem:read:~/**"] });
  expect(await driftOf(id)).toBeNull();
  expect(await home.json(["agents", "run", id])).toMatchObject({ status: "running" });
  expect(approvalRows(home, id)).toMatchObject([
    { id: first.approval_id, status: "superseded", source_commit: repository.head },
    { id: second.approval_id, status: "active", source_commit: repository.head },
  ]);
  const enabled = auditRows(home, "agent.enabled").filter(({ subject }) => subject === id);
  expect(enabled.map(({ metadata }) => metadata["superseded"])).toEqual([false, true]);
});

test("a new approval replaces a wider one: there is one active approval per agent", async () => {
  const id = "com.example.fewer";
  const permissions = ["filesystem:read:~/a/**", "network:egress:*"];
  await smallAgentAt(home, id, "enabled", { permissions });
  await home.json(["agents", "enable", id, "--approve", permissions[0] ?? ""]);
  expect(approvalRows(home, id).map(({ status }) => status)).toEqual(["superseded", "active"]);
  const agent = await home.json<AgentDetailJson>(["agents", "info", id]);
  expect(agent.approval?.approved_permissions).toEqual([permissions[0]]);
});

test("revoking stops a running agent at once, and it does not run until it is approved again", async () => {
  const id = "com.example.revoked";
  await smallAgentAt(home, id, "enabled");
  const run = await home.json<RunJson>(["agents", "run", id, "--restart", "always"]);
  const live = { pid: run.pid ?? 0, startTime: readProcess(run.pid ?? 0)?.startTime ?? "" };
  expect(isAlive(live)).toBe(true);
  const agent = await home.json<AgentDetailJson>(["agents", "revoke", id]);
  expect(isAlive(live)).toBe(false);
  expect(agent).toMatchObject({ approval: { status: "revoked" }, run: { run_id: run.run_id, status: "stopped" } });
  expect(await home.json(["agents", "ps"])).toMatchObject({
    items: expect.not.arrayContaining([expect.objectContaining({ agent_id: id })]),
  });
  const events = auditRows(home).filter(({ subject, metadata }) => subject === id || metadata["agent_id"] === id);
  expect(events.slice(-3).map(({ type, outcome }) => `${type} ${outcome}`)).toEqual([
    "agent.permissions_revoked ok",
    "agent.run_stopped unknown",
    "agent.run_stopped ok",
  ]);
  const next = `opensentience agents enable ${id}`;
  await refuse(home, ["agents", "run", id], { code: "enablement.not_enabled", exit: 4, next, about: id });
  await refuse(home, ["agents", "revoke", id], { code: "enablement.not_enabled", exit: 4, about: id });
  await typeNextStep(home, next);
  expect(await home.json(["agents", "run", id])).toMatchObject({ status: "running" });
});

test("a rollback brings back nothing from before a revocation", async () => {
  const id = "com.example.withdrawn";
  const permissions = ["filesystem:read:~/a/**", "network:egress:*"];
  const repository = await smallAgentAt(home, id, "enabled", { permissions });
  const narrow = ["agents", "enable", id, "--approve", permissions[0] ?? ""];
  await home.json(narrow);
  await home.json(["agents", "revoke", id]);
  expect(approvalRows(home, id).map(({ status }) => status)).toEqual(["revoked", "revoked"]);
  await repository.commit({ "notes.txt": "2\n" });
  await home.json(["agents", "update", id, "--allow-local"]);
  await home.json(["agents", "build", id, "--yes"]);
  await home.json(narrow);
  const agent = await home.json<AgentDetailJson>(["agents", "rollback", id]);
  // The newer approval is for the other commit; nothing takes its place.
  expect(agent.approval?.approved_permissions).toEqual([permissions[0]]);
  expect(agent.drift?.layers).toContain("commit");
  await refuse(home, ["agents", "run", id], { code: "enablement.drifted", exit: 4, about: id });
});

test("a changed file is put right at the approved commit, though a wider version is out, and the build names it", async () => {
  const id = "com.example.putright";
  const repository = await smallAgentAt(home, id, "enabled");
  const approved = repository.head;
  await repository.commit({
    [MANIFEST]: manifestText(id, { version: "2.0.0", permissions: ["filesystem:read:~/**"] }),
  });
  const names = Array.from({ length: 11 }, (_, index) => `planted-${index}\u001b[2J.js`);
  writeFileSync(join(home.sourceOf(id), "bin/agent"), "#!/bin/sh\nexec sleep 1001\n");
  const next = `opensentience agents build ${id}`;
  await refuse(home, ["agents", "run", id], { code: "enablement.drifted", exit: 4, next, about: id });
  expect((await driftOf(id))?.next_step).toBe(next);
  expect(await home.json(["agents", "info", id])).toMatchObject({ next_step: next, repair_step: next });
  expect(await typeNextStep(home, next)).toMatch(/put back 1 changed file: bin\/agent\n/);
  const agent = await home.json<AgentDetailJson>(["agents", "info", id]);
  expect(agent).toMatchObject({ version: "1.0.0", source_commit: approved, drift: null });
  expect(await home.json(["agents", "run", id])).toMatchObject({ status: "running" });
  await home.json(["agents", "stop", id]);

  for (const name of names) writeFileSync(join(home.sourceOf(id), name), "");
  const { stdout } = await home.cli(["agents", "build", id, "--yes"]);
  expect(stdout).toMatch(/^put back 11 changed files: \$'planted-0.*, \$'planted-\S+ and 1 more\nbuilt\n/);
  expect(stdout).not.toContain("\u001b");
  writeFileSync(join(home.sourceOf(id), "bin/agent"), "");
  const build = { steps: [{ phase: "compile", argv: ["touch", "planted"] }] };
  writeFileSync(join(home.sourceOf(id), MANIFEST), manifestText(id, { name: "Other", build }));
  const plan = ["agents", "build", id, "--plan"];
  expect(await home.json(plan)).toMatchObject({ put_back: ["bin/agent", MANIFEST], put_back_count: 2 });
  // The plan that was shown is that of the manifest as somebody changed it.
  const { error: refused } = await home.fails(["agents", "build", id, "--yes"]);
  expect(refused).toMatchObject({
    code: "build.plan_changed",
    message: expect.stringContaining("changed files were put back"),
    details: { put_back: ["bin/agent", MANIFEST] },
  });
  const onRecord = auditRows(home, "agent.build_failed").filter(({ subject }) => subject === id);
  expect(onRecord.at(-1)).toMatchObject({
    metadata: { code: "build.plan_changed", put_back: ["bin/agent", MANIFEST] },
  });
  expect(await home.json(plan)).toMatchObject({ put_back: [], put_back_count: 0 });
  expect(await home.json(next.split(" ").slice(1))).toMatchObject({ put_back: [], put_back_count: 0 });
  writeFileSync(join(home.sourceOf(id), MANIFEST), "{");
  for (const argv of [plan, ["agents", "build", id, "--yes"]])
    expect((await home.fails(argv)).error).toMatchObject({
      code: "manifest.invalid_json",
      next_step: expect.stringContaining(`opensentience agents install ${id}`),
    });
});

test("a changed file of an agent that is not approved leads to its build before any approval", async () => {
  const id = "com.example.unapproved";
  await smallAgentAt(home, id, "built");
  expect(await home.json(["agents", "info", id])).toMatchObject({ repair_step: null });
  writeFileSync(join(home.sourceOf(id), "bin/agent"), "#!/bin/sh\nexec sleep 1001\n");
  const next = `opensentience agents build ${id}`;
  const info = await home.cli(["agents", "info", id]);
  expect(info.stdout).toMatch(/files +not those of the installed commit/);
  expect(info.stderr).toContain(next);
  expect(await home.json(["agents", "info", id])).toMatchObject({ next_step: next, repair_step: next, drift: null });
  await refuse(home, ["agents", "enable", id, "--all"], { code: "enablement.drifted", exit: 4, next, about: id });
  await typeNextStep(home, next);
  expect(await home.json(["agents", "enable", id, "--all"])).toMatchObject({ repair_step: null });
});

test("an approval is bound to its commit: the same one again needs a build and no approval", async () => {
  const id = "com.example.bound";
  const repository = await smallAgentAt(home, id, "enabled", {}, { "notes.txt": "1\n" });
  const first = repository.head;
  const approval = (await home.json<AgentDetailJson>(["agents", "info", id])).approval;
  const install = (...options: string[]): Promise<unknown> =>
    home.json(["agents", "install", id, "--allow-local", ...options]);

  await install();
  expect(await driftOf(id)).toBeNull();
  await refuse(home, ["agents", "run", id], { code: "build.not_built", exit: 4, about: id });
  await home.json(["agents", "build", id, "--yes"]);
  expect(await home.json(["agents", "run", id])).toMatchObject({ status: "running" });
  await home.json(["agents", "stop", id]);

  await repository.commit({ "notes.txt": "2\n" });
  await install();
  await home.json(["agents", "build", id, "--yes"]);
  await refuse(home, ["agents", "run", id], { code: "enablement.drifted", exit: 4, about: id });

  await install("--ref", first);
  expect(readFileSync(join(home.sourceOf(id), "notes.txt"), "utf8")).toBe("1\n");
  await home.json(["agents", "build", id, "--yes"]);
  const before = denials(home).length;
  expect(await home.json(["agents", "run", id])).toMatchObject({ status: "running" });
  expect((await home.json<AgentDetailJson>(["agents", "info", id])).approval).toEqual(approval);
  expect(approvalRows(home, id)).toHaveLength(1);
  expect(denials(home)).toHaveLength(before);
});

test("another copy on disk never counts as drift", async () => {
  const id = "com.example.copy";
  await smallAgentAt(home, id, "enabled");
  await writeFiles(join(home.projects, "copy"), {
    [MANIFEST]: manifestText(id, { permissions: ["network:egress:*"] }),
  });
  await home.json(["agents", "scan"]);
  expect(await driftOf(id)).toBeNull();
  const agent = await home.json<AgentDetailJson>(["agents", "info", id]);
  expect(agent).toMatchObject({ discovered_path: join(home.projects, "copy"), requested_permissions: [] });
  expect(await home.json(["agents", "run", id])).toMatchObject({ status: "running" });
});
