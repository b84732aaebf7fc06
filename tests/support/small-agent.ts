/** The smallest agent there is: a manifest and a shell program that says hello and stays. */
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

/** Takes a small agent to the named stage of its life, each by its command. */
export async function smallAgentAt(
  home: CoreHome,
  agentId: string,
  stage: "installed" | "built" | "enabled" | "running",
  changes: Record<string, unknown> = {},
  files: Files = {},
): Promise<GitRepository> {
  const repository = await gitRepository("small", smallAgent(agentId, changes, files));
  await home.json(["agents", "install", repository.url, "--allow-local"]);
  if (stage === "installed") return repository;
  await home.json(["agents", "build", agentId, "--yes"]);
  if (stage === "built") return repository;
  await home.json(["agents", "enable", agentId, "--all"]);
  if (stage === "enabled") return repository;
  await home.json(["agents", "run", agentId]);
  return repository;
}
