/** The environment variables of a run, read once and checked. */
import { RUN_VARIABLES } from "@opensentience/protocol";

/** What Core tells an agent about its run. */
export type AgentEnvironment = {
  agentId: string;
  /** Names this one launch, e.g. `run_0190…`; a restart has another. */
  runId: string;
  /** The agent's own folder for what it wants to keep; it survives restarts and new versions. */
  dataFolder: string;
  /** For what may be lost. */
  temporaryFolder: string;
  /** The Unix socket of this run, where Core listens. */
  socketPath: string;
  /** Secret of this run. Never print or store it. */
  sessionToken: string;
  protocolVersion: number;
};

/** The program was not started by Core. `missing` names the variables that are not set or empty. */
export class NotInARunError extends Error {
  readonly missing: readonly string[];

  constructor(missing: readonly string[]) {
    super(
      `not started by OpenSentience Core (not set: ${missing.join(", ")}); start it with: opensentience agents run ID`,
    );
    this.name = "NotInARunError";
    this.missing = missing;
  }
}

/** Throws NotInARunError when a variable is missing, empty or, for the protocol version, no whole number. */
export function agentEnvironment(env: Readonly<Record<string, string | undefined>> = process.env): AgentEnvironment {
  const isSound = (name: string): boolean =>
    name === RUN_VARIABLES.protocolVersion ? /^[1-9]\d{0,8}$/.test(env[name] ?? "") : (env[name] ?? "") !== "";
  const missing = Object.values(RUN_VARIABLES).filter((name) => !isSound(name));
  if (missing.length > 0) throw new NotInARunError(missing);
  const value = (name: string): string => env[name] ?? "";
  return {
    agentId: value(RUN_VARIABLES.agentId),
    runId: value(RUN_VARIABLES.runId),
    dataFolder: value(RUN_VARIABLES.dataFolder),
    temporaryFolder: value(RUN_VARIABLES.temporaryFolder),
    socketPath: value(RUN_VARIABLES.socketPath),
    sessionToken: value(RUN_VARIABLES.sessionToken),
    protocolVersion: Number(value(RUN_VARIABLES.protocolVersion)),
  };
}
