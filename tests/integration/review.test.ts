/** The review of `agents enable` as a person meets it, under a pseudo-terminal. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AgentDetailJson } from "@opensentience/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { type CoreHome, type Files, newHome, writeFiles } from "../support/core-home.ts";
import { denials } from "../support/refuse.ts";
import { MANIFEST, manifestText, smallAgentAt } from "../support/small-agent.ts";
import { type Answer, onTerminal } from "../support/terminal.ts";

const READ = "filesystem:read:~/notes/**";
const EGRESS = "network:egress:*";
const NARROW = "filesystem:read:~/notes/a/**";
const EACH = "[y/N/a/q] ";
const KEY = "[y, or any other key for no] ";
const LAST = "Approve this, for exactly this state of the agent? [y/N] ";

let home: CoreHome;
beforeAll(async () => {
  home = await newHome();
  await home.json(["core", "start"]);
});
afterAll(() => home.dispose());

async function info(id: string): Promise<AgentDetailJson> {
  return await home.json(["agents", "info", id]);
}

function approvals(id: string): unknown[] {
  return auditRows(home, "agent.enabled").filter(({ subject }) => subject === id);
}

test("approves one permission, declines the other, and shows what each means and risks", async () => {
  const id = "com.example.review";
  await smallAgentAt(home, id, "built", { permissions: [READ, EGRESS] });
  const { code, text } = await onTerminal(
    home,
    ["agents", "enable", id],
    [
      { when: EACH, type: "y\n" },
      { when: EACH, type: "\n" },
      { when: LAST, type: "y\n" },
    ],
  );
  expect(code).toBe(0);
  const agent = await info(id);
  expect(agent.approval?.approved_permissions).toEqual([READ]);
  for (const { permission, meaning, risk } of agent.requested_permissions) {
    expect(text).toContain(permission);
    expect(text).toContain(meaning);
    if (risk !== null) expect(text).toContain(risk);
  }
  expect(agent.requested_permissions.find(({ permission }) => permission === EGRESS)?.risk).not.toBeNull();
  expect(text).toMatch(/1 of 2 permissions, manifest [0-9a-f]{12}, commit [0-9a-f]{12}/);
  expect(await home.json(["agents", "run", id])).toMatchObject({ status: "running" });
});

test.each<[what: string, answers: Answer[]]>([
  [
    "no to the last question",
    [
      { when: EACH, type: "a\n" },
      { when: LAST, type: "n\n" },
    ],
  ],
  [
    "Enter at the last question",
    [
      { when: EACH, type: "a\n" },
      { when: LAST, type: "\n" },
    ],
  ],
  ["quit", [{ when: EACH, type: "q\n" }]],
])("approves nothing after %s", async (_, answers) => {
  const id = "com.example.declined";
  if (!existsSync(home.sourceOf(id))) await smallAgentAt(home, id, "built", { permissions: [READ, EGRESS] });
  const { code, text } = await onTerminal(home, ["agents", "enable", id], answers);
  expect([code, text.includes("nothing was approved")]).toEqual([1, true]);
  expect(await info(id)).toMatchObject({ approval: null, status: "installed" });
  expect(approvals(id)).toEqual([]);
});

test("declines by default: Enter at every permission approves none of them", async () => {
  const id = "com.example.defaults";
  await smallAgentAt(home, id, "built", { permissions: [READ, EGRESS] });
  const { code, text } = await onTerminal(
    home,
    ["agents", "enable", id],
    [
      { when: EACH, type: "\n" },
      { when: EACH, type: "\n" },
      { when: LAST, type: "y\n" },
    ],
  );
  expect([code, text.includes("0 of 2 permissions")]).toEqual([0, true]);
  expect((await info(id)).approval?.approved_permissions).toEqual([]);
});

test("Ctrl-C and Ctrl-D in the middle of a review end it with 130 and approve nothing", async () => {
  const id = "com.example.left";
  await smallAgentAt(home, id, "built", { permissions: [READ, EGRESS] });
  for (const key of ["\u0003", "\u0004"]) {
    const answers = [
      { when: EACH, type: "y\n" },
      { when: EACH, type: key },
    ];
    expect((await onTerminal(home, ["agents", "enable", id], answers)).code).toBe(130);
  }
  expect(approvals(id)).toEqual([]);
});

test("a manifest that is swapped between the review and the approval is refused", async () => {
  const id = "com.example.swapped";
  await smallAgentAt(home, id, "built", { permissions: [READ] });
  const path = join(home.sourceOf(id), MANIFEST);
  const original = readFileSync(path, "utf8");
  const swap = (): Promise<void> =>
    Promise.resolve(writeFileSync(path, manifestText(id, { permissions: [READ, EGRESS] })));
  const answers: Answer[] = [
    { when: EACH, type: "a\n" },
    { when: LAST, type: "y\n", first: swap },
  ];
  const before = denials(home).length;
  const { code, text } = await onTerminal(home, ["agents", "enable", id], answers);
  expect([code, text.includes("(enablement.drifted)")]).toEqual([4, true]);
  expect(text).toContain(`next: opensentience agents info ${id}`);
  expect(denials(home).slice(before)).toMatchObject([{ subject: id, metadata: { code: "enablement.drifted" } }]);
  expect((await info(id)).approval).toBeNull();

  writeFileSync(path, original);
  const again = [
    { when: EACH, type: "a\n" },
    { when: LAST, type: "y\n" },
  ];
  expect((await onTerminal(home, ["agents", "enable", id], again)).code).toBe(0);
});

test("another commit that is installed between the review and the approval is refused", async () => {
  const id = "com.example.replaced";
  const repository = await smallAgentAt(home, id, "built", { permissions: [READ] });
  const replace = async (): Promise<void> => {
    await repository.commit({ "bin/other": "#!/bin/sh\n" });
    await home.json(["agents", "install", id, "--allow-local"]);
  };
  const answers: Answer[] = [
    { when: EACH, type: "a\n" },
    { when: LAST, type: "y\n", first: replace },
  ];
  const before = denials(home).length;
  const { code, text } = await onTerminal(home, ["agents", "enable", id], answers);
  expect([code, text.includes("another commit was installed")]).toEqual([4, true]);
  expect(denials(home).slice(before)).toMatchObject([{ subject: id, metadata: { code: "enablement.drifted" } }]);
  expect((await info(id)).approval).toBeNull();
});

test("an agent that is not installed is refused without a question, and that is recorded", async () => {
  const id = "com.example.notinstalled";
  await writeFiles(join(home.projects, "x"), { [MANIFEST]: manifestText(id, { permissions: [READ] }) });
  await home.json(["agents", "scan"]);
  const before = denials(home).length;
  const { code, text } = await onTerminal(home, ["agents", "enable", id]);
  expect([code, text.includes("(install.not_installed)")]).toEqual([4, true]);
  expect(denials(home).slice(before)).toMatchObject([{ subject: id, metadata: { code: "install.not_installed" } }]);
});

test("a build shows its plan and asks; no is the default", async () => {
  const id = "com.example.askedbuild";
  const build = { steps: [{ phase: "compile", argv: ["touch", "made"] }] };
  await smallAgentAt(home, id, "installed", { build });
  const no = await onTerminal(home, ["agents", "build", id], [{ when: "Build now? [y/N] ", type: "\n" }]);
  expect([no.code, no.text.includes("nothing was built")]).toEqual([1, true]);
  expect(no.text).toContain("executes third-party code: build com.example.askedbuild");
  expect(no.text).toMatch(/1\. compile \(no network\): touch made/);
  expect(existsSync(join(home.sourceOf(id), "made"))).toBe(false);
  const yes = await onTerminal(home, ["agents", "build", id], [{ when: "Build now? [y/N] ", type: "y\n" }]);
  expect([yes.code, existsSync(join(home.sourceOf(id), "made"))]).toEqual([0, true]);
});

/** Enabled, and then asking for less: what was approved wide is narrow now, and the network is gone. */
async function narrowed(id: string): Promise<void> {
  if (!existsSync(home.sourceOf(id))) await smallAgentAt(home, id, "built", { permissions: [READ, EGRESS] });
  const path = join(home.sourceOf(id), MANIFEST);
  writeFileSync(path, manifestText(id, { permissions: [READ, EGRESS] }));
  await home.json(["agents", "enable", id, "--all"]);
  writeFileSync(path, manifestText(id, { permissions: [NARROW] }));
}

test("a change that only narrows is shown and approved with one key; the refused run says where", async () => {
  const id = "com.example.narrowed";
  await narrowed(id);
  const refusedRun = await home.fails(["agents", "run", id]);
  expect(refusedRun.error).toMatchObject({
    code: "enablement.drifted",
    next_step: `opensentience agents enable ${id}`,
  });
  const { code, text } = await onTerminal(home, ["agents", "enable", id], [{ when: KEY, type: "y" }]);
  expect(code).toBe(0);
  expect(text).toContain("It only asks for less. Approve what remains (1 permission)?");
  expect(text).toContain(`- permission narrowed: ${READ} -> ${NARROW}`);
  expect(text).toContain(`- permission ${EGRESS}`);
  expect(text).not.toContain(EACH);
  expect((await info(id)).approval?.approved_permissions).toEqual([NARROW]);
  expect(await home.json(["agents", "run", id])).toMatchObject({ status: "running" });
  await home.json(["agents", "stop", id]);
});

test("one key keeps the end of the approval, and says what stays and until when", async () => {
  const id = "com.example.keepsend";
  await narrowed(id);
  const path = join(home.sourceOf(id), MANIFEST);
  writeFileSync(path, manifestText(id, { permissions: [READ, EGRESS] }));
  await home.json(["agents", "enable", id, "--all", "--expires", "10m"]);
  const ends = (await info(id)).approval?.expires_at;
  expect(ends).toEqual(expect.any(String));
  writeFileSync(path, manifestText(id, { permissions: [READ] }));
  const { code, text } = await onTerminal(home, ["agents", "enable", id], [{ when: KEY, type: "y" }]);
  expect(code).toBe(0);
  expect(text).toContain(`stays: ${READ}`);
  expect(text).toMatch(/until: /);
  expect((await info(id)).approval).toMatchObject({ approved_permissions: [READ], expires_at: ends });
});

test.each([
  ["n", "n"],
  ["q", "q"],
  ["Enter", "\r"],
  ["Y", "Y"],
  ["Escape", "\u001b"],
  ["a burst that begins with y", "y\r"],
  ["a word", "yes"],
])("a change that only narrows is not approved by %s", async (_, typed) => {
  const id = "com.example.notapproved";
  await narrowed(id);
  const before = approvals(id).length;
  const { code, text } = await onTerminal(home, ["agents", "enable", id], [{ when: KEY, type: typed }]);
  expect([code, text.includes("nothing was approved")]).toEqual([1, true]);
  expect(approvals(id)).toHaveLength(before);
  expect((await info(id)).approval?.approved_permissions).toEqual([READ, EGRESS]);
});

/** Built and enabled at its first commit; the second is there to be fetched. */
async function withUpdate(id: string, change: Record<string, unknown>, files: Files = {}): Promise<[string, string]> {
  const repository = await smallAgentAt(home, id, "built", { permissions: [READ, EGRESS] });
  await home.json(["agents", "enable", id, "--all"]);
  const before = repository.head;
  await repository.commit({ [MANIFEST]: manifestText(id, { permissions: [READ, EGRESS], ...change }), ...files });
  await home.json(["agents", "update", id, "--allow-local"]);
  await home.json(["agents", "build", id, "--yes"]);
  return [before, repository.head];
}

test.each<[what: string, permissions: string[], less: string]>([
  ["asks for less", [NARROW], "It only asks for less. Approve what remains (1 permission)?"],
  ["asks for the same", [READ, EGRESS], "It asks for nothing more. Approve what remains (2 permissions)?"],
])("an update that %s takes one key, and the question names the code", async (what, permissions, less) => {
  const id = `com.example.${what.replaceAll(" ", "")}`;
  const [from, to] = await withUpdate(id, { permissions, version: "1.1.0" });
  const { error } = await home.fails(["agents", "run", id]);
  expect(error).toMatchObject({ code: "enablement.drifted", next_step: `opensentience agents enable ${id}` });
  const { code, text } = await onTerminal(home, ["agents", "enable", id], [{ when: KEY, type: "y" }]);
  expect([code, text.includes(less)]).toEqual([0, true]);
  expect(text).toContain(`code: ${from.slice(0, 12)} → ${to.slice(0, 12)} (1.0.0 → 1.1.0)`);
  expect(text).not.toContain(EACH);
  if (permissions.length === 1) {
    expect(text).toContain(`- permission narrowed: ${READ} -> ${NARROW}`);
    expect(text).toContain(`- permission ${EGRESS}`);
  }
  expect((await info(id)).approval?.approved_permissions.toSorted()).toEqual(permissions.toSorted());
  expect(await home.json(["agents", "run", id])).toMatchObject({ status: "running" });
  await home.json(["agents", "stop", id]);
});

test.each<[what: string, change: Record<string, unknown>]>([
  ["a permission is new", { permissions: [READ, "env:read:LANG"] }],
  ["a permission is wider", { permissions: ["filesystem:read:~/**"] }],
  ["the entrypoint is another", { permissions: [READ], entrypoint: { type: "command", value: "bin/other" } }],
])("a commit that moved is reviewed in full when %s", async (what, change) => {
  const id = `com.example.full${what.replaceAll(" ", "")}`;
  await withUpdate(id, change, { "bin/other": { text: "#!/bin/sh\nexec sleep 100\n", mode: 0o755 } });
  const before = approvals(id).length;
  const { code, text } = await onTerminal(home, ["agents", "enable", id], [{ when: EACH, type: "q\n" }]);
  expect([code, text.includes(KEY)]).toEqual([1, false]);
  expect(approvals(id)).toHaveLength(before);
  expect((await home.fails(["agents", "run", id])).error.next_step).toBe(`opensentience agents diff ${id}`);
});

test("a commit that moved is reviewed in full when files were changed", async () => {
  const id = "com.example.fulltampered";
  await withUpdate(id, { permissions: [NARROW] });
  writeFileSync(join(home.sourceOf(id), "planted"), "x");
  const { code, text } = await onTerminal(home, ["agents", "enable", id], [{ when: EACH, type: "q\n" }]);
  expect([code, text.includes(KEY)]).toEqual([1, false]);
  expect((await home.fails(["agents", "run", id])).error.next_step).toBe(`opensentience agents build ${id}`);
});

test("Ctrl-C and Ctrl-D at the one key end the command with 130 and approve nothing", async () => {
  const id = "com.example.interrupted";
  await narrowed(id);
  const before = approvals(id).length;
  for (const type of ["\u0003", "\u0004"])
    expect((await onTerminal(home, ["agents", "enable", id], [{ when: KEY, type }])).code).toBe(130);
  expect(approvals(id)).toHaveLength(before);
});

test.each([
  ["a key", "y"],
  ["a line", "y\n"],
  ["a held key", "y".repeat(40)],
  ["a paste", "y\ny\nyes\ny"],
])("what was in the terminal before the question is no consent to it: %s", async (_, typedAhead) => {
  const id = "com.example.typedahead";
  await narrowed(id);
  const before = approvals(id).length;
  const { code, text } = await onTerminal(home, ["agents", "enable", id], [{ when: KEY, type: "n" }], typedAhead);
  expect([code, text.includes("nothing was approved")]).toEqual([1, true]);
  expect(approvals(id)).toHaveLength(before);
});

test.each<[what: string, permissions: string[], changes: Record<string, unknown>]>([
  ["a widened permission", ["filesystem:read:~/**"], {}],
  ["an added permission beside one that is gone", [READ, "env:read:LANG"], {}],
  ["a permission less and another name", [READ], { name: "Other" }],
])("%s is reviewed in full again", async (_, permissions, changes) => {
  const id = "com.example.widened";
  await narrowed(id);
  writeFileSync(join(home.sourceOf(id), MANIFEST), manifestText(id, { permissions, ...changes }));
  const before = approvals(id).length;
  const no = permissions.map(() => ({ when: EACH, type: "n\n" }));
  const { code, text } = await onTerminal(home, ["agents", "enable", id], [...no, { when: LAST, type: "n\n" }]);
  expect([code, text.includes("It changed since its approval"), text.includes(KEY)]).toEqual([1, true, false]);
  expect(approvals(id)).toHaveLength(before);
  const { error } = await home.fails(["agents", "run", id]);
  expect(error.next_step).toBe(`opensentience agents diff ${id}`);
});
