/** What becomes of calls that are under way when their agent dies, when Core is stopped, and when Core dies. */
import { join } from "node:path";
import type { ToolCallJson } from "@opensentience/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readCoreMark } from "../../packages/core/src/host/core-mark.ts";
import { isAlive, readProcess } from "../../packages/core/src/host/process-tree.ts";
import { type AuditRow, auditRows } from "../support/audit-rows.ts";
import { controlOf } from "../support/control-of.ts";
import { type CoreHome, eventually, EXAMPLES, gitRepository, newHome } from "../support/core-home.ts";
import { answer, Speaker } from "../support/core-transcript.ts";

const HELLO = "org.opensentience.examples.hello-tools";
const CALLS = 8;
/** Of a machine that has other things to do as well; a deadline would take 60 s. */
const AT_ONCE_MS = 5_000;

let home: CoreHome;
/** Its program is gone on the first signal, and nobody answers its calls. */
let silent: Speaker;

beforeAll(async () => {
  home = await newHome();
  const { url } = await gitRepository("hello", { copyOf: join(EXAMPLES, "hello-tools") });
  await home.json(["agents", "install", url, "--allow-local"]);
  await home.json(["agents", "build", HELLO, "--yes"]);
  await home.json(["agents", "enable", HELLO, "--all"]);
  silent = await Speaker.install(home, "com.example.silent");
}, 120_000);
afterAll(() => home.dispose());

const routed = (): number => auditRows(home, "tool.call_routed").length;

/** So many calls of its `sleep`, once the agent runs and works on all of them. */
async function callsUnderWay(): Promise<Promise<ToolCallJson | undefined>[]> {
  await home.json(["agents", "run", HELLO]);
  const control = await controlOf(home);
  const params = { agent_id: HELLO };
  await eventually(
    async () => (await control.call("list_tools", { query: { agent: HELLO } })).items.length > 0,
    "the tools of the example",
  );
  const before = routed();
  const calls = Array.from({ length: CALLS }, () =>
    control
      .call("call_tool", { params: { ...params, tool_name: "sleep" }, body: { input: { ms: 600_000 } } })
      .catch(() => undefined),
  );
  await eventually(() => routed() === before + CALLS, "the calls to be under way");
  return calls as Promise<ToolCallJson | undefined>[];
}

/** Every call that was handed over, with how it ended. */
function pairs(): { begun: AuditRow; ends: AuditRow[] }[] {
  const ends = auditRows(home, "tool.call_completed");
  return auditRows(home, "tool.call_routed").map((begun) => ({
    begun,
    ends: ends.filter(({ metadata }) => metadata["call_id"] === begun.metadata["call_id"]),
  }));
}

/** That each call has one end; those of the newest ones. */
function newestEnds(): AuditRow[] {
  const all = pairs();
  expect(all.map(({ ends }) => ends.length)).toEqual(all.map(() => 1));
  return all.slice(-CALLS).flatMap(({ ends }) => ends);
}

async function killCore(): Promise<void> {
  const pid = readCoreMark(join(home.folder, "run/core.pid"))?.pid ?? 0;
  const identity = { pid, startTime: readProcess(pid)?.startTime ?? "" };
  process.kill(pid, "SIGKILL");
  await eventually(() => !isAlive(identity), "Core to be gone");
}

test("calls fail at once when their agent is killed", async () => {
  const calls = await callsUnderWay();
  const { items } = await home.json<{ items: { agent_id: string; pid: number }[] }>(["agents", "ps"]);
  const startedMs = performance.now();
  process.kill(items.find(({ agent_id: id }) => id === HELLO)?.pid ?? 0, "SIGKILL");
  const failed = { status: "failed", error: { code: "tool.agent_unavailable" } };
  expect(await Promise.all(calls)).toMatchObject(calls.map(() => failed));
  expect(performance.now() - startedMs).toBeLessThan(AT_ONCE_MS);
  // A file of the database shows rows of calls a few ms later than Core itself does.
  await eventually(() => auditRows(home, "tool.call_completed").length === routed(), "the ends in the table");
  expect(newestEnds().map(({ metadata }) => metadata["code"])).toEqual(calls.map(() => "tool.agent_unavailable"));
  await home.json(["agents", "stop", HELLO]);
});

test("a stop of Core records the end of every call before its own", async () => {
  const calls = await callsUnderWay();
  const peer = await silent.open();
  const control = await controlOf(home);
  const params = { agent_id: silent.agentId, tool_name: "say" };
  const unanswered = control.call("call_tool", { params, body: { input: {} } }).catch(() => undefined);
  await answer(peer, { type: "core.tool.call" });
  await home.json(["core", "stop"]);
  await Promise.all([...calls, unanswered]);
  const ends = newestEnds();
  const stopped = auditRows(home, "core.stopped").at(-1)?.seq ?? 0;
  expect(ends.filter(({ seq }) => seq > stopped)).toEqual([]);
  expect(ends.at(-1)).toMatchObject({ subject: `${silent.agentId}/say`, outcome: "failed" });
});

test("kill -9 of Core leaves no call without its end, after the next start", async () => {
  const calls = await callsUnderWay();
  await killCore();
  await Promise.all(calls);
  expect(pairs().filter(({ ends }) => ends.length === 0)).toHaveLength(CALLS);
  await home.json(["core", "start"]);
  expect(newestEnds()).toMatchObject(calls.map(() => ({ outcome: "failed", metadata: { code: "core_lost" } })));
  expect(await home.json(["audit", "verify"])).toMatchObject({ status: "intact" });
});

test("kill -9 of Core, and of the next one before it has closed the calls, leaves none without its end", async () => {
  const calls = await callsUnderWay();
  await killCore();
  await Promise.all(calls);
  for (const point of ["start.recorded", "start.locked", "start.recorded"])
    await home.cli(["core", "start"], { env: { OPENSENTIENCE_KILL_POINT: point } });
  expect(pairs().filter(({ ends }) => ends.length === 0)).toHaveLength(CALLS);
  await home.json(["core", "start"]);
  expect(newestEnds()).toMatchObject(calls.map(() => ({ outcome: "failed", metadata: { code: "core_lost" } })));
});
