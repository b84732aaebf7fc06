/**
 * What listeners cost Core: fifty event streams while one agent calls another 500 times a second, which makes 1 000 rows of
 * the audit log. Core's own processor time with the fifty, less that with none under the same load, taken in turns. Each
 * stream has to get each row.
 */
import { cpSync, readFileSync } from "node:fs";
import { Agent, request, type IncomingMessage } from "node:http";
import { once } from "node:events";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type BenchHome, benchHome, plantAgent, runAgent } from "./bench-home.ts";
import { type Figure, median } from "./figure.ts";

const EXAMPLE = resolve(import.meta.dirname, "../../examples/agents/hello-tools");
const CALLED = "org.opensentience.examples.hello-tools";
const CALLER = "com.example.pacer";
const LISTENERS = 50;
const CALLS_PER_SECOND = 500;
const ROWS_PER_CALL = 2;
const SECONDS = 6;
const TICK_MS = 10;
/** For the last rows to arrive. */
const SETTLE_MS = 1_000;

type Load = { coreFraction: number; bytes: number };

export const figure: Figure = {
  name: "event-stream",
  subject: `Share of one core that ${LISTENERS} event streams cost Core at ${CALLS_PER_SECOND * ROWS_PER_CALL} rows of the audit log a second.`,
  floor: "none: the same load without a listener is taken off",
  target: 0.1,
  async measure(rounds) {
    const home = benchHome();
    try {
      await runAgents(home);
      const pid = await home.corePid();
      const [alone, listened, rates]: [number[], number[], number[]] = [[], [], []];
      for (let round = -1; round < rounds; round += 1) {
        const without = await load(home, pid, 0);
        const withAll = await load(home, pid, LISTENERS);
        if (round < 0) continue;
        alone.push(without.coreFraction);
        listened.push(withAll.coreFraction);
        rates.push(withAll.bytes / 1e6 / SECONDS);
      }
      const costs = listened.map((with50, index) => with50 - (alone[index] ?? 0));
      const cost = median(costs);
      const notes = [
        `The load alone takes ${median(alone).toFixed(2)} of a core; ${median(rates).toFixed(0)} MB/s went out; costs from ${Math.min(...costs).toFixed(3)} to ${Math.max(...costs).toFixed(3)}.`,
      ];
      return { floor: null, subject: cost, ratio: cost, unit: "cores", notes };
    } finally {
      await home.dispose();
    }
  },
};

/** Calls another tool so often a second, for so long. */
const PACER = `import { defineAgent, tool } from "./opensentience-sdk.js";
defineAgent({ version: "1.0.0", tools: { pace: tool({ description: "Calls at a pace.", inputSchema: { type: "object" } },
  async ({ target, perSecond, seconds }, { call }) => {
    const startedMs = performance.now();
    const calls = [];
    let open = 0;
    while (performance.now() - startedMs < seconds * 1000) {
      const due = Math.floor(((performance.now() - startedMs) * perSecond) / 1000);
      while (calls.length < due && open < 100) {
        open += 1;
        calls.push(call(target, {}).finally(() => (open -= 1)));
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await Promise.all(calls);
    return { calls: calls.length };
  }) } }).run();
`;

async function runAgents(home: BenchHome): Promise<void> {
  const called = join(home.root, "hello-tools");
  cpSync(EXAMPLE, called, { recursive: true });
  const caller = plantAgent(home, CALLER, PACER, [`tool:invoke:${CALLED}/hello_world`]);
  await home.cli("core", "start", "--set", "runtime.calls_per_minute=1000000", "--set", "runtime.calls_at_once=1000");
  for (const [agentId, source] of [
    [CALLED, called],
    [CALLER, caller],
  ] as const)
    await runAgent(home, agentId, source);
  const hasTools = (text: string): boolean => text.includes("hello_world") && text.includes("pace");
  while (!hasTools(await home.cli("tools", "list", "--json"))) await delay(TICK_MS);
}

/** One stretch of the load with so many listeners. */
async function load(home: BenchHome, pid: number, listeners: number): Promise<Load> {
  const streams = await Promise.all(Array.from({ length: listeners }, () => listen(home)));
  const cpuBefore = coreCpuMs(pid);
  const rows = (await pace(home)) * ROWS_PER_CALL;
  // Per 1 000 rows, which is what a second is to have: a busy machine makes fewer calls.
  const coreFraction = (coreCpuMs(pid) - cpuBefore) / rows;
  await delay(SETTLE_MS);
  for (const stream of streams) {
    stream.stop();
    if (stream.rows() < rows) throw new Error(`a stream got ${stream.rows()} of ${rows} rows`);
  }
  return { coreFraction, bytes: streams.reduce((sum, stream) => sum + stream.bytes(), 0) };
}

/** The calls that were made. */
async function pace(home: BenchHome): Promise<number> {
  const asked = request({
    socketPath: join(home.folder, "run/core.sock"),
    method: "POST",
    path: `/api/v1/tools/${CALLER}/pace/call`,
    headers: { "content-type": "application/json" },
  });
  const input = { target: `${CALLED}/hello_world`, perSecond: CALLS_PER_SECOND, seconds: SECONDS };
  asked.end(JSON.stringify({ input }));
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  let text = "";
  for await (const chunk of answer) text += String(chunk);
  const { output: made } = JSON.parse(text) as { output: { calls: number } | null };
  if (made === null || made.calls < CALLS_PER_SECOND * SECONDS * 0.5) throw new Error(`too few calls: ${text}`);
  return made.calls;
}

/** Over TCP with the token, as a page has it; counts rows without reading them as JSON. */
async function listen(home: BenchHome): Promise<{ rows: () => number; bytes: () => number; stop: () => void }> {
  const { web_url: url } = JSON.parse(await statusOf(home)) as { web_url: string };
  const token = readFileSync(join(home.folder, "state/web.token"), "utf8").trim();
  const asked = request(`${url}api/v1/events?topics=catalog,runs,audit,metrics`, {
    headers: { authorization: `Bearer ${token}` },
    agent: new Agent(),
  }).end();
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  if (answer.statusCode !== 200) throw new Error(`a stream was answered with ${answer.statusCode}`);
  let [rows, bytes, rest] = [0, 0, ""];
  answer.setEncoding("latin1").on("data", (chunk: string) => {
    bytes += chunk.length;
    const text = rest + chunk;
    rows += text.split('"seq":').length - 1;
    rest = text.slice(-5).endsWith('"seq":') ? "" : text.slice(-5);
  });
  return { rows: () => rows, bytes: () => bytes, stop: () => void answer.destroy() };
}

let status: Promise<string> | undefined;
function statusOf(home: BenchHome): Promise<string> {
  status ??= home.cli("core", "status", "--json");
  return status;
}

/** User and system time of Core, in ms; its children are not in it. */
function coreCpuMs(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
