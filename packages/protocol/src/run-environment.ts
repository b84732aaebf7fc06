/** What a run finds in its environment, by name: Core sets these, the SDK and agents in any language read them. */
export const RUN_VARIABLES = {
  agentId: "OPENSENTIENCE_AGENT_ID",
  runId: "OPENSENTIENCE_RUN_ID",
  /** The agent's own folder for what it wants to keep. */
  dataFolder: "HOME",
  temporaryFolder: "TMPDIR",
  socketPath: "OPENSENTIENCE_SOCKET_PATH",
  sessionToken: "OPENSENTIENCE_SESSION_TOKEN",
  protocolVersion: "OPENSENTIENCE_PROTOCOL_VERSION",
} as const;

/** Names whose value in a run is Core's alone; an approved `env:read` of one of them is refused. */
export function isReservedVariable(name: string): boolean {
  return /^(?:PATH|HOME|TMPDIR|LANG|MIX_ENV|PYTHONDONTWRITEBYTECODE|OPENSENTIENCE_.*)$/.test(name);
}

/** Version of the runtime protocol that Core names to its runs. */
export const PROTOCOL_VERSION = 1;
