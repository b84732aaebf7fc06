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

/** Version of the runtime protocol that Core names to its runs. */
export const PROTOCOL_VERSION = 1;
