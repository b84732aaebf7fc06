import {
  type AgentDetailJson,
  CoreError,
  type CoreStatusJson,
  type LogRecordJson,
  type PsItemJson,
} from "@opensentience/protocol";
import { describe, expect, test } from "vitest";
import { agentPage, agentsTable, agentState } from "./agent-view.ts";
import { allPages } from "./all-pages.ts";
import { statusText } from "./core-view.ts";
import { planText } from "./commands/agents-build.ts";
import { scanText } from "./commands/agents-scan.ts";
import { earlyExitText } from "./early-exit.ts";
import { Style } from "./format.ts";
import { endOf, logLine, runRows } from "./run-view.ts";
import { settingFlags } from "./settings-flags.ts";
import { readReport } from "./start-core.ts";
import { isAlive } from "./stop-core.ts";

const plain = new Style({ color: false });
const RUN: PsItemJson = {
  run_id: "run_1",
  agent_id: "a.b",
  status: "crashed",
  pid: 42,
  started_at: "2026-01-31T12:00:00Z",
  stopped_at: "2026-01-31T12:00:01Z",
  exit_code: 3,
  signal: null,
  reason: "exited early",
  restart_count: 0,
  restart_at: null,
  restart_attempt: null,
  restart_limit: null,
  log_path: "/l",
  session_id: null,
  last_heartbeat_at: null,
  health: null,
  isolation: null,
  limits: {},
  leaked_pids: [],
  logs_degraded: false,
  next_step: null,
  cpu_percent: 1.25,
  memory_bytes: 2048,
  processes: 1,
  uptime_ms: 1000,
  uptime_is_least: false,
};

test("runs show how they ended", () => {
  expect(endOf(RUN)).toBe("exit code 3 (exited early)");
  expect(endOf({ exit_code: null, signal: "SIGKILL", reason: null })).toBe("signal SIGKILL");
  expect(runRows(plain, [RUN])).toContain("2 KiB");
  expect(runRows(plain, [{ ...RUN, uptime_ms: 5_000, uptime_is_least: true }])).toContain("≥ 5.0 s");
  expect(runRows(plain, [{ ...RUN, uptime_ms: 0, uptime_is_least: true }])).toContain("unknown");
});

test("a log line cannot act on the terminal", () => {
  const record: LogRecordJson = {
    at: "2026-01-31T12:00:00Z",
    stream: "stderr",
    line: "a\u001b]0;t\u0007\tb",
    truncated: true,
  };
  const line = logLine(plain, record);
  expect(line).toMatch(/ err a.*\tb…$/);
  expect(line).not.toMatch(/[\u001b\u0007]/);
});

test("an early exit shows run, pid, log, end and last lines, whatever their form", () => {
  const text = earlyExitText(plain, {
    run: RUN,
    last_lines: ["one\u001b[2J", { at: RUN.started_at, stream: "stdout", line: "two" }],
  });
  for (const part of ["run_1", "42", "/l", "exit code 3", "| one", "two"]) expect(text).toContain(part);
  expect(text).not.toContain("\u001b");
  expect(earlyExitText(plain, {})).toBe("");
});

test("a build plan shows phase, reach and where arguments begin", () => {
  const nothing = { digest: "", unset_variables: [], put_back: [], put_back_count: 0 };
  const plan = {
    steps: [
      { phase: "fetch" as const, argv: ["npm", "ci", "a b", "it's"], network: true, reach: "public_hosts" as const },
    ],
    ...nothing,
  };
  expect(planText(plain, plan)).toBe(String.raw`  1. fetch (network: public hosts): npm ci 'a b' 'it'\''s'`);
  expect(planText(plain, { steps: [], ...nothing })).toContain("nothing to build");
  const back = { ...plan, put_back: ["a", "b\u001b[2J"], put_back_count: 2 };
  expect(planText(plain, back)).toMatch(/^ {2}first puts back 2 changed files: a, \$'b\\x1b\[2J'\n {2}1\. fetch/);
  // Names that look like two, or like more lines, stay one each; a long one is cut.
  const hostile = { ...plan, put_back: ["a, b", "c\n  1. fetch: true", "d".repeat(5_000)], put_back_count: 3 };
  expect(planText(plain, hostile).split("\n")[0]).toBe(
    String.raw`  first puts back 3 changed files: 'a, b', $'c\n  1. fetch: true', '${"d".repeat(199)}…'`,
  );
  expect(planText(plain, { ...plan, put_back_count: 3 })).toContain(
    "first puts back the whole source, which could not",
  );
  expect(planText(plain, { ...plan, unset_variables: ["HTTPS_PROXY"] })).toMatch(
    /^ {2}build\.pass_env: HTTPS_PROXY not set where Core was started, so no step gets it\n {2}1\. fetch/,
  );
  // Of very many Core names the first and counts all.
  const many = { ...plan, put_back: Array.from({ length: 1_001 }, (_, n) => `f${n}`), put_back_count: 5_000 };
  expect(planText(plain, many)).toContain(
    "first puts back 5000 changed files: f0, f1, f2, f3, f4, f5, f6, f7, f8, f9 and 4990 more",
  );
});

test("a scan names what was rejected and ignored", () => {
  const text = scanText(plain, {
    roots: ["/r"],
    found: 1,
    new: 1,
    updated: 0,
    unchanged: 0,
    missing: 0,
    rejected: [{ path: "/r/x\u001b[2J", code: "manifest.invalid", message: "no id" }],
    duplicates: [{ agent_id: "a.b", path: "/r/2", kept: "/r/1" }],
    duration_ms: 12,
  });
  expect(text).toContain("1 agent found in 1 folder (1 new");
  expect(text).toContain("no id (manifest.invalid)");
  expect(text).toContain("/r/2 is ignored, /r/1 is kept");
  expect(text).not.toContain("\u001b");
});

test("lists are followed to their end", async () => {
  const pages = [
    { items: [1, 2], next: "c" },
    { items: [3], next: null },
  ];
  const cursors: (string | undefined)[] = [];
  const list = await allPages((cursor) => {
    cursors.push(cursor);
    return Promise.resolve(pages.shift() ?? { items: [], next: null });
  });
  expect(list).toEqual({ items: [1, 2, 3], next: null });
  expect(cursors).toEqual([undefined, "c"]);
});

describe("--set", () => {
  test("takes any setting of config.toml", () => {
    expect(settingFlags(["launcher.stop_grace_ms=100", "tools.path=/a=b"])).toEqual({
      "launcher.stop_grace_ms": "100",
      "tools.path": "/a=b",
    });
  });

  test("names the nearest setting and refuses other forms", () => {
    expect(() => settingFlags(["launcher.stop_grace=1"])).toThrow('did you mean "launcher.stop_grace_ms"');
    expect(() => settingFlags(["launcher.stop_grace_ms"])).toThrow(CoreError);
    expect(() => settingFlags(["__proto__=1"])).toThrow("unknown setting");
  });
});

describe("report of a starting Core", () => {
  const paths = { coreLog: "/l/core.log" };

  test("is ready, held, or the error of Core", () => {
    expect(readReport('{"ready":true}', paths)).toBe("ready");
    expect(readReport('{"held":true}', paths)).toBe("held");
    expect(() =>
      readReport('{"error":{"code":"config.invalid","message":"bad key","details":{},"next_step":null}}', paths),
    ).toThrow("bad key");
  });

  test.each(["", "garbage", "{}", "null", "1"])("%j is a failed start that names the log", (line) => {
    expect(() => readReport(line, paths)).toThrow(/core\.log/);
  });
});

describe("what an agent is", () => {
  const agent = {
    agent_id: "a.b",
    name: "A",
    version: "1.0.0",
    description: "",
    status: "installed",
    build_status: "not_built",
    build_last_at: "2026-01-31T08:45:00.000Z",
    approval: null,
    drift: null,
    pending_permissions: null,
    entrypoint: null,
    source_git_url: "https://example.com/a.git",
    source_ref: "main",
    source_commit: null,
    manifest_path: null,
    install_path: null,
    discovered_path: "/p/a",
    unknown_fields: [],
    last_error: null,
    restart_at: null,
    restart_attempt: null,
    restart_limit: null,
    missing_since: null,
    requested_permissions: [],
  } as unknown as AgentDetailJson;
  const source = (changes: object): string | undefined =>
    /source +(.*)/.exec(agentPage(plain, { ...agent, ...changes }, { runs: [], events: [], tools: [] }))?.[1];

  test("not built has no time, built has one", () => {
    expect(agentState(plain, agent)).toMatch(/build +not built$/m);
    expect(agentState(plain, { ...agent, build_status: "built" })).toMatch(/build +built .*\d\d:\d\d/m);
  });

  test("an agent that runs in place is not pinned to a commit", () => {
    expect(source({ install_path: "/p/a" })).toBe("https://example.com/a.git at main (not pinned)");
    expect(source({ install_path: "/p/a", source_git_url: null })).toBe("not pinned");
    expect(source({ install_path: "/h/src", source_commit: "a".repeat(40) })).toMatch(/\(aaaaaaaaaaaa\)$/);
  });

  test("a Core that is stopping is called so", () => {
    const status = { running: true, state: "stopping", pid: 7, home: "/h", config: [] } as unknown as CoreStatusJson;
    expect(statusText(plain, { ...status, started_at: null, degraded: null })).toMatch(/core +stopping/);
  });
});

test("knows whether a process lives", () => {
  expect(isAlive(process.pid)).toBe(true);
  expect(isAlive(2 ** 22 + 1)).toBe(false);
});

test("the page of an agent says what it may do, has done, and what changed, with nothing cut off", () => {
  const agent = {
    agent_id: "a.b",
    name: "A",
    version: "1.0.0",
    description: "two\nlines\u001b[2J",
    status: "error",
    build_status: "built",
    build_last_at: null,
    approval: { status: "active", expires_at: null, approved_at: "2026-01-31T12:00:00Z", approved_by: "a" },
    drift: null,
    pending_permissions: null,
    entrypoint: { type: "command", value: "x", args: ["y"] },
    source_git_url: null,
    manifest_path: null,
    install_path: null,
    discovered_path: null,
    held: "held somehow",
    restart_policy: "never",
    unknown_fields: [],
    last_error: "it broke",
    last_error_at: "2026-01-31T12:00:00Z",
    missing_since: null,
    requested_permissions: [
      { permission: "x:a", meaning: "Long.", risk: "z".repeat(90), enforcement: "brokered", approved: true },
    ],
  } as unknown as AgentDetailJson;
  const narrow = new Style({ color: false, width: 40 });
  const text = agentPage(narrow, agent, { runs: [RUN], events: [], tools: [] });
  for (const part of [
    "two lines",
    "it broke",
    "approved      x:a",
    "held by Core",
    "z".repeat(90),
    "run_1",
    "exit code 3",
    "nothing",
  ])
    expect(text).toContain(part);
  expect(text).not.toContain("\u001b");
  expect(text).toMatch(/last error +it broke/);
  const again = agentPage(narrow, { ...agent, status: "running" }, { runs: [RUN], events: [], tools: [] });
  expect(again).toMatch(/past error +2026-01-31 \d\d:\d\d: it broke/);
  const revoked = { ...agent, approval: { ...agent.approval, status: "revoked" } } as unknown as AgentDetailJson;
  expect(agentPage(narrow, revoked, { runs: [], events: [], tools: [] })).toContain("its approval is revoked");
});

test("an approval says when it was given, by whom, and its end where it has one", () => {
  const end = new Date(2026, 1, 1, 4, 7).toISOString();
  const given = { approved_at: new Date(2026, 0, 31, 4, 7).toISOString(), approved_by: "uid:1000(ada)" };
  const shown = (status: string, expiresAt: string | null): string => {
    const approval = { ...given, status, expires_at: expiresAt, unsandboxed: false };
    const agent = {
      approval,
      requested_permissions: [],
      unknown_fields: [],
      status: "enabled",
      last_error: null,
      build_status: null,
    };
    return agentPage(
      plain,
      {
        ...agent,
        agent_id: "a.b",
        name: "",
        version: "",
        description: "",
        restart_at: null,
        missing_since: null,
        source_git_url: null,
        install_path: "/s",
        manifest_path: null,
        entrypoint: null,
        pending_permissions: null,
        drift: null,
      } as never,
      {
        runs: [],
        events: [],
        tools: [],
      },
    );
  };
  expect(shown("active", end)).toMatch(/approval +active, 0 of 0 permissions, until 2026-02-01 04:07$/m);
  expect(shown("active", end)).toMatch(/approved +2026-01-31 04:07 by uid:1000\(ada\)$/m);
  expect(shown("active", null)).toMatch(/approval +active, 0 of 0 permissions$/m);
  expect(shown("expired", end)).toMatch(/approval +expired, 0 of 0 permissions, ended 2026-02-01 04:07$/m);
  expect(shown("revoked", end)).toMatch(/approval +revoked, 0 of 0 permissions$/m);
});

test("a list marks an approval that ends soon, and drift before it", () => {
  const agent = {
    agent_id: "a.b",
    version: "1",
    name: "A",
    status: "running",
    build_status: "built",
    missing_since: null,
  };
  const endsAt = new Date(2026, 1, 1, 4, 7).toISOString();
  const row = (isDrifted: boolean, end: string | null): string =>
    agentsTable(plain, [agent as never], new Map([["a.b", { isDrifted, endsAt: end }]]));
  expect(row(false, endsAt)).toMatch(/running, approved until 2026-02-01 04:07 +A$/m);
  expect(row(true, endsAt)).toMatch(/running, drifted +A$/m);
  expect(row(false, null)).toMatch(/running +A$/m);
});
