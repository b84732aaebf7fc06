/** What somebody meets who types names by half, makes a mistake in a setting, stops what does not run, or presses Ctrl-C. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CoreHome, eventually, newHome } from "../support/core-home.ts";
import { refuse } from "../support/refuse.ts";
import { smallAgentAt } from "../support/small-agent.ts";
import { Following, onTerminal, typeNextStep } from "../support/terminal.ts";

const ID = "com.newcomer.tide";
const BROKEN = "com.newcomer.broken";

let home: CoreHome;
beforeAll(async () => {
  home = await newHome();
  await smallAgentAt(home, ID, "enabled");
  const steps = [{ phase: "compile", argv: ["sh", "-c", "echo one; echo two; exit 3"] }];
  await smallAgentAt(home, BROKEN, "installed", { build: { steps } });
});
afterAll(() => home.dispose());

describe("a short name", () => {
  test("of one agent is that agent in every command, which is said", async () => {
    const { code, stderr } = await home.cli(["agents", "run", "tide"]);
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^tide is com\.newcomer\.tide\n/)]);
    expect(await home.json(["agents", "info", "newcomer.tide"])).toMatchObject({ agent_id: ID, status: "running" });
    expect(await home.json(["agents", "stop", "tide"])).toMatchObject({ agent_id: ID, status: "stopped" });
  });

  test("that is wrong is answered with the nearest id", async () => {
    const next = `opensentience agents info ${ID}`;
    const error = await refuse(home, ["agents", "run", "com.newcomer.tied"], {
      code: "agent.not_found",
      exit: 3,
      next,
    });
    expect(error.message).toContain("com.newcomer.tied");
    expect(await typeNextStep(home, next)).toContain(ID);
  });
});

test("what was not running is said not to have run, and a revoke says what it stopped", async () => {
  expect((await home.cli(["agents", "stop", ID])).stdout).toMatch(/was not running; its last run ended/);
  await home.json(["agents", "run", ID]);
  expect((await home.cli(["agents", "revoke", ID])).stdout).toMatch(/^revoked, and stopped\n/);
  const lastLine = async (): Promise<string> => (await home.cli(["agents", "logs", ID])).stdout;
  expect(await lastLine()).toMatch(/core: Core ends the run: its approval was revoked\n$/);
  const refused = await home.cli(["agents", "run", ID]);
  expect([refused.code, refused.stderr]).toEqual([4, expect.not.stringContaining("third-party")]);
  const end = new Date(Date.now() + 5_000).toISOString();
  await home.json(["agents", "enable", ID, "--all", "--expires", end]);
  await home.json(["agents", "run", ID]);
  await eventually(() => Date.now() > Date.parse(end), "the approval to expire");
  // Whoever asks for a start is told, and what ran ends.
  await home.fails(["agents", "restart", ID]);
  expect(await lastLine()).toMatch(/core: Core ends the run: its approval has expired\n$/);
  await home.json(["agents", "enable", ID, "--all"]);
});

test("a failed build names each step as it begins, its last lines and its log", async () => {
  const { code, stderr } = await home.cli(["agents", "build", BROKEN, "--yes"]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^compile: \$ sh -c/m);
  expect(stderr).toMatch(/ {2}\| one\n {2}\| two\n/);
  const log = /build log {2}(\S+)/.exec(stderr)?.[1] ?? "";
  expect(existsSync(log)).toBe(true);
  const next = `opensentience agents logs ${BROKEN} --build`;
  expect(stderr).toContain(`next: ${next}\n`);
  const kept = await typeNextStep(home, next);
  expect(kept).toMatch(/core: compile: \$ sh -c .*\r?\n\S+ one\r?\n\S+ two\r?\n/);
  expect((await home.cli(["agents", "logs", BROKEN, "--build", "--tail", "1"])).stdout).toMatch(/^\S+ two\n$/);
  expect((await home.cli(["agents", "logs", ID, "--build"])).stderr).toMatch(/no build of it has printed/);
  await refuse(home, ["agents", "logs", BROKEN, "--build", "-f"], { code: "usage.invalid", exit: 2 });
  const terminal = await onTerminal(home, ["agents", "build", BROKEN, "--yes"]);
  expect(terminal.text).toMatch(/\n {2}one\n {2}two\n/);
  expect(terminal.text).not.toContain("| one");
});

test("a restart of Core names the agents that ran and are not started again", async () => {
  await home.json(["agents", "run", ID]);
  const { stdout, stderr } = await home.cli(["core", "restart"]);
  expect(stdout).toMatch(/^Core is restarted\n/);
  expect(stderr).toContain(`1 agent ran and is not started again; to do so:\n  opensentience agents run ${ID}\n`);
  const log = (await home.cli(["agents", "logs", ID])).stdout;
  expect(log).toMatch(/core: Core ends the run: a stop was asked for\n$/);
  await typeNextStep(home, `opensentience agents run ${ID}`);
  expect(await home.json(["core", "restart"])).toMatchObject({ running: true, not_started_again: [ID] });
  const again = await home.cli(["core", "restart"]);
  expect([again.stderr, await home.json(["core", "restart"])]).toEqual([
    "",
    expect.objectContaining({ not_started_again: [] }),
  ]);
});

test("an agent without build steps is built without a question", async () => {
  await smallAgentAt(home, "com.newcomer.plain", "installed");
  const { code, stderr } = await home.cli(["agents", "build", "com.newcomer.plain"]);
  expect([code, stderr]).toEqual([0, expect.not.stringContaining("third-party")]);
});

describe("a mistake in the settings", () => {
  test("leaves the Core that runs alone", async () => {
    const pid = await home.corePid();
    const file = join(home.folder, "config.toml");
    writeFileSync(file, "[launcher]\nstop_grace = 5\n");
    const { code, stderr } = await home.cli(["core", "restart"]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^nothing was stopped\n.*launcher\.stop_grace_ms/)]);
    writeFileSync(file, "");
    await home.fails(["core", "restart", "--set", "launcher.stop_grace_ms=soon"]);
    expect(await home.corePid()).toBe(pid);
    await home.json(["core", "stop"]);
    writeFileSync(file, "[launcher]\nstop_grace = 5\n");
    const status = await home.cli(["core", "status"]);
    expect([status.code, status.stdout, status.stderr]).toEqual([
      5,
      expect.stringContaining('did you mean "launcher.stop_grace_ms"?'),
      `next: \${EDITOR:-vi} ${file}\n`,
    ]);
    writeFileSync(file, "");
    expect((await home.cli(["core", "status"])).stderr).toBe("next: opensentience core start\n");
    await home.json(["core", "start"]);
  });

  test("--set has no effect on a Core that runs, its value is looked at first", async () => {
    const set = ["core", "start", "--set", "launcher.stop_grace_ms=2000"];
    const next = "opensentience core restart --set launcher.stop_grace_ms=2000";
    await refuse(home, set, { code: "core.already_running", exit: 6, next });
    await refuse(home, ["core", "start", "--set", "launcher.stop_grace_ms=soon"], { code: "config.invalid", exit: 1 });
    await typeNextStep(home, next);
    expect((await home.cli(["core", "status"])).stdout).toMatch(/launcher\.stop_grace_ms +flag +2000/);
  });
});

test("Ctrl-C says what it left behind", async () => {
  const steps = [{ phase: "compile", argv: ["sleep", "87654"] }];
  await smallAgentAt(home, "com.newcomer.slow", "installed", { build: { steps } });
  const building = new Following(home, ["agents", "build", "com.newcomer.slow", "--yes"]);
  await eventually(() => home.processes().some(({ command }) => command.endsWith("sleep 87654")), "the step to run");
  expect(await building.interrupt()).toMatchObject({ code: 130, stderr: expect.stringMatching(/build canceled\n$/) });
  await smallAgentAt(home, "com.newcomer.asks", "built", { permissions: ["network:egress:example.com:443"] });
  const asked = await onTerminal(
    home,
    ["agents", "enable", "com.newcomer.asks"],
    [{ when: "[y/N/a/q] ", type: "\u0003" }],
  );
  expect([asked.code, asked.text]).toEqual([130, expect.stringMatching(/nothing was approved\n$/)]);
});

test("who follows is told of a clean stop, and of the loss of Core", async () => {
  const clean = new Following(home, ["audit", "tail", "-f"]);
  expect((await clean.until(/core\.started/))[0]).toMatch(/^SEQ +TIME +SEVERITY +EVENT +OUTCOME +ACTOR +SUBJECT +WHY/);
  await home.json(["core", "stop"]);
  expect((await clean.end()).code).toBe(0);
  const lost = new Following(home, ["audit", "tail", "-f"]);
  await lost.until(/core\.started/);
  process.kill(await home.corePid(), "SIGKILL");
  expect((await lost.end()).code).toBe(5);
});
