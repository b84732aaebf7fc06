/**
 * What the author of an agent imports: the environment that Core gives to a run, and a clean stop.
 *
 * Both are conveniences: an agent is any program, and everything here is plain environment variables and signals
 * (docs/lifecycle.md). Nothing here opens a connection; the socket path and the session token are only handed on.
 */
export { agentEnvironment, NotInARunError, type AgentEnvironment } from "./agent-environment.ts";
export { onStop, type StopOptions } from "./on-stop.ts";
