/**
 * For authors of agents in JavaScript: tools, the environment that Core gives to a run, and a clean stop.
 *
 * All of it is convenience: an agent is any program, and everything here is plain environment variables, signals and one
 * Unix socket (docs/lifecycle.md, docs/protocol.md).
 */
export { defineAgent, type AgentDefinition } from "./agent.ts";
export { agentEnvironment, NotInARunError, type AgentEnvironment } from "./agent-environment.ts";
export type { CallContext, Channel } from "./call-context.ts";
export { onStop, type StopOptions } from "./on-stop.ts";
export type { AskOptions } from "./outgoing-calls.ts";
export { tool, type Tool } from "./tool.ts";
export { ToolError } from "./what-leaves.ts";
