/**
 * Transcripts with Core: what an agent may send it (packages/protocol/conformance/core.json), spoken raw over the socket of a
 * real run. The run's program only tells its environment; the test itself is the agent.
 */
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import fixture from "../../packages/protocol/conformance/core.json" with { type: "json" };
import { Peer, type Heard } from "../../packages/core/src/conformance/peer.ts";
import { filled, mismatch } from "../../packages/core/src/conformance/transcript.ts";
import { encodeFrame } from "../../packages/protocol/src/frame.ts";
import { eventually, type CliResult, type CoreHome } from "./core-home.ts";
import { smallAgentAt } from "./small-agent.ts";

/** One thing to send: a message (less one member, or on another connection), a body, a body in hex, bytes in hex, nesting. */
type Sent = {
  message?: Record<string, unknown>;
  without?: string;
  on?: string;
  body?: string;
  body_hex?: string;
  raw?: string;
  nested?: number;
  /** Leaves after the answer to what was sent before. */
  apart?: boolean;
};

export type CoreCase = {
  name: string;
  says: string;
  state: string;
  sends: Sent[];
  answers: Record<string, unknown>[];
  /** What Core ends: nothing, that connection only, or the session and with it the run. */
  ends: string;
  /** Code of the one event agent.handshake_failed that is recorded. */
  recorded?: string;
};

export const CORE_CASES: readonly CoreCase[] = fixture.cases as CoreCase[];
/** Stands in what the transcripts send, wherever an agent can put something. */
export const CANARY = "canary-plum";
const ANSWER_MS = 10_000;

const TELLING_PROGRAM = '#!/bin/sh\nenv > "$HOME/env.new"\nmv "$HOME/env.new" "$HOME/env"\nexec sleep 1000\n';

/** An agent whose socket the test speaks on. */
export class Speaker {
  readonly home: CoreHome;
  readonly agentId: string;
  runId = "";
  sessionId = "";
  #env: Record<string, string> = {};

  private constructor(home: CoreHome, agentId: string) {
    this.home = home;
    this.agentId = agentId;
  }

  static async install(
    home: CoreHome,
    agentId: string,
    capabilities = ["tools"],
    permissions: string[] = [],
    manifest: Record<string, unknown> = {},
  ): Promise<Speaker> {
    const program = { "bin/agent": { text: TELLING_PROGRAM, mode: 0o755 } };
    await smallAgentAt(home, agentId, "enabled", { capabilities, permissions, ...manifest }, program);
    return new Speaker(home, agentId);
  }

  /** A new run, not yet spoken for. */
  async run(restart = "never"): Promise<void> {
    const start = (): Promise<CliResult> =>
      this.home.cli(["agents", "run", this.agentId, "--restart", restart, "--json"]);
    let started = await start();
    if (started.code !== 0) {
      // The run before is there still, or ends just now; a stop waits for its end.
      await this.home.cli(["agents", "stop", this.agentId]);
      started = await start();
    }
    const { run_id: runId } = JSON.parse(started.stdout) as { run_id: string };
    this.runId = runId;
    const file = join(this.home.folder, "agents", this.agentId, "data/env");
    this.#env = await eventually(() => {
      const env = readEnvironment(file);
      return env["OPENSENTIENCE_RUN_ID"] === runId ? env : undefined;
    }, `${this.agentId} to tell its environment`);
  }

  get token(): string {
    return this.#env["OPENSENTIENCE_SESSION_TOKEN"] ?? "";
  }

  get socketPath(): string {
    return this.#env["OPENSENTIENCE_SOCKET_PATH"] ?? "";
  }

  connect(): Peer {
    return new Peer(connect(this.socketPath));
  }

  /** A run, and its session with one tool named `say`; `before` happens right before the handshake. */
  async open(before: () => Promise<unknown> = () => Promise.resolve()): Promise<Peer> {
    await this.run();
    await before();
    const peer = this.connect();
    peer.send(this.hello());
    const welcome = await answer(peer, { type: "core.welcome", error: "$absent" });
    this.sessionId = String((welcome["payload"] as Record<string, unknown>)["session_id"]);
    const tool = {
      tool_id: `${this.agentId}/say`,
      name: "say",
      description: "Says.",
      input_schema: { type: "object" },
    };
    peer.send({ type: "agent.tools.register", payload: { tools: [tool] } });
    await answer(peer, { type: "core.tools.registered", payload: { registered: [tool.tool_id] } });
    return peer;
  }

  hello(): Record<string, unknown> {
    const protocol = { supported_versions: [1], capabilities: ["tools"] };
    const payload = { session_token: this.token, agent_id: this.agentId, agent_version: "1.0.0", protocol };
    return { type: "agent.hello", payload };
  }

  /** Sends what the case says; the connection on which the answers come. */
  async play(one: CoreCase, peer: Peer): Promise<Peer> {
    const on = one.sends.some((sent) => sent.on !== undefined) ? this.connect() : peer;
    const answers = this.answers(one);
    for (const sent of one.sends) {
      if (sent.apart === true) await answered(on, answers[0] ?? {});
      on.write(this.#bytes(sent));
    }
    for (const pattern of answers) await answer(on, pattern);
    return on;
  }

  answers(one: CoreCase): Record<string, unknown>[] {
    return filled(one.answers, { agent_id: this.agentId });
  }

  #bytes(sent: Sent): Uint8Array {
    if (sent.raw !== undefined) return Buffer.from(sent.raw, "hex");
    if (sent.body_hex !== undefined) return encodeFrame([Buffer.from(sent.body_hex, "hex")]);
    if (sent.body !== undefined) return encodeFrame([Buffer.from(sent.body)]);
    if (sent.nested !== undefined) return encodeFrame([Buffer.from(nested(sent.nested))]);
    const values = { agent_id: this.agentId, session_token: this.token, session_id: this.sessionId };
    const message = { v: 1, ts: "2026-01-02T03:04:05.678Z", ...repeated(filled(sent.message ?? {}, values)) };
    if (sent.without !== undefined) Reflect.deleteProperty(message, sent.without);
    return encodeFrame([Buffer.from(JSON.stringify(message))]);
  }
}

/** The next message of Core's that was not looked at yet; it must fit. */
export async function answer(peer: Peer, pattern: Record<string, unknown>): Promise<Record<string, unknown>> {
  const heard = await peer.waitFor(() => peer.heard.find((one) => !one.isUsed), ANSWER_MS);
  if (heard?.message === undefined)
    throw new Error(`${JSON.stringify(pattern)} never came: ${peer.ended ?? "silence"}`);
  heard.isUsed = true;
  const problem = mismatch(pattern, heard.message);
  if (problem !== undefined) throw new Error(`${problem} in ${JSON.stringify(heard.message)}`);
  return heard.message;
}

/** Waits for something that fits, and leaves it to be looked at. */
async function answered(peer: Peer, pattern: Record<string, unknown>): Promise<void> {
  const fits = (heard: Heard): boolean => mismatch(pattern, heard.message) === undefined;
  if ((await peer.waitFor(() => peer.heard.find(fits), ANSWER_MS)) === undefined) throw new Error("no answer came");
}

/** Core has taken everything that was sent before; what it said is there. */
export async function barrier(peer: Peer): Promise<void> {
  const id = `barrier-${peer.heard.length}`;
  peer.send({ type: "agent.tools.unregister", id, payload: { tool_ids: [] } });
  await answer(peer, { type: "core.tools.unregistered", in_reply_to: id });
}

/** Waits until Core has closed the connection. */
export async function closed(peer: Peer): Promise<void> {
  await peer.waitFor(() => peer.ended, ANSWER_MS);
  if (peer.ended === undefined) throw new Error("Core did not close the connection");
}

function nested(depth: number): string {
  const inner = depth - 2;
  const deep = `${"[".repeat(inner)}${"]".repeat(inner)}`;
  return `{"v":1,"type":"agent.tools.unregister","id":"${CANARY}","ts":"2026-01-02T03:04:05Z","payload":{"tool_ids":[],"deep":${deep}}}`;
}

/** `{"$repeat": n}` is a text of n characters. */
function repeated<T>(value: T): T {
  return JSON.parse(JSON.stringify(value), (_key, one: unknown) =>
    typeof one === "object" && one !== null && "$repeat" in one ? "x".repeat(Number(one["$repeat"])) : one,
  ) as T;
}

function readEnvironment(file: string): Record<string, string> {
  try {
    const lines = readFileSync(file, "utf8").split("\n");
    return Object.fromEntries(lines.map((line) => [line.split("=")[0] ?? "", line.slice(line.indexOf("=") + 1)]));
  } catch {
    return {};
  }
}
