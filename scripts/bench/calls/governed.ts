/**
 * Core's part that a tool call goes through, in a process of its own: the real database on disk, audit log, sessions and
 * router, and two real agents with the SDK. Prints what was measured as JSON: from Core to an agent and back, and from one
 * agent through Core to the other and back. Arguments: calls, bytes, calls in flight.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RUN_VARIABLES } from "@opensentience/protocol";
import { AuditLog, Checkpoints, Redactor } from "../../../packages/core/src/audit-log/audit-log.ts";
import { JournalFile } from "../../../packages/core/src/host/journal-file.ts";
import { Runtime, WaitingCaller, type CallRequest } from "../../../packages/core/src/runtime/runtime.ts";
import { Storage } from "../../../packages/core/src/storage/storage.ts";
import { measured } from "./measured.ts";

const [calls = 1000, bytes = 200, inFlight = 1] = process.argv.slice(2).map(Number);
const SDK = new URL("../../../packages/core/dist/sdk.js", import.meta.url).href;
const ECHO = "com.example.echo";
const CALLER = "com.example.caller";
/** One agent gets half of another's places. */
const MOST_BETWEEN = 128;
const APPROVED = [`tool:invoke:${ECHO}/echo`];

const folder = mkdtempSync(join(tmpdir(), "os-calls-"));
const fault = (what: string, error?: unknown): void => {
  console.error(what, error);
  process.exitCode = 1;
};
const storage = Storage.open(join(folder, "core.sqlite3"));
const audit = new AuditLog({
  storage,
  redactor: new Redactor(),
  checkpoints: await Checkpoints.open(join(folder, "key"), join(folder, "checkpoints"), () => {}),
  journal: new JournalFile(join(folder, "journal")),
  observer: "core_bench",
  checkpointEvents: 256,
  checkpointIntervalMs: 60_000,
  onCheckpointError: (error) => fault("checkpoint", error),
});
const runtime = new Runtime({
  audit,
  settings: {
    handshakeTimeoutMs: 10_000,
    heartbeatIntervalMs: 5_000,
    missedHeartbeats: 3,
    callIdleMs: 60_000,
    callTotalMs: 600_000,
    limits: { maxConcurrent: 1_000, rate: { calls: 1e9, perMs: 60_000 } },
  },
  server: { core_version: "0.1.0", instance_id: "core_bench" },
  approvedPermissions: () => APPROVED,
  lacksUntilRestart: () => false,
  onFault: fault,
});

async function startAgent(agentId: string): Promise<() => void> {
  const socketPath = join(folder, `${agentId}.sock`);
  const connected = Promise.withResolvers<void>();
  await runtime.open({
    runId: `run_${agentId}`,
    agentId,
    manifestHash: "hash",
    sessionToken: `token-of-${agentId}`,
    hasTools: true,
    socketPath,
    executionLimits: undefined,
    endRun: (reason) => fault(`${agentId}: ${reason}`),
    onSession: () => connected.resolve(),
    onUnhealthy: (reason) => fault(`${agentId}: ${reason}`),
  });
  const env = {
    HOME: folder,
    TMPDIR: folder,
    SDK,
    [RUN_VARIABLES.agentId]: agentId,
    [RUN_VARIABLES.runId]: `run_${agentId}`,
    [RUN_VARIABLES.socketPath]: socketPath,
    [RUN_VARIABLES.sessionToken]: `token-of-${agentId}`,
    [RUN_VARIABLES.protocolVersion]: "1",
  };
  const child = spawn(process.execPath, [new URL("./echo-agent.js", import.meta.url).pathname], {
    env,
    stdio: "inherit",
  });
  await connected.promise;
  while (runtime.session(agentId)?.tools.get(`${agentId}/measure`) === undefined) await new Promise(setImmediate);
  return () => child.kill("SIGKILL");
}

function request(toolId: string, input: Record<string, unknown>): CallRequest {
  return {
    toolId,
    input,
    inputBytes: Buffer.from(JSON.stringify(input)),
    act: { actor: { type: "human", id: "uid:0(bench)" }, correlationId: null },
    caller: new WaitingCaller(),
    onStream: () => {},
  };
}

async function answerOf(call: CallRequest): Promise<unknown> {
  const { status, output, error } = await runtime.call(call);
  if (status !== "succeeded" || output === undefined) throw new Error(`the call ${status}: ${error?.message}`);
  return JSON.parse(Buffer.from(output).toString());
}

const kills = [await startAgent(ECHO), await startAgent(CALLER)];
const input = { text: "x".repeat(bytes) };
const toAgent = (): Promise<unknown> => answerOf(request(`${ECHO}/echo`, input));
const between = (count: number): Promise<unknown> =>
  answerOf(
    request(`${CALLER}/measure`, {
      target: `${ECHO}/echo`,
      calls: count,
      bytes,
      inFlight: Math.min(inFlight, MOST_BETWEEN),
    }),
  );
await measured(toAgent, Math.ceil(calls / 4), inFlight);
const before = process.cpuUsage();
const core = await measured(toAgent, calls, inFlight);
const { user, system } = process.cpuUsage(before);
await between(Math.ceil(calls / 4));
const agent = await between(calls);
console.log(JSON.stringify({ core, agent, coreCpu: (user + system) / calls }));
for (const kill of kills) kill();
rmSync(folder, { recursive: true, force: true });
process.exit();
