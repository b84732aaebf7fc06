/**
 * What Core refuses on the way to a run, and that each refusal leads on: its next step is typed as it stands, on a
 * terminal. Policy refusals are recorded once each (see support/refuse.ts).
 */
import { chmodSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { AgentDetailJson, ErrorCode, RunJson } from "@opensentience/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { type CoreHome, eventually, gitRepository, newHome, writeFiles } from "../support/core-home.ts";
import { refuse } from "../support/refuse.ts";
import { manifestText, MANIFEST, smallAgent, smallAgentAt } from "../support/small-agent.ts";
import { Following, typeNextStep } from "../support/terminal.ts";

let home: CoreHome;
beforeAll(async () => {
  home = await newHome();
  await home.json(["core", "start"]);
});
afterAll(() => home.dispose());

test("an id that nobody knows is not found by any command", async () => {
  const id = "com.example.nobody";
  const expected = { code: "agent.not_found", exit: 3, next: "opensentience agents list" } as const;
  const commands = [["info"], ["install"], ["build", "--yes"], ["build", "--plan"], ["enable", "--all"], ["revoke"]];
  commands.push(["enable", "--approve", "x:y"], ["diff"], ["run"], ["stop"], ["restart"], ["logs"]);
  for (const [verb = "", ...options] of commands) await refuse(home, ["agents", verb, id, ...options], expected);
  expect(await typeNextStep(home, expected.next)).toContain("no agents");
});

test("each refusal of a run names the step that is missing, until it runs", async () => {
  const id = "com.example.steps";
  const build = { steps: [{ phase: "compile", argv: ["true"] }] };
  const changes = { permissions: ["filesystem:read:~/notes/**"], build };
  const repository = await gitRepository("steps", smallAgent(id, changes));
  const source = { git_url: pathToFileURL(repository.path).href };
  await writeFiles(join(home.projects, "steps"), { [MANIFEST]: manifestText(id, { source }) });
  await home.json(["agents", "scan"]);

  const install = `opensentience agents install ${id} --allow-local`;
  const notInstalled = { code: "install.not_installed", exit: 4, next: install, about: id } as const;
  for (const [verb = "", ...options] of [
    ["build", "--yes"],
    ["build", "--plan"],
    ["enable", "--all"],
    ["run"],
    ["restart"],
  ])
    await refuse(home, ["agents", verb, id, ...options], notInstalled);
  expect(await home.json(["agents", "info", id])).toMatchObject({ next_step: install });
  const nothingToRevoke = { code: "enablement.not_enabled", exit: 4, next: `opensentience agents info ${id}` } as const;
  await refuse(home, ["agents", "revoke", id], { ...nothingToRevoke, about: id });
  await typeNextStep(home, install);

  for (const verb of ["run", "restart"]) {
    const next = `opensentience agents build ${id}`;
    await refuse(home, ["agents", verb, id], { code: "build.not_built", exit: 4, next, about: id });
  }
  expect(await typeNextStep(home, `opensentience agents build ${id}`)).toContain("executes third-party code");

  const next = `opensentience agents enable ${id}`;
  const notEnabled = { code: "enablement.not_enabled", exit: 4, next, about: id } as const;
  for (const verb of ["run", "restart"]) await refuse(home, ["agents", verb, id], notEnabled);
  expect(await typeNextStep(home, next)).toContain("filesystem:read:~/notes/**");

  for (const verb of ["stop", "logs"]) {
    const neverRan = { code: "run.not_found", exit: 3, next: `opensentience agents info ${id}` } as const;
    await refuse(home, ["agents", verb, id], neverRan);
    expect(await typeNextStep(home, neverRan.next)).toContain("it has never run");
  }
  const first = await home.json<RunJson>(["agents", "run", id]);
  const stop = `opensentience agents stop ${id}`;
  const running = await refuse(home, ["agents", "run", id], { code: "launcher.already_running", exit: 6, next: stop });
  expect(running.details).toEqual({ run_id: first.run_id });
  for (const args of [
    ["install", id, "--allow-local"],
    ["build", id, "--yes"],
  ])
    await refuse(home, ["agents", ...args], { code: "install.running", exit: 6, next: stop });
  await typeNextStep(home, stop);
  const second = await home.json<RunJson>(["agents", "run", id]);
  expect([second.status, second.run_id === first.run_id]).toEqual(["running", false]);

  const unknown = { code: "run.not_found", exit: 3, next: "opensentience agents ps --all" } as const;
  await refuse(home, ["agents", "logs", id, "--run", "run_nobody"], unknown);
  expect(await typeNextStep(home, unknown.next)).toContain(first.run_id);
});

test("of two runs asked for at once one starts and the other is refused", async () => {
  const id = "com.example.race";
  await smallAgentAt(home, id, "enabled");
  const both = await Promise.all([1, 2].map(() => home.cli(["agents", "run", id, "--json"])));
  expect(both.map(({ code }) => code)).toEqual(expect.arrayContaining([0, 6]));
  expect(both.find(({ code }) => code === 6)?.stderr).toMatch(/"code":"(launcher\.already_running|install\.busy)"/);
  expect(auditRows(home, "agent.run_started").filter(({ metadata }) => metadata["agent_id"] === id)).toHaveLength(2);
});

test("an approval ends at its time: it is recorded, and a new one lets the agent run", async () => {
  const id = "com.example.expiring";
  await smallAgentAt(home, id, "built");
  const at = new Date(Date.now() + 1_200).toISOString();
  const agent = await home.json<AgentDetailJson>(["agents", "enable", id, "--all", "--expires", at]);
  expect(agent.approval).toMatchObject({ status: "active", expires_at: at });
  await eventually(() => Date.now() > Date.parse(at), "the approval to expire");
  const next = `opensentience agents enable ${id}`;
  await refuse(home, ["agents", "run", id], { code: "enablement.expired", exit: 4, next, about: id });
  expect((await home.json<AgentDetailJson>(["agents", "info", id])).approval?.status).toBe("expired");
  const ended = auditRows(home, "agent.permissions_revoked").filter(({ subject }) => subject === id);
  expect(ended.map(({ metadata }) => metadata["reason"])).toEqual(["expired"]);
  await typeNextStep(home, next);
  expect(await home.json(["agents", "run", id])).toMatchObject({ status: "running" });
});

describe("a run is refused when what was approved has moved, layer by layer:", () => {
  const REQUESTED = ["filesystem:read:~/notes/**"];
  const edit =
    (changes: Record<string, unknown>) =>
    (source: string, id: string): void =>
      writeFileSync(join(source, MANIFEST), manifestText(id, { permissions: REQUESTED, ...changes }));
  type Case = {
    what: string;
    layers: string[];
    isTampered: boolean;
    mend?: string;
    move: (source: string, id: string) => void;
  };
  const cases: Case[] = [
    { what: "its manifest", layers: ["manifest"], isTampered: false, move: edit({ description: "Stays longer." }) },
    {
      what: "its permissions",
      layers: ["manifest", "permissions"],
      isTampered: false,
      move: edit({ permissions: [...REQUESTED, "network:egress:*"] }),
    },
    {
      what: "its entrypoint",
      layers: ["manifest", "entrypoint"],
      isTampered: false,
      move: edit({ entrypoint: { type: "command", value: "./bin/agent", args: ["--more"] } }),
    },
    {
      what: "a tracked file",
      layers: ["commit"],
      isTampered: true,
      move: (source) => writeFileSync(join(source, "bin/agent"), "#!/bin/sh\necho owned\nexec sleep 1000\n"),
    },
    {
      what: "the mode of a tracked file",
      layers: ["commit"],
      isTampered: true,
      move: (source) => chmodSync(join(source, "notes.txt"), 0o755),
    },
    {
      what: "a file that was added after the build",
      layers: ["commit"],
      isTampered: true,
      move: (source) => writeFileSync(join(source, "planted.js"), "owned\n"),
    },
    {
      what: "a file that is gone",
      layers: ["commit"],
      isTampered: true,
      move: (source) => rmSync(join(source, "notes.txt")),
    },
    {
      what: "a manifest that cannot be read any more",
      layers: ["manifest"],
      isTampered: false,
      mend: "install",
      move: (source) => writeFileSync(join(source, MANIFEST), "{"),
    },
  ];

  test.each(cases.map((one, index) => ({ ...one, id: `com.example.drift${index}` })))(
    "$what",
    async ({ id, layers, isTampered, mend = isTampered ? "build" : "diff", move }) => {
      await smallAgentAt(home, id, "enabled", { permissions: REQUESTED }, { "notes.txt": "notes\n" });
      move(home.sourceOf(id), id);
      const next = `opensentience agents ${mend} ${id}${mend === "install" ? " --allow-local" : ""}`;
      for (const verb of ["run", "restart"]) {
        const error = await refuse(home, ["agents", verb, id], {
          code: "enablement.drifted",
          exit: 4,
          next,
          about: id,
        });
        expect(error.details["layers"]).toEqual(layers);
      }
      const detected = auditRows(home, "agent.manifest_drift_detected").filter(({ subject }) => subject === id);
      expect(detected.map(({ metadata }) => metadata["layers"])).toEqual([layers]);
      expect(await home.json(["agents", "ps"])).toMatchObject({
        items: expect.not.arrayContaining([expect.objectContaining({ agent_id: id })]),
      });
      const shown = await typeNextStep(home, next);
      for (const layer of mend === "diff" ? layers : []) expect(shown).toContain(layer);
      if (!isTampered) return;
      // Approving cannot make other files those of the commit; the repository's own files run without a new approval.
      expect(shown).toMatch(/put back 1 changed file: /);
      expect(await home.json(["agents", "run", id])).toMatchObject({ status: "running" });
    },
  );

  test("the commit, by installing another one", async () => {
    const id = "com.example.othercommit";
    const repository = await smallAgentAt(home, id, "enabled");
    const from = repository.head;
    const to = await repository.commit({ "notes.txt": "new\n" });
    await home.json(["agents", "install", id, "--allow-local"]);
    await refuse(home, ["agents", "run", id], { code: "build.not_built", exit: 4, about: id });
    await home.json(["agents", "build", id, "--yes"]);
    // It asks for nothing more than what was approved, so the review is one key.
    const next = `opensentience agents enable ${id}`;
    const error = await refuse(home, ["agents", "run", id], { code: "enablement.drifted", exit: 4, next, about: id });
    expect(error.details).toMatchObject({ layers: ["commit"], diff: { commit: { from, to } } });
    expect((await home.cli(["agents", "diff", id])).stdout).toContain(to.slice(0, 12));
  });

  test("tampered files cannot be approved either", async () => {
    const id = "com.example.approvetampered";
    await smallAgentAt(home, id, "built", {}, { "notes.txt": "notes\n" });
    writeFileSync(join(home.sourceOf(id), "notes.txt"), "other\n");
    const next = `opensentience agents build ${id}`;
    const expected = { code: "enablement.drifted", exit: 4, next, about: id } as const;
    await refuse(home, ["agents", "enable", id, "--all"], expected);
    await typeNextStep(home, next);
    expect(await home.json(["agents", "enable", id, "--all"])).toMatchObject({ approval: { status: "active" } });
  });
});

describe("a program that cannot be started is told before anything starts:", () => {
  const start = (value: string): Record<string, unknown> => ({ entrypoint: { type: "command", value } });
  const script = (text: string, mode = 0o755): { "bin/tool": { text: string; mode: number } } => ({
    "bin/tool": { text, mode },
  });
  const mended = script("#!/bin/sh\nexec sleep 1000\n");
  test.each([
    ["a path that does not exist", "launcher.program_missing", "./bin/absent", {}, /bin\/absent exists/],
    ["a name that is not on the path", "launcher.program_missing", "no-such-tool", {}, /^install no-such-tool /],
    [
      "a file without the right to run",
      "launcher.not_executable",
      "./bin/tool",
      script("#!/bin/sh\n", 0o644),
      /repository/,
    ],
    [
      "an interpreter that is not there",
      "launcher.not_executable",
      "./bin/tool",
      script("#!/no/such/sh\n"),
      /\/no\/such\/sh/,
    ],
    [
      "an interpreter that env cannot find",
      "launcher.not_executable",
      "./bin/tool",
      script("#!/usr/bin/env nosuch\n"),
      /^install nosuch /,
    ],
    ["a text without a #! line", "launcher.not_executable", "./bin/tool", script("echo hello\n"), /#!/],
    ["an empty file", "launcher.not_executable", "./bin/tool", script(""), /repository/],
  ] as const)("%s", async (what, code, value, files, next) => {
    const id = `com.example.${what.replaceAll(/\W+/g, "")}`;
    const repository = await smallAgentAt(home, id, "enabled", start(value), { ...files });
    await refuse(home, ["agents", "run", id], { code: code satisfies ErrorCode, exit: 1, next });
    expect(await home.json(["agents", "info", id])).toMatchObject({ run: null, status: "enabled" });
    if (value !== "./bin/tool") return;
    await repository.commit(mended);
    await home.json(["agents", "install", id, "--allow-local"]);
    await home.json(["agents", "build", id, "--yes"]);
    await home.json(["agents", "enable", id, "--all"]);
    expect(await home.json(["agents", "run", id])).toMatchObject({ status: "running" });
  });

  test("an agent that ends at once fails the run with its last lines", async () => {
    const id = "com.example.endsatonce";
    await smallAgentAt(
      home,
      id,
      "enabled",
      {},
      { "bin/agent": { text: "#!/bin/sh\necho why\nexit 7\n", mode: 0o755 } },
    );
    const next = `opensentience agents logs ${id}`;
    const error = await refuse(home, ["agents", "run", id], { code: "launcher.exited_early", exit: 1, next });
    expect(error.details).toMatchObject({ last_lines: ["why"], run: { status: "crashed", exit_code: 7 } });
    expect(await typeNextStep(home, next)).toContain("why");
  });
});

test("an approved variable that is not set refuses the run until Core is restarted with it", async () => {
  const id = "com.example.variable";
  const own = await newHome();
  await smallAgentAt(own, id, "enabled", { permissions: ["env:read:GREETING"] });
  const next = "opensentience core restart";
  const error = await refuse(own, ["agents", "run", id], { code: "launcher.env_missing", exit: 4, next, about: id });
  expect(error.details).toEqual({ name: "GREETING" });
  await typeNextStep(own, next, { GREETING: "good morning" });
  expect(await own.json(["agents", "run", id])).toMatchObject({ status: "running" });
  await own.dispose();
});

test("Ctrl-C ends a build that is under way, with 130, and the build is recorded as canceled", async () => {
  const id = "com.example.canceled";
  const build = { steps: [{ phase: "compile", argv: ["sleep", "98765"] }] };
  await smallAgentAt(home, id, "installed", { build });
  const following = new Following(home, ["agents", "build", id, "--yes", "--json"]);
  const info = (): Promise<AgentDetailJson> => home.json(["agents", "info", id]);
  await eventually(() => home.processes().some(({ command }) => command.endsWith("sleep 98765")), "the step to run");
  await refuse(home, ["agents", "install", id, "--allow-local"], { code: "install.busy", exit: 6 });
  expect(await following.interrupt()).toEqual({ code: 130, stdout: "", stderr: "" });
  await eventually(async () => (await info()).build_status === "failed", "the build to be canceled");
  expect(await info()).toMatchObject({ status: "error", last_error: "the build was canceled" });
  const [failed] = auditRows(home, "agent.build_failed").filter(({ subject }) => subject === id);
  expect(failed?.metadata["code"]).toBe("build.canceled");
});
