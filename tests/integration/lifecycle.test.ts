/** From a folder on disk to a running agent and back, for each example agent, through the command line alone. */
import { cpSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { agentDetailJson, auditEventJson, CONTROL_ROUTES, logRecordJson } from "@opensentience/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isAlive, readProcess } from "../../packages/core/src/host/process-tree.ts";
import { auditRows } from "../support/audit-rows.ts";
import { type CoreHome, EXAMPLES, eventually, gitRepository, newHome } from "../support/core-home.ts";
import { Following } from "../support/terminal.ts";

const EXAMPLE_AGENTS = [
  {
    name: "link-checker",
    steps: [
      ["fetch", true, "npm ci --ignore-scripts"],
      ["compile", false, "npm rebuild"],
      ["compile", false, "npm run build --if-present"],
    ],
    approved: ["filesystem:read:~/Projects/**", "env:read:LANG_HINT"],
    denied: ["filesystem:write:~/Reports/**", "network:egress:example.com:443"],
    says: /^round 1: 2 notes, \d+ words/,
    alsoSays: 'by the rules of "ja"',
    writes: "link-report.json",
    environment: ["LANG_HINT=ja"],
    search: "markdown notes",
    built: "node_modules/marked/package.json",
  },
  {
    name: "text-index",
    steps: [
      ["fetch", true, "mix deps.get"],
      ["compile", false, "mix deps.compile"],
      ["compile", false, "mix compile"],
    ],
    approved: ["filesystem:read:~/Projects/**"],
    denied: ["filesystem:read:~/Documents/**"],
    says: /^round 1: 2 files, 2 read, \d+ words/,
    alsoSays: "indexing ",
    writes: "index.tsv",
    environment: ["MIX_ENV=prod"],
    search: "index",
    built: "_build/prod/lib/text_index/ebin/text_index.app",
  },
  {
    name: "disk-watch",
    steps: [],
    approved: ["filesystem:read:/proc/meminfo"],
    denied: ["filesystem:read:~/**"],
    says: / MiB free \(/,
    alsoSays: "disk-watch started",
    writes: "history.tsv",
    environment: [],
    search: "disk memory",
    built: "bin/disk-watch",
  },
] as const;

let home: CoreHome;
beforeAll(async () => {
  // A virtual machine that is still starting hears a stop only when it is up, which takes a busy machine its time.
  home = await newHome({ env: { LANG_HINT: "ja" }, settings: { "launcher.stop_grace_ms": 30_000 } });
});
afterAll(() => home.dispose());

test("a scan finds what is on disk, and list, search and info show it", async () => {
  const { scan, list_agents: list } = CONTROL_ROUTES;
  expect(scan.response.parse(await home.json(["agents", "scan"]))).toMatchObject({ found: 0, new: 0 });
  expect(await home.json(["agents", "list"])).toEqual({ items: [], next: null });
  for (const { name } of EXAMPLE_AGENTS) cpSync(join(EXAMPLES, name), join(home.projects, name), { recursive: true });
  const report = scan.response.parse(await home.json(["agents", "scan"]));
  expect(report).toMatchObject({
    found: 3,
    new: 3,
    updated: 0,
    unchanged: 0,
    missing: 0,
    rejected: [],
    duplicates: [],
  });
  expect(scan.response.parse(await home.json(["agents", "scan"]))).toMatchObject({ found: 3, new: 0, unchanged: 3 });
  const known = list.response.parse(await home.json(["agents", "list"]));
  expect(known.items.map(({ agent_id, status }) => [agent_id, status])).toEqual(
    ["disk-watch", "link-checker", "text-index"].map((name) => [idOf(name), "local_uninstalled"]),
  );
  for (const { name, search } of EXAMPLE_AGENTS) {
    const found = list.response.parse(await home.json(["agents", "search", ...search.split(" ")]));
    expect(found.items.map(({ agent_id }) => agent_id)).toEqual([idOf(name)]);
    const agent = agentDetailJson.parse(await home.json(["agents", "info", idOf(name)]));
    expect(agent).toMatchObject({ install_path: null, approval: null, run: null, drift: null });
    expect(agent.discovered_path).toBe(join(home.projects, name));
    expect(agent.next_step).toBe(`opensentience agents install ${idOf(name)}`);
  }
});

describe.each(EXAMPLE_AGENTS)("$name", (example) => {
  const id = idOf(example.name);
  let commit = "";
  let pid = 0;
  let runId = "";

  test("is installed from its repository, and nothing of it runs", async () => {
    const repository = await gitRepository(example.name, { copyOf: join(EXAMPLES, example.name) });
    commit = repository.head;
    const args = ["agents", "install", id, "--git-url", repository.url, "--allow-local"];
    const agent = agentDetailJson.parse(await home.json(args));
    expect(agent).toMatchObject({
      status: "installed",
      build_status: "not_built",
      source_git_url: `file://${repository.url}`,
      source_ref: "main",
      source_commit: commit,
      install_path: home.sourceOf(id),
      discovered_path: join(home.projects, example.name),
      next_step: `opensentience agents build ${id}`,
    });
    expect(existsSync(join(home.sourceOf(id), ".git"))).toBe(false);
    expect(readFileSync(join(home.sourceOf(id), "opensentience.agent.json"))).toEqual(
      readFileSync(join(EXAMPLES, example.name, "opensentience.agent.json")),
    );
  });

  test("shows its build plan, then builds", async () => {
    const plan = CONTROL_ROUTES.plan_build.response.parse(await home.json(["agents", "build", id, "--plan"]));
    expect(plan.steps.map(({ phase, network, argv }) => [phase, network, argv.join(" ")])).toEqual(example.steps);
    expect(agentDetailJson.parse(await home.json(["agents", "info", id])).build_status).toBe("not_built");
    const agent = agentDetailJson.parse(await home.json(["agents", "build", id, "--yes"]));
    expect(agent).toMatchObject({ status: "installed", build_status: "built", last_error: null });
    expect(agent.build_last_at).not.toBeNull();
    expect(existsSync(join(home.sourceOf(id), example.built))).toBe(true);
  });

  test("is approved for a part of what it requests, and nothing else", async () => {
    const args = ["agents", "enable", id, "--approve", example.approved.join(","), "--expires", "30d"];
    const agent = agentDetailJson.parse(await home.json(args));
    expect(agent).toMatchObject({ status: "enabled", drift: null, next_step: `opensentience agents run ${id}` });
    expect(agent.approval?.approved_permissions.toSorted()).toEqual([...example.approved].sort());
    expect(Date.parse(agent.approval?.expires_at ?? "") - Date.now()).toBeGreaterThan(29 * 86_400_000);
    const approved = Object.fromEntries(agent.requested_permissions.map((one) => [one.permission, one.approved]));
    expect(approved).toEqual({
      ...Object.fromEntries(example.approved.map((permission) => [permission, true])),
      ...Object.fromEntries(example.denied.map((permission) => [permission, false])),
    });
    expect(await home.json(["agents", "diff", id])).toMatchObject({ drift: null, manifest_changed: false });
  });

  test("runs, and its output and use of the machine are shown", async () => {
    const run = CONTROL_ROUTES.run_agent.response.parse(
      await home.json(["agents", "run", id, "--restart", "never", "--", "--every", "0.5"]),
    );
    expect(run).toMatchObject({ agent_id: id, status: "running", exit_code: null, signal: null, stopped_at: null });
    [pid, runId] = [run.pid ?? 0, run.run_id];
    expect(readProcess(pid)?.state).toMatch(/[RSD]/);
    const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
    expect(environment).toEqual(
      expect.arrayContaining([`OPENSENTIENCE_AGENT_ID=${id}`, `OPENSENTIENCE_RUN_ID=${runId}`, ...example.environment]),
    );
    expect(environment.filter((entry) => /^OPENSENTIENCE_(HOME|SCAN|BUILD|TOOLS)/.test(entry))).toEqual([]);

    const following = new Following(home, ["agents", "logs", id, "-f", "--json"]);
    const seen = await following.until(new RegExp(`"line":"[^"]*${example.says.source.replace(/^\^/, "")}`));
    const interrupted = await following.interrupt();
    expect([interrupted.code, interrupted.stderr]).toEqual([130, ""]);
    const records = seen.map((line) => logRecordJson.parse(JSON.parse(line)));
    expect(records.some(({ line, stream }) => stream === "stdout" && example.says.test(line))).toBe(true);
    expect(records.some(({ line }) => line.includes(example.alsoSays))).toBe(true);
    expect(existsSync(join(home.folder, "agents", id, "data", example.writes))).toBe(true);

    const stored = (await home.jsonLines(["agents", "logs", id, "--run", runId])).map((one) =>
      logRecordJson.parse(one),
    );
    expect(stored.slice(0, records.length)).toEqual(records);
    expect(await home.jsonLines(["agents", "logs", id, "--tail", "1"])).toHaveLength(1);
    expect(await home.jsonLines(["agents", "logs", id, "--tail", "0"])).toEqual([]);

    const ps = CONTROL_ROUTES.list_runs.response.parse(await home.json(["agents", "ps"]));
    expect(ps.next).toBeNull();
    expect(ps.items).toEqual([expect.objectContaining({ run_id: runId, pid, status: "running" })]);
    expect(ps.items[0]?.memory_bytes).toBeGreaterThan(100_000);
    expect(ps.items[0]?.processes).toBeGreaterThanOrEqual(1);
    expect(agentDetailJson.parse(await home.json(["agents", "info", id]))).toMatchObject({
      status: "running",
      run: { run_id: runId, status: "running" },
      drift: null,
    });
  });

  test("is started again as another run, then stopped with everything it started", async () => {
    const before = { pid, startTime: readProcess(pid)?.startTime ?? "" };
    const run = CONTROL_ROUTES.restart_agent.response.parse(await home.json(["agents", "restart", id]));
    expect(run).toMatchObject({ status: "running", restart_count: 0 });
    expect([run.run_id === runId, run.pid === pid, isAlive(before)]).toEqual([false, false, false]);
    const live = { pid: run.pid ?? 0, startTime: readProcess(run.pid ?? 0)?.startTime ?? "" };

    const stopped = CONTROL_ROUTES.stop_agent.response.parse(await home.json(["agents", "stop", id]));
    expect(stopped).toMatchObject({ run_id: run.run_id, status: "stopped", reason: "stopped", leaked_pids: [] });
    expect(stopped.stopped_at).not.toBeNull();
    expect(isAlive(live)).toBe(false);
    expect(home.processes().filter(({ command }) => !command.includes("serve"))).toEqual([]);
    expect(await home.json(["agents", "stop", id])).toEqual(stopped);

    expect(await home.json(["agents", "ps"])).toEqual({ items: [], next: null });
    const all = CONTROL_ROUTES.list_runs.response.parse(await home.json(["agents", "ps", "--all"]));
    const own = all.items.filter(({ agent_id }) => agent_id === id);
    expect(own.map(({ run_id, status, exit_code }) => [run_id, status, exit_code])).toEqual([
      [run.run_id, "stopped", stopped.exit_code],
      [runId, "stopped", 0],
    ]);
    expect(agentDetailJson.parse(await home.json(["agents", "info", id])).status).toBe("stopped");
    const lines = await home.jsonLines<{ line: string }>(["agents", "logs", id, "--run", runId]);
    expect(lines.at(-1)?.line).toBe("stopped cleanly");
  });

  test("every act is in the audit log, in order and under one correlation id each", () => {
    const own = auditRows(home).filter(({ subject, metadata }) => subject === id || metadata["agent_id"] === id);
    expect(own.map(({ type, outcome }) => `${type} ${outcome}`)).toEqual([
      "agent.discovered ok",
      "agent.installed unknown",
      "agent.installed unknown",
      "agent.installed ok",
      "agent.build_plan_shown ok",
      "agent.build_plan_shown ok",
      "agent.build_started unknown",
      "agent.built ok",
      "agent.enable_requested unknown",
      "agent.enabled ok",
      "agent.run_started unknown",
      "agent.run_started ok",
      "agent.run_stopped unknown",
      "agent.run_stopped ok",
      "agent.run_started unknown",
      "agent.run_started ok",
      "agent.run_stopped unknown",
      "agent.run_stopped ok",
    ]);
    const correlations = own.map(({ correlation }) => correlation);
    // One command each: scan, install, --plan, build, enable, run, restart, stop.
    expect(new Set(correlations).size).toBe(8);
    expect(new Set(correlations.slice(5, 8)).size).toBe(1);
    expect(new Set(correlations.slice(12, 16)).size).toBe(1);
    const named = own.filter(({ type }) => ["agent.built", "agent.installed"].includes(type));
    expect(named[0]?.metadata).toMatchObject({ phase: "requested" });
    for (const { metadata } of named.slice(1)) expect(metadata["commit"]).toBe(commit);
    for (const { metadata } of own.filter(({ type }) => /agent\.(build_started|built|run_started)/.test(type)))
      expect(metadata["trust_boundary"]).toBe("executes_third_party_code");
  });
});

describe("the audit log", () => {
  test("is listed by pages, filtered, shown, tailed and exported alike", async () => {
    const { list_audit: list } = CONTROL_ROUTES;
    const rows = auditRows(home);
    const exported = (await home.jsonLines(["audit", "export"])).map((one) => auditEventJson.parse(one));
    expect(exported.map(({ seq }) => seq)).toEqual(rows.map(({ seq }) => seq));
    expect(exported.map(({ event_type }) => event_type)).toEqual(rows.map(({ type }) => type));

    const first = list.response.parse(await home.json(["audit", "list", "--limit", "20"]));
    const rest = list.response.parse(
      await home.json(["audit", "list", "--limit", "500", "--cursor", first.next ?? ""]),
    );
    expect(rest.next).toBeNull();
    expect([...first.items, ...rest.items]).toEqual(exported.toReversed());

    const enabled = list.response.parse(await home.json(["audit", "list", "--type", "agent.enabled"]));
    expect(enabled.items.map(({ subject_id }) => subject_id)).toEqual(
      ["disk-watch", "text-index", "link-checker"].map(idOf),
    );
    expect(enabled.items.every(({ severity, actor_type }) => severity === "security" && actor_type === "human")).toBe(
      true,
    );
    const [newest] = enabled.items;
    expect(await home.json(["audit", "show", newest?.event_id ?? ""])).toEqual(newest);
    const related = ["audit", "list", "--correlation-id", newest?.correlation_id ?? ""];
    expect(list.response.parse(await home.json(related)).items.map(({ event_type }) => event_type)).toEqual([
      "agent.enabled",
      "agent.enable_requested",
    ]);
    expect(await home.json(["audit", "list", "--until", "2001-01-01T00:00:00Z"])).toEqual({ items: [], next: null });
    expect(await home.json(["audit", "tail", "--tail", "3"])).toEqual({ items: exported.slice(-3), next: null });
    const own = await home.jsonLines<{ seq: number }>(["audit", "export", "--agent", idOf("text-index")]);
    expect(own.length).toBe(18);
  });

  test("tail -f shows an event when it happens", async () => {
    const following = new Following(home, ["audit", "tail", "-f", "--tail", "0", "--json"]);
    // Its connection is there once Core has answered something to it: the plan of a build is recorded again and again.
    await eventually(async () => {
      await home.json(["agents", "build", idOf("disk-watch"), "--plan"]);
      return following.lines.length > 0;
    }, "an event in audit tail -f");
    const { code, stdout } = await following.interrupt();
    expect(code).toBe(130);
    const events = stdout
      .trim()
      .split("\n")
      .map((line) => auditEventJson.parse(JSON.parse(line)));
    expect(events[0]).toMatchObject({ event_type: "agent.build_plan_shown", subject_id: idOf("disk-watch") });
  });

  test("is intact, before and after a checkpoint and a restart of Core", async () => {
    const { verify_audit: verify, checkpoint_audit: checkpoint } = CONTROL_ROUTES;
    const before = verify.response.parse(await home.json(["audit", "verify"]));
    expect(before).toMatchObject({ status: "intact", first_bad_seq: null, events: auditRows(home).length });
    const note = checkpoint.response.parse(await home.json(["audit", "checkpoint"]));
    expect(note.size).toBe(auditRows(home).length);
    expect((await home.cli(["audit", "checkpoint"])).stdout).toMatch(/\n\n— \S+ \S+\n$/);
    await home.json(["core", "restart"]);
    const after = verify.response.parse(await home.json(["audit", "verify"]));
    expect(after).toMatchObject({ status: "intact", checkpoint: { valid: true } });
    expect(after.events).toBeGreaterThan(note.size);
  });
});

function idOf(name: string): string {
  return `org.opensentience.examples.${name}`;
}
