/** What the events of runs and builds say, what they must not say, and that each intent has what followed from it. */
import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import type { AuditEventJson } from "@opensentience/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CoreHome, eventually, newHome } from "../support/core-home.ts";
import { program } from "../support/run-trees.ts";
import { smallAgentAt } from "../support/small-agent.ts";
import { typeNextStep } from "../support/terminal.ts";

let home: CoreHome;
beforeAll(async () => {
  home = await newHome({
    settings: { "restart.max_attempts": 1, "restart.initial_ms": 100, "restart.max_ms": 100 },
    env: { PLANTED: "planted-secret-value" },
  });
});
afterAll(() => home.dispose());

const events = (...filter: string[]): Promise<AuditEventJson[]> =>
  home.jsonLines<AuditEventJson>(["audit", "export", ...filter]);
const ofAgent = async (agentId: string, type: string): Promise<AuditEventJson[]> =>
  events("--agent", agentId, "--type", type);

test("a run is recorded with its arguments, redacted and then shortened, and its restart policy", async () => {
  await smallAgentAt(home, "meta.args", "enabled");
  const long = "x".repeat(250);
  const many = Array.from({ length: 20 }, (_, at) => `n${at}`);
  await home.json([
    "agents",
    "run",
    "meta.args",
    "--restart",
    "on-failure",
    "--",
    "--token",
    "correct-horse",
    "password=hunter2hunter2",
    long,
    ...many,
  ]);
  const [intent, started] = await ofAgent("meta.args", "agent.run_started");
  expect(intent?.metadata).toMatchObject({ restart: "on-failure", args_count: 24 });
  expect(started?.metadata).toMatchObject({ args_count: 24 });
  const args = intent?.metadata?.["args"] as string[];
  expect(args).toHaveLength(21);
  expect(args.slice(0, 2)).toEqual(["--token", "[redacted:token]"]);
  expect(args[3]).toBe(`${"x".repeat(200)}… (50 characters more)`);
  expect(args.at(-1)).toBe("… (4 arguments more)");
  expect(JSON.stringify(await events())).not.toMatch(/correct-horse|hunter2/);
});

test("a build is recorded with each argument told apart and a digest of the whole plan", async () => {
  const steps = [
    { phase: "compile", argv: ["touch", "one two"] },
    { phase: "compile", argv: ["touch", "one", "two"] },
    {
      phase: "compile",
      argv: ["touch", ...Array.from({ length: 60 }, (_, at) => `file-${at}-${"y".repeat(40)}`), "last"],
    },
  ];
  await smallAgentAt(home, "meta.build", "built", { build: { steps } });
  const plan = await home.json<{ steps: unknown[] }>(["agents", "build", "meta.build", "--plan"]);
  const digest = createHash("sha256").update(JSON.stringify(plan.steps)).digest("hex");
  for (const type of ["agent.build_plan_shown", "agent.build_started", "agent.built"]) {
    const [event] = await ofAgent("meta.build", type);
    const recorded = event?.metadata?.["steps"] as string[];
    expect(event?.metadata?.["plan_digest"], type).toBe(digest);
    expect(recorded.slice(0, 2)).toEqual(['compile: ["touch","one two"]', 'compile: ["touch","one","two"]']);
    expect(recorded[2]).toMatch(/… \(\d+ characters more\)$/);
  }
});

test("a run that gives up leaves its output out of the audit log", async () => {
  await smallAgentAt(home, "meta.loop", "enabled", {}, program('#!/bin/sh\necho "printed by the agent" >&2\nexit 3\n'));
  await home.fails(["agents", "run", "meta.loop", "--restart", "on-failure"]);
  await eventually(
    async () =>
      (await ofAgent("meta.loop", "agent.run_crashed")).some((event) => event.metadata?.["phase"] === "gave_up"),
    "Core to give up",
  );
  expect(await home.json(["agents", "info", "meta.loop"])).toMatchObject({
    last_error: "gave up after 1 restarts within 60 s; last end: exited with code 3",
  });
  expect(JSON.stringify(await events())).not.toContain("printed by the agent");
});

test("what a git server answers is not in the audit log", async () => {
  mkdirSync(`${home.projects}/not-a-repository`);
  await home.fails(["agents", "install", `${home.projects}/not-a-repository`, "--allow-local"]);
  const failed = (await events("--type", "agent.install_failed")).at(-1);
  expect(failed?.metadata).toMatchObject({ code: "install.clone_failed" });
  expect(failed?.metadata).not.toHaveProperty("message");
});

test("an approved name that Core sets itself refuses the run", async () => {
  await smallAgentAt(home, "meta.reserved", "enabled", { permissions: ["env:read:PATH"] });
  const { code, error } = await home.fails(["agents", "run", "meta.reserved"]);
  expect([code, error.code, error.next_step]).toEqual([
    4,
    "launcher.env_reserved",
    "opensentience agents enable meta.reserved",
  ]);
  expect((await ofAgent("meta.reserved", "security.denied")).at(-1)?.metadata).toMatchObject({
    code: "launcher.env_reserved",
  });
  expect(await typeNextStep(home, error.next_step)).toContain("every run is refused");
});

test("each intent of a run is named by what followed, also when Core was lost", async () => {
  await smallAgentAt(home, "meta.lost", "running");
  await home.json(["agents", "restart", "meta.lost"]);
  process.kill(await home.corePid(), "SIGKILL");
  await eventually(() => home.processes().length === 0, "Core and its agents to be gone");
  await home.json(["core", "start"]);
  await home.json(["agents", "run", "meta.lost"]);
  await home.json(["agents", "stop", "meta.lost"]);
  const all = await events("--agent", "meta.lost");
  const causes = new Set(all.map((event) => event.causation_id));
  const intents = all.filter((event) => event.outcome === "unknown" && event.subject_type === "run");
  expect(intents.length).toBe(5);
  expect(intents.filter((event) => !causes.has(event.event_id))).toEqual([]);
  const byId = new Map(all.map((event) => [event.event_id, event]));
  const cause = (type: string, phase: string): (string | undefined)[] =>
    all
      .filter((event) => event.event_type === type && event.metadata?.["phase"] === phase)
      .map((event) => byId.get(event.causation_id ?? ""))
      .map((event) => `${event?.event_type} ${String(event?.metadata?.["phase"])}`);
  expect(cause("agent.run_stopped", "ended")).toEqual(Array(2).fill("agent.run_stopped requested"));
  expect(cause("agent.run_crashed", "ended")).toEqual(["agent.run_started intent"]);
});
