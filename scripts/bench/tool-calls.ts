/**
 * What a governed tool call costs: permission, validation, limits, two committed audit rows. The floor is a call that
 * nobody governs, the MCP TypeScript SDK over stdio from process to process; a raw length-prefixed echo and
 * vscode-jsonrpc stand beside it. The peers are installed into a temporary folder, for the measurement only.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Speed } from "./calls/measured.ts";
import { median, ratioOf, sideBySide, type Figure, type Measured } from "./figure.ts";

const HERE = join(import.meta.dirname, "calls");
const PEERS = ["@modelcontextprotocol/sdk@1.32.2", "vscode-jsonrpc@10.0.0"];
const [SMALL, LARGE] = [200, 65_536];
const [ONE, MANY] = [1, 256];

type Governed = { core: Speed; agent: Speed; coreCpu: number };

/** What a script of calls/ measured. */
export function run<T>(file: string, peers: string, calls: number, bytes: number, inFlight: number): T {
  const args = [join(HERE, file), ...[calls, bytes, inFlight].map(String)];
  const env = { ...process.env, PEERS: peers };
  return JSON.parse(
    execFileSync(process.execPath, args, { encoding: "utf8", env, stdio: ["ignore", "pipe", "inherit"] }),
  ) as T;
}

/** Calls `measure` with a folder that holds the peers. */
export async function withPeers<T>(measure: (peers: string) => Promise<T>): Promise<T> {
  const peers = mkdtempSync(join(tmpdir(), "os-peers-"));
  try {
    writeFileSync(join(peers, "package.json"), '{"private":true}');
    execFileSync("npm", ["install", "--no-audit", "--no-fund", "--silent", ...PEERS], { cwd: peers, stdio: "ignore" });
    return await measure(peers);
  } finally {
    rmSync(peers, { recursive: true, force: true });
  }
}

function latency(name: string, who: "core" | "agent", bytes: number, target: number): Figure {
  const calls = bytes === SMALL ? 3_000 : 600;
  const path = who === "core" ? "from Core to an agent and back" : "from one agent through Core to another and back";
  return {
    name,
    subject: `Median of a governed call of ${bytes} B ${path}, one in flight.`,
    floor: "the same input and output by the MCP TypeScript SDK over stdio, ungoverned",
    target,
    measure: (rounds): Promise<Measured> =>
      withPeers(async (peers) => {
        const p50 = async (file: string): Promise<number> => run<Speed>(file, peers, calls, bytes, ONE).p50;
        const governed = async (): Promise<number> => run<Governed>("governed.ts", peers, calls, bytes, ONE)[who].p50;
        const pair = await sideBySide(rounds, () => p50("peer-mcp.js"), governed);
        const raw = await sideBySide(
          rounds,
          () => p50("raw-echo.js"),
          () => p50("peer-jsonrpc.js"),
        );
        const [echo, rpc] = [median(raw.floor), median(raw.subject)].map((value) => value.toFixed(0));
        return ratioOf(pair, "µs", [`A raw echo takes ${echo} µs, vscode-jsonrpc ${rpc} µs.`]);
      }),
  };
}

export const callToAgent: Figure = latency("call-to-agent", "core", SMALL, 1.2);
export const callBetweenAgents: Figure = latency("call-between-agents", "agent", SMALL, 1.4);
export const largeCallBetweenAgents: Figure = latency("large-call-between-agents", "agent", LARGE, 1.4);

/** The ratio is turned round: how often the rate that we want fits into the rate that there is. */
export const callRate: Figure = {
  name: "call-rate",
  subject: `Time for 20 000 governed calls of ${SMALL} B from Core to an agent and back, ${MANY} in flight.`,
  floor: "one second",
  target: 1,
  measure: (rounds): Promise<Measured> =>
    withPeers(async (peers) => {
      const calls = 20_000;
      const [rates, mcp, cpu]: [number[], number[], number[]] = [[], [], []];
      for (let round = 0; round < rounds; round += 1) {
        const { core, coreCpu } = run<Governed>("governed.ts", peers, calls, SMALL, MANY);
        rates.push(core.perSecond);
        cpu.push(coreCpu);
        mcp.push(run<Speed>("peer-mcp.js", peers, calls, SMALL, MANY).perSecond);
      }
      const seconds = 20_000 / median(rates);
      const notes = [
        `Core takes ${median(cpu).toFixed(0)} µs of CPU a call; MCP over stdio does ${median(mcp).toFixed(0)} calls a second.`,
      ];
      return { floor: 1, subject: seconds, ratio: seconds, unit: "s", notes };
    }),
};
