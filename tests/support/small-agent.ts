/** The smallest agent there is: a manifest and a shell program that says hello and stays. */
import { controlOf } from "./control-of.ts";
import type { CoreHome, Files, GitRepository } from "./core-home.ts";
import { gitRepository } from "./core-home.ts";

export const MANIFEST = "opensentience.agent.json";

/** Says "started", then its arguments, and stays until it is told to end. */
const STAYING_PROGRAM = '#!/bin/sh\necho "started $*"\nexec sleep 1000\n';

export function manifestOf(agentId: string, changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id: agentId,
    name: "Small",
    version: "1.0.0",
    description: "Stays.",
    source: { git_url: "https://example.com/small.git" },
    entrypoint: { type: "command", value: "./bin/agent" },
    permissions: [],
    capabilities: [],
    ...changes,
  };
}

export function smallAgent(agentId: string, changes: Record<string, unknown> = {}, files: Files = {}): Files {
  return {
    [MANIFEST]: manifestText(agentId, changes),
    "bin/agent": { text: STAYING_PROGRAM, mode: 0o755 },
    ...files,
  };
}

export function manifestText(agentId: string, changes: Record<string, unknown> = {}): string {
  return `${JSON.stringify(manifestOf(agentId, changes), null, 2)}\n`;
}

/**
 * Takes a small agent to the named stage of its life. These are the acts of `agents install`, `build`, `enable` and `run`, whose
 * commands have tests of their own: here each is one request, for a process each costs more than the act.
 */
export async function smallAgentAt(
  home: CoreHome,
  agentId: string,
  stage: "installed" | "built" | "enabled" | "running",
  changes: Record<string, unknown> = {},
  files: Files = {},
): Promise<GitRepository> {
  const repository = await gitRepository("small", smallAgent(agentId, changes, files));
  const params = { agent_id: agentId };
  if (!(await (await controlOf(home)).isAnswering())) await home.json(["core", "start"]);
  // A caller of its own for each, as each command is one.
  await (await controlOf(home)).call("install_agent", { body: { git_url: repository.url, allow_local: true } });
  if (stage === "installed") return repository;
  const builder = await controlOf(home);
  const { digest } = await builder.call("plan_build", { params });
  await builder.call("build_agent", { params, body: { expected_plan: digest } });
  if (stage === "built") return repository;
  await (await controlOf(home)).call("enable_agent", { params, body: { all: true } });
  if (stage === "enabled") return repository;
  await (await controlOf(home)).call("run_agent", { params, body: {} });
  return repository;
}
