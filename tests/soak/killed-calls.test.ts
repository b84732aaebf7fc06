/**
 * kill -9 of Core at random moments while calls come and go. After the next start each call that was handed over has one
 * end, and what a caller was told is what stands on record.
 */
import { join } from "node:path";
import type { ToolCallJson } from "@opensentience/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readCoreMark } from "../../packages/core/src/host/core-mark.ts";
import { isAlive, readProcess } from "../../packages/core/src/host/process-tree.ts";
import { type AuditRow, auditRows } from "../support/audit-rows.ts";
import { controlOf } from "../support/control-of.ts";
import { type CoreHome, eventually, EXAMPLES, gitRepository, newHome } from "../support/core-home.ts";
import { found, randomNumbers, seed, times } from "../support/counts.ts";

const HELLO = "org.opensentience.examples.hello-tools";
const KILLS = times({ suite: 3, soak: 60 });
const CALLERS = 16;
/** Core dies as soon as so many calls were answered; up to as many are under way then as there are callers. */
const MOST_ANSWERED = 200;
const TOOLS = [
  ["hello_world", {}],
  ["stream_counter", { to: 3 }],
  ["sleep", { ms: 5 }],
  ["invalid_input", {}],
] as const;

const random = randomNumbers();
let home: CoreHome;
beforeAll(async () => {
  home = await newHome({ settings: { "runtime.calls_per_minute": 1_000_000 } });
  const { url } = await gitRepository("hello", { copyOf: join(EXAMPLES, "hello-tools") });
  await home.json(["agents", "install", url, "--allow-local"]);
  await home.json(["agents", "build", HELLO, "--yes"]);
  await home.json(["agents", "enable", HELLO, "--all"]);
}, 120_000);
afterAll(() => home.dispose());

/** Calls from many sides until Core dies; what each of them was told. */
async function callUntilDeath(): Promise<ToolCallJson[]> {
  await home.json(["agents", "run", HELLO]);
  const control = await controlOf(home);
  const offered = async (): Promise<boolean> =>
    (await control.call("list_tools", { query: { agent: HELLO } })).items.length === 5;
  await eventually(offered, "the tools of the example");
  const pid = readCoreMark(join(home.folder, "run/core.pid"))?.pid ?? 0;
  const core = { pid, startTime: readProcess(pid)?.startTime ?? "" };
  const told: ToolCallJson[] = [];
  const last = 1 + Math.floor(random() * MOST_ANSWERED);
  const call = async (): Promise<void> => {
    const [name, input] = TOOLS[Math.floor(random() * TOOLS.length)] ?? TOOLS[0];
    told.push(await control.call("call_tool", { params: { agent_id: HELLO, tool_name: name }, body: { input } }));
    if (told.length === last) process.kill(pid, "SIGKILL");
  };
  const callers = Array.from({ length: CALLERS }, async () => {
    for (;;) await call();
  });
  await Promise.allSettled(callers);
  await eventually(() => !isAlive(core), "Core to be gone");
  return told;
}

test(`${KILLS} deaths of Core leave no call without its end (seed ${seed})`, { timeout: 3_600_000 }, async () => {
  let [toldAll, lost] = [0, 0];
  for (let kill = 0; kill < KILLS; kill += 1) {
    const told = await callUntilDeath();
    await home.json(["core", "start"]);
    const ends = new Map<unknown, AuditRow[]>();
    for (const row of auditRows(home, "tool.call_completed"))
      ends.set(row.metadata["call_id"], [...(ends.get(row.metadata["call_id"]) ?? []), row]);
    const routed = auditRows(home, "tool.call_routed").map(({ metadata }) => metadata["call_id"]);
    expect(routed.filter((id) => ends.get(id)?.length !== 1)).toEqual([]);
    expect(ends.size).toBe(routed.length);
    for (const { call_id: id, status } of told) expect(ends.get(id)?.[0]?.metadata["status"]).toBe(status);
    toldAll += told.length;
    lost = [...ends.values()].filter(([row]) => row?.metadata["code"] === "core_lost").length;
  }
  expect(await home.json(["audit", "verify"])).toMatchObject({ status: "intact" });
  expect(toldAll).toBeGreaterThan(0);
  found(
    `kill -9 of Core at ${KILLS} random moments with ${CALLERS} calls under way`,
    `each of ${toldAll} answered calls is on record as answered, each of ${lost} lost ones as lost; none without its end`,
  );
});
