/** The control API without a process per call, for what is done a thousand times: the CLI's own client on Core's socket. */
import type { RunJson } from "@opensentience/protocol";
import { CoreError } from "@opensentience/protocol";
import { ControlClient } from "../../packages/core/src/cli/control-client.ts";
import { pathsOf } from "../../packages/core/src/host/paths.ts";
import { type CoreHome, eventually, type Files, gitRepository } from "./core-home.ts";
import { smallAgent } from "./small-agent.ts";

/** A run that stands, so that it has a pid. */
export type Run = RunJson & { pid: number };

/** One caller; Core must run already. */
export function controlOf(home: CoreHome): ControlClient {
  const uid = process.geteuid?.() ?? 0;
  return new ControlClient({ paths: pathsOf(home.folder, undefined, uid), uid, signal: new AbortController().signal });
}

/** Takes a small agent from git to where it may run. */
export async function enableAgent(control: ControlClient, agentId: string, files: Files): Promise<void> {
  const repository = await gitRepository("small", smallAgent(agentId, {}, files));
  const params = { agent_id: agentId };
  await control.call("install_agent", { body: { git_url: repository.url, ref: "main", allow_local: true } });
  await control.call("build_agent", { params, body: {} });
  await control.call("enable_agent", { params, body: { all: true } });
}

export async function startRun(control: ControlClient, agentId: string, ...args: string[]): Promise<Run> {
  return (await control.call("run_agent", { params: { agent_id: agentId }, body: { args } })) as Run;
}

export async function stopRun(control: ControlClient, agentId: string): Promise<RunJson> {
  return await control.call("stop_agent", { params: { agent_id: agentId }, body: {} });
}

/** A start that must fail with this code; the error. */
export async function startFails(
  control: ControlClient,
  code: string,
  agentId: string,
  ...args: string[]
): Promise<CoreError> {
  const thrown: unknown = await startRun(control, agentId, ...args).catch((error: unknown) => error);
  if (thrown instanceof CoreError && thrown.code === code) return thrown;
  throw new Error(`a run of ${agentId} was to fail with ${code}, but gave ${JSON.stringify(thrown)}`);
}

/** The live run of the agent, waited for when it has none yet. */
export async function liveRun(control: ControlClient, agentId: string): Promise<Run> {
  return await eventually(async () => {
    const { items } = await control.call("list_runs", { query: { agent: agentId } });
    return items[0] as Run | undefined;
  }, `a live run of ${agentId}`);
}

/** The agent's newest run, as soon as it is over. */
export async function endedRun(control: ControlClient, agentId: string): Promise<RunJson> {
  return await eventually(async () => {
    const { run } = await control.call("get_agent", { params: { agent_id: agentId } });
    return run !== null && run.stopped_at !== null && ["stopped", "crashed"].includes(run.status) ? run : undefined;
  }, `the end of the run of ${agentId}`);
}
