/** What an agent finds in its environment: the documented names, what was approved, and nothing else of Core's. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CoreHome, eventually, newHome } from "../support/core-home.ts";
import { refuse } from "../support/refuse.ts";
import { program } from "../support/run-trees.ts";
import { smallAgentAt } from "../support/small-agent.ts";
import { typeNextStep } from "../support/terminal.ts";

/** PWD is bubblewrap's: the folder it changed to. */
const DOCUMENTED = [
  "HOME",
  "LANG",
  "OPENSENTIENCE_AGENT_ID",
  "OPENSENTIENCE_PROTOCOL_VERSION",
  "OPENSENTIENCE_RUN_ID",
  "OPENSENTIENCE_SESSION_TOKEN",
  "OPENSENTIENCE_SOCKET_PATH",
  "PATH",
  "PWD",
  "PYTHONDONTWRITEBYTECODE",
  "TMPDIR",
];
const APPROVED = "APPROVED_KEY";
const CORES_OWN = {
  [APPROVED]: "value-that-was-approved",
  OTHER_KEY: "value-that-was-not",
  LD_PRELOAD_X: "x",
  GITHUB_TOKEN: "not-for-agents",
};

/** Writes its environment, its arguments and its working folder where only the test reads them. */
const REPORTER = `#!/usr/bin/env node
const { writeFileSync, renameSync } = require("node:fs");
const raw = require("node:fs").readFileSync("/proc/self/environ", "utf8").split("\\0").filter(Boolean);
writeFileSync("../data/report.tmp", JSON.stringify({ env: process.env, raw, cwd: process.cwd(), argv: process.argv.slice(2) }));
renameSync("../data/report.tmp", "../data/report.json");
console.log("reported");
setInterval(() => {}, 1000);
`;
type Report = { env: Record<string, string>; raw: string[]; cwd: string; argv: string[] };

let home: CoreHome;
beforeAll(async () => {
  home = await newHome({ env: CORES_OWN });
  await smallAgentAt(
    home,
    "env.agent",
    "built",
    { permissions: [`env:read:${APPROVED}`, "env:read:OTHER_KEY"] },
    program(REPORTER),
  );
});
afterAll(() => home.dispose());

async function reportOfRun(...args: string[]): Promise<{ report: Report; runId: string }> {
  const run = await home.json<{ run_id: string }>(["agents", "run", "env.agent", ...args]);
  const records = (): Promise<{ line: string }[]> => home.jsonLines(["agents", "logs", "env.agent"]);
  await eventually(async () => (await records()).some(({ line }) => line === "reported"), "the agent's report");
  const report = JSON.parse(readFileSync(join(home.folder, "agents/env.agent/data/report.json"), "utf8")) as Report;
  await home.json(["agents", "stop", "env.agent"]);
  return { report, runId: run.run_id };
}

test("20 the environment of a run", async () => {
  await home.json(["agents", "enable", "env.agent", "--approve", `env:read:${APPROVED}`]);
  const { report, runId } = await reportOfRun("--", "one", "two words", "--json");
  expect(Object.keys(report.env).toSorted()).toEqual([...DOCUMENTED, APPROVED].toSorted());
  expect(report.raw.map((entry) => entry.replace(/=.*$/s, "")).toSorted()).toEqual(
    [...DOCUMENTED, APPROVED].toSorted(),
  );
  const own = join(home.folder, "agents/env.agent");
  expect(report.env).toMatchObject({
    HOME: join(own, "data"),
    TMPDIR: join(own, "data/tmp"),
    PWD: join(own, "src"),
    OPENSENTIENCE_AGENT_ID: "env.agent",
    OPENSENTIENCE_RUN_ID: runId,
    OPENSENTIENCE_PROTOCOL_VERSION: "1",
    [APPROVED]: CORES_OWN[APPROVED],
  });
  expect(report.env["PATH"]?.split(":")).not.toContain("");
  expect(report.env["OPENSENTIENCE_SESSION_TOKEN"]).toMatch(/^[A-Za-z0-9_-]{43}$/);
  expect(Buffer.byteLength(report.env["OPENSENTIENCE_SOCKET_PATH"] ?? "")).toBeLessThanOrEqual(107);
  expect(report.cwd).toBe(join(own, "src"));
  expect(report.argv).toEqual(["one", "two words", "--json"]);
});

test("another approval hands over another value, and each run has a token of its own", async () => {
  const first = await reportOfRun();
  await home.json(["agents", "enable", "env.agent", "--approve", "env:read:OTHER_KEY"]);
  const second = await reportOfRun();
  expect(Object.keys(second.report.env).toSorted()).toEqual([...DOCUMENTED, "OTHER_KEY"].toSorted());
  expect(second.report.env["OTHER_KEY"]).toBe(CORES_OWN.OTHER_KEY);
  expect(second.report.env["OPENSENTIENCE_SESSION_TOKEN"]).not.toBe(first.report.env["OPENSENTIENCE_SESSION_TOKEN"]);
});

test("holds the value that Core was started with, not that of the command that asks", async () => {
  const run = await home.json<{ run_id: string }>(["agents", "run", "env.agent"], {
    env: { OTHER_KEY: "value-of-the-command" },
  });
  expect(run.run_id).toMatch(/^run_/);
  const report = (): Report =>
    JSON.parse(readFileSync(join(home.folder, "agents/env.agent/data/report.json"), "utf8")) as Report;
  await eventually(() => report().env["OPENSENTIENCE_RUN_ID"] === run.run_id, "the agent's report");
  expect(report().env["OTHER_KEY"]).toBe(CORES_OWN.OTHER_KEY);
  await home.json(["agents", "stop", "env.agent"]);
});

test("an approved name that Core was not started with refuses the run; restarting Core with it is the way out", async () => {
  await smallAgentAt(home, "env.missing", "enabled", { permissions: ["env:read:LATE_KEY"] });
  const runs = (await home.json<{ items: unknown[] }>(["agents", "ps", "--all"])).items.length;
  const expected = {
    code: "launcher.env_missing",
    exit: 4,
    next: "opensentience core restart",
    about: "env.missing",
  } as const;
  const { details, next_step: nextStep } = await refuse(home, ["agents", "run", "env.missing"], expected, {
    env: { LATE_KEY: "too-late-for-this-core" },
  });
  expect(details).toEqual({ name: "LATE_KEY" });
  expect((await home.json<{ items: unknown[] }>(["agents", "ps", "--all"])).items).toHaveLength(runs);
  // Nobody is told to run what would be refused, wherever a next step is shown.
  const step = "export LATE_KEY, then restart Core from that shell: opensentience core restart";
  const listed = await home.json<{ items: { agent_id: string; next_step: string }[] }>(["agents", "list"]);
  expect(listed.items.find(({ agent_id: id }) => id === "env.missing")?.next_step).toBe(step);
  for (const show of ["info", "diff"])
    expect(await home.json(["agents", show, "env.missing"])).toMatchObject({ next_step: step });
  expect((await home.cli(["agents", "enable", "env.missing", "--all"])).stderr).toContain(`next: ${step}\n`);
  await typeNextStep(home, nextStep, { LATE_KEY: "there-from-the-start" });
  expect(await home.json(["agents", "info", "env.missing"])).toMatchObject({
    next_step: "opensentience agents run env.missing",
  });
  expect(await home.json(["agents", "run", "env.missing"])).toMatchObject({ status: "running" });
});

test("a restart that would be refused for a variable is not advised to a run that goes on", async () => {
  const permissions = ["env:read:NEVER_SET", "env:read:LATE_KEY"];
  await smallAgentAt(home, "env.overtaken", "built", { permissions });
  await home.json(["agents", "enable", "env.overtaken", "--approve", "env:read:LATE_KEY"]);
  await home.json(["agents", "run", "env.overtaken"]);
  expect(await home.json(["agents", "enable", "env.overtaken", "--all"])).toMatchObject({
    pending_permissions: { added: ["env:read:NEVER_SET"] },
    next_step: "export NEVER_SET, then restart Core from that shell: opensentience core restart",
  });
  const { error } = await home.fails(["agents", "restart", "env.overtaken"]);
  expect(error.code).toBe("launcher.env_missing");
  expect(await home.json(["agents", "enable", "env.overtaken", "--approve", "env:read:LATE_KEY"])).toMatchObject({
    next_step: "opensentience agents logs env.overtaken",
  });
});
