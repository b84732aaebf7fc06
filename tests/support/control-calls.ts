/** Acts on Core's control socket (control-of.ts) that are done a thousand times. */
import type { RunJson } from "@opensentience/protocol";
import { CoreError } from "@opensentience/protocol";
import type { ControlClient } from "../../packages/core/src/cli/control-client.ts";
import type { Run } from "./agent-acts.ts";
import { eventually, type Files, gitRepository } from "./core-home.ts";
import { smallAgent } from "./small-agent.ts";

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

/** A run that ends by itself, in its start window or, on a busy machine, after it; the run when it is over. */
export async function runToEnd(control: ControlClient, agentId: string, ...args: string[]): Promise<RunJson> {
  const started = await startRun(control, agentId, ...args).catch((error: unknown) => {
    if (error instanceof CoreError && error.code === "launcher.exited_early") return error.details["run"] as Run;
    throw error;
  });
  return await eventually(async () => {
    const { run } = await control.call("get_agent", { params: { agent_id: agentId } });
    if (run?.run_id !== started.run_id) throw new Error(`another run than ${started.run_id}: ${run?.run_id}`);
    return run.stopped_at === null ? undefined : run;
  }, `the end of ${started.run_id}`);
}

/** The live run of the agent, waited for when it has none yet. */
export async function liveRun(control: ControlClient, agentId: string): Promise<Run> {
  return await eventually(async () => {
    const { items } = await control.call("list_runs", { query: { agent: agentId } });
    return items[0] as Run | undefined;
  }, `a live run of ${agentId}`);
}
