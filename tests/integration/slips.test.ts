/** What a person is told who mistypes, and of an approval that has an end, through the command line. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { newHome, type CoreHome } from "../support/core-home.ts";
import { refuse } from "../support/refuse.ts";
import { smallAgentAt } from "../support/small-agent.ts";
import { typeNextStep } from "../support/terminal.ts";

const ID = "org.example.ledger";

let home: CoreHome;
beforeAll(async () => {
  home = await newHome();
  await smallAgentAt(home, ID, "built", { permissions: ["env:read:API_TOKEN"] });
});
afterAll(() => home.dispose());

test("what needs no Core starts none, and what looks for one neither", async () => {
  const own = await newHome();
  const commands = [
    ["agents", "new", "mine"],
    ["completion", "bash"],
    ["explain", "build.failed"],
    ["help"],
    ["core", "stop"],
  ];
  for (const args of [...commands, ["core", "status"]]) await own.cli(args);
  expect(own.coreLog()).toBe("");
  expect(own.processes()).toEqual([]);
  await own.dispose();
});

test("an empty list about an agent that nobody knows says so, and whom it may mean", async () => {
  const said = 'no agent "org.example.leger" is known; did you mean "org.example.ledger"?\n';
  const audit = await home.cli(["audit", "list", "--agent", "org.example.leger"]);
  expect(audit).toEqual({ code: 0, stdout: "no audit events\n", stderr: said });
  const tools = await home.cli(["tools", "list", "--agent", "org.example.leger"]);
  expect(tools).toEqual({ code: 0, stdout: "no tools\n", stderr: `${said}next: opensentience agents list\n` });
  // One that is only not running offers nothing; one that has no such events is known all the same.
  expect((await home.cli(["tools", "list", "--agent", ID])).stderr).toBe("next: opensentience agents ps\n");
  expect((await home.cli(["audit", "list", "--agent", ID, "--type", "agent.enabled"])).stderr).toBe("");
  expect(await home.json(["audit", "list", "--agent", "org.example.leger"])).toEqual({ items: [], next: null });
});

test("the events of a forgotten agent are listed, and nobody is said to have mistyped it", async () => {
  const id = "org.example.forgotten";
  await smallAgentAt(home, id, "installed");
  for (let times = 0; times < 2; times += 1) await home.json(["agents", "remove", id, "--yes"]);
  await refuse(home, ["agents", "info", id], { code: "agent.not_found", exit: 3 });
  const all = await home.cli(["audit", "list", "--agent", id]);
  expect(all.stdout).toContain("agent.removed");
  const none = await home.cli(["audit", "list", "--agent", id, "--type", "agent.enabled"]);
  expect(none).toEqual({ code: 0, stdout: "no audit events\n", stderr: "" });
});

test("an update that names no ref that there is leads to the help of updates", async () => {
  const next = "opensentience help agents update";
  await refuse(home, ["agents", "update", ID, "--ref", "nope", "--allow-local"], {
    code: "install.ref_not_found",
    exit: 3,
    next,
  });
  expect(await typeNextStep(home, next)).toContain("--ref");
});

test("info tells the approval's end, when it was given and by whom, and list that it ends soon", async () => {
  const enabled = await home.cli(["agents", "enable", ID, "--all", "--expires", "7200s"]);
  expect(enabled.stdout).toMatch(/approval +active, 1 of 1 permission, until \S/);
  const info = (await home.cli(["agents", "info", ID])).stdout;
  expect(info).toMatch(/approval +active, 1 of 1 permission, until \S/);
  expect(info).toMatch(/approved +[\d: -]+ by uid:\d+\(/);
  expect(info).toContain(
    "risk: By its name this is a secret; the agent receives its value. It is not set in Core's environment: approved, it keeps",
  );
  expect((await home.cli(["agents", "list"])).stdout).toMatch(/enabled, approved until \S/);
  await home.json(["agents", "enable", ID, "--all", "--expires", "30d"]);
  expect((await home.cli(["agents", "list"])).stdout).not.toContain("approved until");
  const revoked = (await home.cli(["agents", "revoke", ID])).stdout;
  expect(revoked).toMatch(/approval +revoked, 0 of 1 permission$/m);
});
