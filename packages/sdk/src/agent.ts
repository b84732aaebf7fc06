/**
 * An agent with tools, in ten lines:
 *
 *   defineAgent({ version: "1.0.0", tools: { add: tool({ … }, ({ a, b }) => ({ sum: a + b })) } }).run();
 *
 * `run` connects with what Core put into the environment, registers the tools, sends heartbeats, and answers each call
 * with exactly one result, whatever its handler does: what a handler returns is the output, what it throws a safe error, an
 * aborted call is canceled. When the connection is lost or the run is to stop, handlers are aborted and the process ends.
 */
import { TOOL_NAME, type CoreMessage, type Extras, type WireError } from "@opensentience/protocol";
import { agentEnvironment, type AgentEnvironment } from "./agent-environment.ts";
import { CoreConnection } from "./connection.ts";
import { onStop } from "./on-stop.ts";

type CallMessage = Extract<CoreMessage, { type: "core.tool.call" }>;
type StreamData = { text: string } | { json: unknown };
type Channel = "stdout" | "stderr" | "log" | "partial_result" | "status";

/** What Core holds a text of an agent to, and so does the SDK before it sends one. */
const MAX_MESSAGE = 2_000;

/** Thrown by a handler to fail its call with a code and a text of its own; anything else says only that it failed. */
export class ToolError extends Error {
  readonly code: string;
  readonly details: Record<string, unknown> | undefined;

  constructor(code: string, message: string, details?: Record<string, unknown>) {
    super(message);
    this.name = "ToolError";
    this.code = code;
    this.details = details;
  }
}

export type CallContext = {
  /** Aborted when the call is canceled or the run stops; pass it on to whatever can be aborted. */
  signal: AbortSignal;
  /** Sends a piece of output; resolves when there is room for more. */
  stream: (data: string | { json: unknown }, channel?: Channel) => Promise<void>;
  log: (text: string) => void;
  /** Calls another agent's tool; needs the approved permission `tool:invoke:<agent_id>/<tool>`. Rejects with a ToolError. */
  call: (
    toolId: string,
    input: Record<string, unknown>,
    options?: { timeoutMs?: number; signal?: AbortSignal },
  ) => Promise<unknown>;
  request: {
    callId: string;
    requestId: string | undefined;
    correlationId: string | undefined;
    caller: { type: string; id: string } | undefined;
  };
};

export type Tool = {
  description: string;
  inputSchema: Record<string, unknown>;
  outputSchema?: Record<string, unknown>;
  /** What the agent must have approved for this tool to be called. */
  permissions?: string[];
  handler: (input: never, context: CallContext) => unknown;
};

export type AgentDefinition = { version: string; tools: Record<string, Tool> };

/** Gives a handler's input its type; Core has checked it against the schema before the handler sees it. */
export function tool<Input extends Record<string, unknown>>(
  about: Omit<Tool, "handler">,
  handler: (input: Input, context: CallContext) => unknown,
): Tool {
  return { ...about, handler };
}

/** Throws on a tool name that Core would refuse. */
export function defineAgent(definition: AgentDefinition): { run: () => void } {
  for (const name of Object.keys(definition.tools)) {
    if (!TOOL_NAME.test(name)) throw new Error(`"${name}" is no tool name: lower-case letters, digits and _ only`);
  }
  return { run: () => new RunningAgent(definition, agentEnvironment()).start() };
}

class RunningAgent {
  readonly #definition: AgentDefinition;
  readonly #environment: AgentEnvironment;
  readonly #connection: CoreConnection;
  readonly #calls = new Map<string, AbortController>();
  /** Calls of other agents' tools, by the id this agent gave them. */
  readonly #asked = new Map<string, { resolve: (output: unknown) => void; reject: (error: Error) => void }>();
  readonly #startedMs = performance.now();
  #heartbeat: NodeJS.Timeout | undefined;

  constructor(definition: AgentDefinition, environment: AgentEnvironment) {
    this.#definition = definition;
    this.#environment = environment;
    this.#connection = new CoreConnection(environment.socketPath, {
      onMessage: (message) => this.#message(message),
      onClosed: (why) => this.#closed(why),
    });
  }

  start(): void {
    this.#connection.hello(this.#environment, this.#definition.version, ["tools", "streaming", "cancellation"]);
    onStop(() => {
      for (const controller of this.#calls.values())
        controller.abort(new ToolError("tool.canceled", "the agent stops"));
    });
  }

  #message(message: CoreMessage): void {
    switch (message.type) {
      case "core.welcome":
        return this.#welcomed(message);
      case "core.tool.call":
        void this.#answer(message);
        return;
      case "core.tool.cancel": {
        const controller = this.#calls.get(message.payload.call_id);
        controller?.abort(new ToolError("tool.canceled", message.payload.reason ?? "canceled"));
        this.#connection.send(
          "agent.tool.cancel_ack",
          { call_id: message.payload.call_id, accepted: controller !== undefined },
          { in_reply_to: message.id },
        );
        return;
      }
      case "core.tool.result":
        return this.#answered(message);
      case "core.tools.registered":
        for (const { tool_id, error } of message.payload.rejected ?? [])
          complain(`${tool_id} was rejected: ${error.message}`);
        return;
      default:
    }
  }

  #welcomed({ payload, error }: Extract<CoreMessage, { type: "core.welcome" }>): void {
    const sessionId = payload.session_id;
    if (error !== undefined || sessionId === undefined) return this.#connection.close(error?.message ?? "not welcome");
    const { agentId } = this.#environment;
    const tools = Object.entries(this.#definition.tools).map(([name, one]) => ({
      tool_id: `${agentId}/${name}`,
      name,
      description: one.description,
      input_schema: one.inputSchema,
      ...(one.outputSchema === undefined ? {} : { output_schema: one.outputSchema }),
      ...(one.permissions === undefined ? {} : { permissions: one.permissions }),
    }));
    this.#connection.send("agent.tools.register", { tools });
    const beat = (): void => {
      this.#connection.send("agent.heartbeat", {
        session_id: sessionId,
        uptime_ms: Math.round(performance.now() - this.#startedMs),
        inflight_calls: this.#calls.size,
        status: "ok",
      });
    };
    this.#heartbeat = setInterval(beat, payload.heartbeat_interval_ms ?? 5_000);
    beat();
  }

  /** One call, one result. */
  async #answer(message: CallMessage): Promise<void> {
    const { call_id, tool_id } = message.payload;
    const controller = new AbortController();
    this.#calls.set(call_id, controller);
    const echo = {
      request_id: message.request_id,
      correlation_id: message.correlation_id,
      causation_id: message.causation_id,
    };
    const started_at = new Date().toISOString();
    const finish = (result: {
      status: "succeeded" | "failed" | "canceled";
      output?: unknown;
      error?: WireError;
    }): void => {
      this.#calls.delete(call_id);
      this.#connection.send(
        "agent.tool.result",
        { call_id, ...result, started_at, finished_at: new Date().toISOString() },
        { ...echo, in_reply_to: message.id },
      );
    };
    try {
      const handler = this.#definition.tools[tool_id.split("/")[1] ?? ""]?.handler;
      if (handler === undefined) throw new ToolError("tool.not_found", "this agent has no such tool");
      const output = await handler(message.payload.input as never, this.#context(message, controller.signal, echo));
      finish({ status: "succeeded", output: output ?? {} });
    } catch (thrown) {
      const { aborted, reason } = controller.signal;
      if (aborted) finish({ status: "canceled", error: safeError(reason) });
      else finish({ status: "failed", error: safeError(thrown) });
    }
  }

  #context(message: CallMessage, signal: AbortSignal, echo: Extras): CallContext {
    const { call_id, caller } = message.payload;
    let seq = 0;
    const stream: CallContext["stream"] = (data, channel = "stdout") => {
      // Behind its end a call says nothing more: Core would drop it.
      if (!this.#calls.has(call_id)) return Promise.resolve();
      seq += 1;
      const body: StreamData = typeof data === "string" ? { text: data } : data;
      this.#connection.send("agent.tool.stream", { call_id, seq, channel, data: body }, echo);
      return this.#connection.drained();
    };
    return {
      signal,
      stream,
      log: (text) => void stream(text, "log"),
      call: (toolId, input, options = {}) => this.#ask(toolId, input, options, echo, signal),
      request: { callId: call_id, requestId: message.request_id, correlationId: message.correlation_id, caller },
    };
  }

  #ask(
    toolId: string,
    input: Record<string, unknown>,
    options: { timeoutMs?: number; signal?: AbortSignal },
    echo: Extras,
    callSignal: AbortSignal,
  ): Promise<unknown> {
    const call_id = crypto.randomUUID();
    const signal = options.signal === undefined ? callSignal : AbortSignal.any([options.signal, callSignal]);
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(new ToolError("tool.canceled", "canceled before it was sent"));
      this.#asked.set(call_id, { resolve, reject });
      const timeout = options.timeoutMs === undefined ? {} : { timeout_ms: options.timeoutMs };
      this.#connection.send("agent.tool.call", { call_id, tool_id: toolId, input, ...timeout }, echo);
      signal.addEventListener("abort", () => this.#connection.send("agent.tool.cancel", { call_id }), { once: true });
    });
  }

  #answered({ payload }: Extract<CoreMessage, { type: "core.tool.result" }>): void {
    const waiting = this.#asked.get(payload.call_id);
    this.#asked.delete(payload.call_id);
    if (payload.status === "succeeded") waiting?.resolve(payload.output);
    else
      waiting?.reject(
        new ToolError(
          payload.error?.code ?? "tool.failed",
          payload.error?.message ?? payload.status,
          payload.error?.details,
        ),
      );
  }

  #closed(why: string): void {
    clearInterval(this.#heartbeat);
    for (const controller of this.#calls.values()) controller.abort(new ToolError("tool.canceled", why));
    complain(`the session ended: ${why}`);
    process.exit(1);
  }
}

/** SECURITY: only what a handler says on purpose leaves the agent; a stack or a path of a stray error does not. */
function safeError(thrown: unknown): WireError {
  if (thrown instanceof ToolError) {
    const details = thrown.details === undefined ? {} : { details: thrown.details };
    return { code: thrown.code, message: thrown.message.slice(0, MAX_MESSAGE), ...details };
  }
  complain(thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown));
  return { code: "tool.failed", message: "the tool failed; the agent's log says why" };
}

function complain(text: string): void {
  process.stderr.write(`${text}\n`);
}
