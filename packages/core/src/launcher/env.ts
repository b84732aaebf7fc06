/**
 * The environment of a run, built from nothing: never Core's own. SECURITY: an operator's tokens and keys live in
 * Core's environment; only names that were approved as `env:read:<NAME>` are handed over. Pinned by "gives an agent
 * nothing of Core's environment but what was approved".
 */
import {
  CoreError,
  isReservedVariable,
  parsePermission,
  PROTOCOL_VERSION,
  RUN_VARIABLES,
} from "@opensentience/protocol";

import { proxyVariables } from "../sandbox/sandbox.ts";

export type RunEnvironment = {
  variables: Record<string, string>;
  /** values to protect in logs: name and value */ secrets: [string, string][];
};

type Approved = {
  agentId: string;
  approvedPermissions: readonly string[];
  valueOf: (name: string) => string | undefined;
};

/**
 * What is approved of Core's environment, by name. Throws `launcher.env_missing` when an approved name is not set in the
 * environment Core was started with, and `launcher.env_reserved` when it is one that Core sets.
 */
export function approvedVariables({ agentId, approvedPermissions, valueOf }: Approved): [string, string][] {
  return approvedPermissions.flatMap((permission): [string, string][] => {
    const parsed = parsePermission(permission);
    const name = parsed?.domain === "env" && parsed.action === "read" ? parsed.pattern : undefined;
    if (name === undefined) return [];
    // SECURITY: with the operator's PATH or HOME the agent would run other programs and keep its data elsewhere than
    // Core says. Pinned by "an approved name never replaces what Core sets".
    if (isReservedVariable(name)) throw reserved(name, agentId);
    const value = valueOf(name);
    if (value !== undefined) return [[name, value]];
    throw new CoreError(
      "launcher.env_missing",
      `${name} was approved but is not set in the environment Core was started with; export it, then restart Core from that shell`,
      {
        details: { name },
        nextStep: "opensentience core restart",
      },
    );
  });
}

/** What `approvedVariables` would throw at the next start. */
export function refusedVariable(approved: Approved): CoreError | undefined {
  try {
    approvedVariables(approved);
    return undefined;
  } catch (error) {
    if (error instanceof CoreError) return error;
    throw error;
  }
}

/** Throws what `approvedVariables` throws. */
export function buildEnvironment(
  options: Approved & {
    runId: string;
    sessionToken: string;
    socketPath: string;
    dataFolder: string;
    temporaryFolder: string;
    toolPath: string;
    isMixTask: boolean;
    /** Patterns of the approved `network:egress`, where Core's proxy is the only way out; undefined where it is not. */
    egressPatterns: readonly string[] | undefined;
  },
): RunEnvironment {
  const secrets: [string, string][] = [["session_token", options.sessionToken]];
  const variables: Record<string, string> = {
    PATH: options.toolPath,
    LANG: "C.UTF-8",
    [RUN_VARIABLES.dataFolder]: options.dataFolder,
    [RUN_VARIABLES.temporaryFolder]: options.temporaryFolder,
    // The agent's folder is what was approved; a run must not write caches into it.
    PYTHONDONTWRITEBYTECODE: "1",
    ...(options.isMixTask ? { MIX_ENV: "prod" } : {}),
  };
  for (const [name, value] of approvedVariables(options)) {
    variables[name] = value;
    secrets.push([`env ${name}`, value]);
  }
  // The operator's own proxy, approved or not, cannot be reached from inside.
  const proxy = options.egressPatterns === undefined ? {} : proxyVariables(options.egressPatterns);
  Object.assign(variables, proxy, {
    [RUN_VARIABLES.agentId]: options.agentId,
    [RUN_VARIABLES.runId]: options.runId,
    [RUN_VARIABLES.socketPath]: options.socketPath,
    [RUN_VARIABLES.sessionToken]: options.sessionToken,
    [RUN_VARIABLES.protocolVersion]: String(PROTOCOL_VERSION),
  });
  return { variables, secrets };
}

function reserved(name: string, agentId: string): CoreError {
  return new CoreError("launcher.env_reserved", `env:read:${name} was approved, but Core sets ${name} itself`, {
    details: { name },
    nextStep: `opensentience agents enable ${agentId}`,
  });
}
