/**
 * The conformance suite itself: the reference agents pass it, each case is failed by an agent that breaks just its rule, and
 * the command says so in words, as JSON and by its exit code.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  agentCases,
  type AgentCase,
  programOfFolder,
  testAgent,
} from "../../packages/core/src/conformance/conformance.ts";
import { runTool, spawnProcess, whenExited } from "../../packages/core/src/host/child-process.ts";
import { DEFAULT_TOOLS } from "../../scripts/network-environment.ts";
import { BINARY, eventually, EXAMPLES } from "../support/core-home.ts";
import { times } from "../support/counts.ts";

const TOOL_PATH = [join(process.execPath, ".."), ...DEFAULT_TOOLS].join(":");
const BREAKS_ONE_RULE = join(import.meta.dirname, "../support/misbehaving/breaks-one-rule.mjs");
/** Long enough for an answer on a busy machine, and waited for in full by each case that is to fail for silence. */
const STEP_MS = 3_000;
/** Whether each broken agent plays every case. */
const PLAYS_ALL = times({ suite: 0, soak: 1 }) === 1;
const CASES = agentCases().map(({ name }) => name);

let home = "";
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "os-"));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

type Report = {
  agent_id: string;
  passed: number;
  failed: number;
  not_applicable: number;
  cases: { name: string; status: string; reason?: string }[];
};

async function protocolTest(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const env = { PATH: TOOL_PATH, HOME: home, OPENSENTIENCE_HOME: join(home, "none") };
  const result = await runTool([BINARY, "protocol", "test", ...args], { env, timeoutMs: 150_000, maxBytes: 1_000_000 });
  return { code: result.exitCode, stdout: result.stdout.toString(), stderr: result.stderr.toString() };
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

function failures({ cases }: Pick<Report, "cases">): string[] {
  return cases
    .filter(({ status }) => status !== "passed")
    .map(({ name, status, reason }) => `${name} ${status}: ${reason}`);
}

/**
 * What of those that share a session, and of those like the one that is broken, an agent with that fault passes. Cases
 * with an agent of their own cost a process each: all of them are played with each fault in a soak.
 */
function outcomesWith(fault: string): ReturnType<typeof testAgent> {
  const isBroken = agentCases().find(({ name }) => name === fault);
  const sharesSession = (one: AgentCase): boolean => one.start === "open" && one.own !== true;
  const isCheap = isBroken !== undefined && sharesSession(isBroken);
  const only = agentCases().filter((one) => PLAYS_ALL || !isCheap || sharesSession(one) || one.name === "handshake");
  const argv = [process.execPath, BREAKS_ONE_RULE, fault];
  const program = { argv, cwd: home, agentId: "com.example.odd", toolPath: TOOL_PATH, env: {} };
  return testAgent({ program, stepMs: STEP_MS, only: only.map(({ name }) => name) });
}

describe.concurrent("the reference agents pass every case", () => {
  test("hello-tools, with the SDK", async () => {
    const { code, stdout } = await protocolTest(join(EXAMPLES, "hello-tools"), "--json");
    const report = JSON.parse(stdout) as Report;
    expect(failures(report)).toEqual([]);
    expect({ code, passed: report.passed }).toEqual({ code: 0, passed: CASES.length });
  });

  test("hello-python, from the page alone", async () => {
    const { code, stdout } = await protocolTest(join(EXAMPLES, "hello-python"), "--json");
    expect(failures(JSON.parse(stdout) as Report)).toEqual([]);
    expect(code).toBe(0);
  });

  test("hello-elixir, from the page alone", { timeout: 180_000 }, async () => {
    const folder = join(EXAMPLES, "hello-elixir");
    const env = { PATH: TOOL_PATH, HOME: home, MIX_ENV: "prod", LANG: "C.UTF-8", MIX_BUILD_PATH: join(home, "_build") };
    const built = await runTool(["mix", "compile"], { cwd: folder, env, timeoutMs: 120_000, maxBytes: 100_000 });
    expect(built.stderr.toString()).toBe("");
    const program = await programOfFolder(folder, [], TOOL_PATH);
    const outcomes = await testAgent({
      program: { ...program, env: { ...program.env, MIX_BUILD_PATH: join(home, "_build") } },
      stepMs: 20_000,
    });
    expect(failures({ cases: outcomes })).toEqual([]);
  });
});

describe.concurrent("a case is failed by the agent that breaks its rule, and by no other", () => {
  test("an agent that breaks no rule passes", async ({ expect: expectHere }) => {
    expectHere(failures({ cases: await outcomesWith("none") })).toEqual([]);
  });

  test.each(CASES)("%s", async (name) => {
    const failed = (await outcomesWith(name)).filter(({ status }) => status !== "passed");
    expect(
      failed.map((one) => `${one.name} ${one.status}`),
      failures({ cases: failed }).join("\n"),
    ).toEqual([`${name} failed`]);
  });
});

describe.concurrent("opensentience protocol test", () => {
  test("needs no home and leaves none", async () => {
    const { code } = await protocolTest("--case", "handshake", join(EXAMPLES, "hello-python"));
    expect(code).toBe(0);
    const { stdout } = await runTool(["ls", "-A", home], {
      env: { PATH: TOOL_PATH },
      timeoutMs: 10_000,
      maxBytes: 1_000,
    });
    expect(stdout.toString().split("\n")).not.toContain("none");
  });

  test("reports what was expected and what came, and ends with 1", async () => {
    const args = ["--case", "ping", "--case", "handshake", "--", process.execPath, BREAKS_ONE_RULE, "handshake"];
    const { code, stdout, stderr } = await protocolTest(...args);
    expect(code).toBe(1);
    expect(stderr).toContain("executes third-party code");
    expect(stdout).toMatch(
      /^handshake +failed\n {4}expected: the agent says hello.*\n {4}but: .*payload\.agent_id is/m,
    );
    expect(stdout).toMatch(/^ping +passed$/m);
    expect(stdout).toMatch(/1 passed, 1 failed, 0 not applicable\n$/);
  });

  test("names what is not applicable to an agent, and why", async () => {
    const agent = ["--", process.execPath, BREAKS_ONE_RULE, "none, with one tool"];
    const { code, stdout } = await protocolTest("--case", "call.success", "--case", "cancel", ...agent);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^call\.success +passed\ncancel +not applicable: it registers no tool named sleep$/m);
    expect(stdout).toMatch(/1 passed, 0 failed, 1 not applicable\n$/);
  });

  test("a call that fails where it should succeed is told with its error", async () => {
    const only = ["--case", "call.success", "--tool", "invalid_input"];
    const { code, stdout } = await protocolTest(...only, join(EXAMPLES, "hello-tools"));
    expect(code).toBe(1);
    expect(stdout).toMatch(/payload\.status is "failed", not "succeeded"; its error is "[a-z_.]+": \S+/);
  });

  test("a tool that the agent does not have is refused, with those it has", async () => {
    const agent = ["--", process.execPath, BREAKS_ONE_RULE, "none, with one tool"];
    const { code, stderr } = await protocolTest("--case", "call.success", "--tool", "nope", ...agent);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/registers no tool "nope"; it registers \w+ \(usage/)]);
  });

  test("says what came where the hello had to be", async () => {
    const program = (frame: string): string =>
      `const s = require("node:net").connect(process.env.OPENSENTIENCE_SOCKET_PATH);
       const body = Buffer.from(${frame}); const head = Buffer.alloc(4); head.writeUInt32BE(body.length);
       s.write(Buffer.concat([head, body])); setTimeout(() => {}, 60_000)`;
    const said = async (frame: string): Promise<string> => {
      const agent = ["--", process.execPath, "-e", program(frame)];
      return (await protocolTest("--timeout", "1", "--case", "handshake", ...agent)).stdout;
    };
    const message = '{ type: "hello", payload: { token: process.env.OPENSENTIENCE_SESSION_TOKEN } }';
    expect(await said(`JSON.stringify(${message})`)).toContain(
      'agent.hello never came; the first message is of type "hello", with token\n',
    );
    expect(await said('"hi there"')).toContain('the first message is no JSON object: "hi there"\n');
  });

  test("names what could not be run", async () => {
    const { stdout } = await protocolTest("--json", "--", "sh", "-c", "echo no socket for me");
    const { cases } = JSON.parse(stdout) as Report;
    expect(cases[0]).toMatchObject({ name: "handshake", status: "failed" });
    expect(cases[0]?.reason).toContain("no socket for me");
    expect(cases.slice(1).every(({ status }) => status === "not_run")).toBe(true);
  });

  test("a Ctrl-C leaves no agent behind", async () => {
    const env = { PATH: TOOL_PATH, HOME: home, OPENSENTIENCE_HOME: join(home, "none") };
    const mark = `interrupted-${process.pid}`;
    const agent = [process.execPath, BREAKS_ONE_RULE, "connection.lost", mark];
    const child = spawnProcess([BINARY, "protocol", "test", "--", ...agent], {
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    child.stdout?.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    const exited = whenExited(child);
    const isThere = (): boolean =>
      readdirSync("/proc").some((pid) => commandOf(pid).startsWith(`${agent.join("\0")}\0`));
    await eventually(isThere, "the agent to run");
    child.kill("SIGINT");
    expect(await exited).toEqual({ exitCode: 130, signal: null });
    expect(isThere()).toBe(false);
    expect(stdout).not.toContain("failed");
  });

  test("refuses a case that there is not, a program that there is not, and nothing at all", async () => {
    const unknown = await protocolTest("--case", "handshak", join(EXAMPLES, "hello-python"));
    expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining('did you mean "handshake"?') as unknown });
    expect(await protocolTest()).toMatchObject({ code: 2 });
    expect(await protocolTest("--", "no-such-program-here")).toMatchObject({
      stderr: expect.stringContaining("core.tool_missing") as unknown,
    });
    expect(await protocolTest(home)).toMatchObject({ stderr: expect.stringContaining("manifest.missing") as unknown });
  });
});
