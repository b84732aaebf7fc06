/** An agent that was started, and has connected: from its hello to the end of its process. */
import { MAX_FRAME_BYTES } from "@opensentience/protocol";
import { ToolSet } from "../runtime/runtime.ts";
import { Disappointed, type Heard, type Peer } from "./peer.ts";
import { Trial, type Program } from "./trial.ts";
import { shown, type Values } from "./transcript.ts";

/** What Core gives an agent to shake hands, in ms. */
const HELLO_MS = 10_000;

export type RegisteredTool = { name: string; inputSchema: Record<string, unknown>; hasSideEffects: boolean };

/** The agent did not connect, or said no hello: nothing can be played with it. */
export class NoHello extends Disappointed {}

export class AgentSession {
  readonly trial: Trial;
  readonly peer: Peer;
  readonly agentId: string;
  readonly heartbeatIntervalMs: number;
  /** All sessions of this run of the suite, this one included. */
  readonly all: readonly AgentSession[];
  tools: RegisteredTool[] = [];
  #answered = 0;

  constructor(
    trial: Trial,
    peer: Peer,
    options: { agentId: string; heartbeatIntervalMs: number; all: AgentSession[] },
  ) {
    this.trial = trial;
    this.peer = peer;
    this.agentId = options.agentId;
    this.heartbeatIntervalMs = options.heartbeatIntervalMs;
    options.all.push(this);
    this.all = options.all;
  }

  /** Starts the program and waits for its connection. Throws `NoHello`. */
  static async begin(program: Program, heartbeatIntervalMs: number, all: AgentSession[]): Promise<AgentSession> {
    const trial = await Trial.begin(program);
    const peer = await trial.connection(HELLO_MS);
    if (peer !== undefined)
      return new AgentSession(trial, peer, { agentId: program.agentId, heartbeatIntervalMs, all });
    const { exit } = trial;
    await trial.end();
    const why = exit === undefined ? `did not connect within ${HELLO_MS / 1000} s` : "exited without connecting";
    throw new NoHello(`the agent ${why}${lastWords(trial)}`);
  }

  get heard(): readonly Heard[] {
    return this.peer.heard;
  }

  get values(): Values {
    return { agent_id: this.agentId, session_token: this.trial.token, session_id: this.#sessionId };
  }

  get #sessionId(): string {
    return `ses_${this.all.indexOf(this) + 1}`;
  }

  /** What came where a hello had to be, for whoever has to mend it. */
  get beginning(): string {
    const [first] = this.heard;
    if (first === undefined) return this.peer.ended === undefined ? "" : `: ${this.peer.ended}`;
    const { type, payload } = first.message ?? {};
    const said = first.message === undefined ? `no JSON object: ${quoted(first.bytes)}` : `of type ${shown(type)}`;
    const held = typeof payload === "object" && payload !== null ? `, with ${Object.keys(payload).join(", ")}` : "";
    return `; the first message is ${said}${held.slice(0, 200)}`.replaceAll(this.trial.token, "(token)");
  }

  /** What the hello says the agent can do. */
  get capabilities(): readonly string[] {
    const protocol = payloadOf(this.#hello())["protocol"] as { capabilities?: unknown } | undefined;
    return Array.isArray(protocol?.capabilities) ? protocol.capabilities.map(String) : [];
  }

  welcome(overrides: Record<string, unknown>): void {
    this.peer.send({
      type: "core.welcome",
      in_reply_to: this.#hello()?.message?.["id"],
      payload: {
        accepted_version: 1,
        session_id: this.#sessionId,
        heartbeat_interval_ms: this.heartbeatIntervalMs,
        max_frame_bytes: MAX_FRAME_BYTES,
        server: { core_version: "0.0.0", instance_id: "conformance" },
      },
      ...overrides,
    });
  }

  /** Shakes hands and takes the tools as Core would; what an agent asks later is answered in the background. */
  async open(withinMs: number, registers: boolean): Promise<void> {
    const hello = await this.peer.waitFor(() => this.#hello(), HELLO_MS);
    if (hello === undefined) throw new NoHello(`no hello came${this.beginning}${lastWords(this.trial)}`);
    hello.isUsed = true;
    this.welcome({});
    const set = new ToolSet(this.agentId);
    this.peer.onHeard = () => this.#answer(set);
    this.#answer(set);
    if (registers && this.capabilities.includes("tools")) {
      await this.peer.waitFor(() => (this.tools.length > 0 ? true : undefined), withinMs);
    }
  }

  async end(): Promise<void> {
    await this.trial.end();
  }

  #hello(): Heard | undefined {
    return this.heard.find((heard) => heard.message?.["type"] === "agent.hello");
  }

  #answer(set: ToolSet): void {
    for (; this.#answered < this.heard.length; this.#answered += 1) {
      const heard = this.heard[this.#answered];
      const message = heard?.message;
      const reply = { in_reply_to: message?.["id"] };
      const payload = payloadOf(heard);
      if (message?.["type"] === "agent.tools.register" && Array.isArray(payload["tools"])) {
        void set.register(payload["tools"], payload["replace"] === true).then((outcome) => {
          this.peer.send({ type: "core.tools.registered", ...reply, payload: outcome });
          this.#took(set);
        });
      } else if (message?.["type"] === "agent.tools.unregister") {
        this.peer.send({ type: "core.tools.unregistered", ...reply, payload: { tool_ids: [] } });
      } else if (message?.["type"] === "agent.tool.call") {
        const error = { code: "tool.agent_unavailable", message: "no other agent runs in a test" };
        const result = { call_id: payload["call_id"], status: "failed", error };
        this.peer.send({ type: "core.tool.result", ...reply, payload: result });
      }
    }
  }

  #took(set: ToolSet): void {
    this.tools = set.list().map(({ toolId, definition }) => ({
      name: toolId.split("/")[1] ?? "",
      inputSchema: definition.input_schema,
      hasSideEffects: hasSideEffects(definition.side_effects),
    }));
    this.peer.wake();
  }
}

/** The beginning of what is no message. */
function quoted(bytes: Uint8Array): string {
  return shown(Buffer.from(bytes.subarray(0, 200)).toString());
}

function hasSideEffects(declared: unknown): boolean {
  return Array.isArray(declared) ? declared.length > 0 : Boolean(declared);
}

function payloadOf(heard: Heard | undefined): Record<string, unknown> {
  const payload = heard?.message?.["payload"];
  return typeof payload === "object" && payload !== null ? (payload as Record<string, unknown>) : {};
}

/** The last lines of what the agent wrote, for whoever has to mend it. */
export function lastWords(trial: Trial): string {
  const lines = trial.output.replaceAll(trial.token, "(token)").trim().split("\n").slice(-5).join("\n").slice(-1000);
  return lines === "" ? "" : `; it wrote: ${lines}`;
}
