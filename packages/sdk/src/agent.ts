/**
 * An agent with tools, in ten lines:
 *
 *   defineAgent({ version: "1.0.0", tools: { add: tool({ … }, ({ a, b }) => ({ sum: a + b })) } }).run();
 *
 * `run` connects with what Core put into the environment, registers the tools, sends heartbeats, and answers each call
 * with exactly one result, whatever its handler does (incoming-calls.ts). On SIGTERM the calls are canceled, their results
 * sent, and the process ends with 0; a lost connection ends it with 1, since there is no second one.
 */
import { MAX_SCHEMA_BYTES, TOOL_NAME, type CoreMessage } from "@opensentience/protocol";
import { agentEnvironment, type AgentEnvironment } from "./agent-environment.ts";
import { CoreConnection } from "./connection.ts";
import { IncomingCalls } from "./incoming-calls.ts";
import { refuseUnknown } from "./known-options.ts";
import { onStop } from "./on-stop.ts";
import { OutgoingCalls } from "./outgoing-calls.ts";
import type { Tool } from "./tool.ts";
import { complain, jsonBytes } from "./what-leaves.ts";

export type AgentDefinition = {
  version: string;
  tools: Record<string, Tool>;
  /** Runs when the run is to stop, after every call has ended; `onStop` itself is taken by the agent. */
  onStop?: () => void | Promise<void>;
};

/** Tools in one message: even the largest fit a frame. */
const TOOLS_AT_ONCE = 25;
const HEARTBEAT_MS = { least: 100, usual: 5_000, most: 60_000 };

/** Throws on an option that is not known, on a tool that Core would refuse for its name, and on one that cannot be sent. */
export function defineAgent(definition: AgentDefinition): { run: () => void } {
  refuseUnknown("defineAgent()", definition, ["version", "tools", "onStop"] satisfies (keyof AgentDefinition)[]);
  for (const [name, one] of Object.entries(definition.tools)) {
    if (!TOOL_NAME.test(name)) throw new Error(`"${name}" is no tool name: lower-case letters, digits and _ only`);
    for (const schema of [one.inputSchema, one.outputSchema ?? {}])
      jsonBytes(schema, `a schema of ${name}`, MAX_SCHEMA_BYTES, ["tool.invalid_schema", "tool.schema_too_large"]);
  }
  return { run: () => new RunningAgent(definition, agentEnvironment()).start() };
}

class RunningAgent {
  readonly #definition: AgentDefinition;
  readonly #environment: AgentEnvironment;
  readonly #connection: CoreConnection;
  readonly #incoming: IncomingCalls;
  readonly #outgoing: OutgoingCalls;
  readonly #startedMs = performance.now();
  #heartbeat: NodeJS.Timeout | undefined;
  #isStopping = false;

  constructor(definition: AgentDefinition, environment: AgentEnvironment) {
    this.#definition = definition;
    this.#environment = environment;
    this.#connection = new CoreConnection(environment, {
      onMessage: (message) => this.#message(message),
      onClosed: (why) => this.#closed(why),
    });
    this.#outgoing = new OutgoingCalls(this.#connection);
    const tools = Object.entries(definition.tools).map(([name, one]) => [this.#toolId(name), one] as const);
    this.#incoming = new IncomingCalls(this.#connection, this.#outgoing, new Map(tools));
  }

  start(): void {
    this.#connection.hello(this.#environment, this.#definition.version, ["tools", "streaming", "cancellation"]);
    onStop(() => this.#stop());
  }

  async #stop(): Promise<void> {
    this.#isStopping = true;
    await this.#incoming.cancelAll("the agent stops");
    await this.#definition.onStop?.();
    await this.#connection.end();
  }

  #message(message: CoreMessage): void {
    switch (message.type) {
      case "core.welcome":
        return this.#welcomed(message);
      case "core.tool.call":
        return this.#incoming.begin(message);
      case "core.tool.cancel": {
        const { call_id, reason, deadline_ms } = message.payload;
        const accepted = this.#incoming.cancel(call_id, reason ?? "the call was canceled", deadline_ms);
        return this.#connection.send("agent.tool.cancel_ack", { call_id, accepted }, { in_reply_to: message.id });
      }
      case "core.tool.result":
        return this.#outgoing.answered(message);
      case "core.tools.registered":
        for (const { tool_id, error } of message.payload.rejected ?? [])
          complain(`Core does not take the tool ${tool_id}: ${error.message} (${error.code})`);
        return;
      case "core.error":
        return complain(`Core refused a message: ${message.error?.message ?? ""} (${message.error?.code ?? "?"})`);
      default:
    }
  }

  #welcomed({ payload, error }: Extract<CoreMessage, { type: "core.welcome" }>): void {
    const { session_id: sessionId, heartbeat_interval_ms: interval = HEARTBEAT_MS.usual } = payload;
    if (error !== undefined || sessionId === undefined) {
      return this.#connection.close(`Core refused the agent: ${error?.message ?? "it gave no session"}`);
    }
    this.#register();
    const beat = (): void => {
      // While Core does not read, one more would only wait behind the others.
      if (this.#connection.waitingBytes > 0) return;
      this.#connection.send("agent.heartbeat", {
        session_id: sessionId,
        uptime_ms: Math.round(performance.now() - this.#startedMs),
        inflight_calls: this.#incoming.count,
        status: "ok",
      });
    };
    this.#heartbeat = setInterval(beat, Math.min(Math.max(interval, HEARTBEAT_MS.least), HEARTBEAT_MS.most));
    beat();
  }

  #register(): void {
    const tools = Object.entries(this.#definition.tools).map(([name, one]) => ({
      tool_id: this.#toolId(name),
      name,
      description: one.description,
      input_schema: one.inputSchema,
      ...(one.outputSchema === undefined ? {} : { output_schema: one.outputSchema }),
      ...(one.permissions === undefined ? {} : { permissions: one.permissions }),
    }));
    for (let at = 0; at < tools.length; at += TOOLS_AT_ONCE)
      this.#connection.send("agent.tools.register", { tools: tools.slice(at, at + TOOLS_AT_ONCE) });
  }

  #toolId(name: string): string {
    return `${this.#environment.agentId}/${name}`;
  }

  #closed(why: string): void {
    clearInterval(this.#heartbeat);
    this.#outgoing.endAll(`the session ended: ${why}`);
    // A stop ends the process itself, with 0.
    if (this.#isStopping) return;
    complain(`the session ended: ${why}`);
    process.exit(1);
  }
}
