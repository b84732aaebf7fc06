/**
 * The conformance suite: plays Core with any agent, and says case by case whether it keeps to docs/protocol.md.
 *
 * It owns nothing that lasts. Each run starts the agent as often as it needs to, each time with a socket in a private
 * temporary folder and the environment of a run, plays the transcripts of packages/protocol/conformance with it, and
 * ends the process with everything of its group. Neither Core nor a home is needed, and nothing is recorded.
 *
 * Cases that leave a session as it was share one; one that failed spoils its session, and the next begins another. A
 * case is passed, failed, not applicable (the agent has no such tool or capability: said by name, never silently) or
 * not run (there was no handshake to run it on). Each wait has a deadline, so a run always ends. What judges tool
 * definitions is what judges them in Core.
 *
 * Refuses: nothing of the agent's; it executes the agent's code with the rights of who starts it, without the sandbox,
 * and calls one tool of it many times. Callers: the command `protocol test` (by dynamic import), tests.
 */
import frames from "@opensentience/protocol/conformance/agent-frames.json" with { type: "json" };
import sessions from "@opensentience/protocol/conformance/agent-session.json" with { type: "json" };
import calls from "@opensentience/protocol/conformance/agent-calls.json" with { type: "json" };
import { CoreError } from "@opensentience/protocol";
import { AgentSession, lastWords, NoHello } from "./agent-session.ts";
import { Disappointed } from "./peer.ts";
import { Player, type Patience } from "./player.ts";
import { sampleInput } from "../schema/schema.ts";
import { parseAgentCases, type AgentCase } from "./transcript.ts";
import type { Program } from "./trial.ts";

export { programOfCommand, programOfFolder } from "./program.ts";
export type { AgentCase } from "./transcript.ts";
export type { Program } from "./trial.ts";

export type CaseOutcome = {
  name: string;
  says: string;
  status: "passed" | "failed" | "not_applicable" | "not_run";
  /** Why it did not pass; text of the agent may be in it. */
  reason?: string;
  duration_ms: number;
};

export type SuiteOptions = {
  program: Program;
  /** Names of cases; all when left out. */
  only?: readonly string[];
  /** The tool that general cases call, instead of one that is chosen. */
  tool?: { name: string; input?: Record<string, unknown> };
  /** How long an answer may take, in ms. */
  stepMs?: number;
  onOutcome?: (outcome: CaseOutcome) => void;
  /** Aborted: the agents that run are ended, and no more cases are played. */
  signal?: AbortSignal;
};

const STEP_MS = 5_000;
/** How long is listened for what must not come, in ms. */
const QUIET_MS = 150;
/** Of the welcome: short, so that it is seen whether an agent keeps to it, in ms. */
const HEARTBEAT_MS = 300;

/** Of an agent's tools, in an error. */
const MOST_NAMED = 20;

/** In the order they are played: what others rest on comes first. */
export function agentCases(): AgentCase[] {
  return [sessions, calls, frames].flatMap((fixture) => parseAgentCases(fixture)).sort(judgesLast);
}

/** Plays the cases one after the other; never throws for what an agent does. Throws `usage.invalid` for a tool that it does not have. */
export async function testAgent(options: SuiteOptions): Promise<CaseOutcome[]> {
  const suite = new Suite(options);
  const outcomes: CaseOutcome[] = [];
  options.signal?.addEventListener("abort", () => void suite.end(), { once: true });
  try {
    await suite.requireTool();
    for (const one of agentCases().filter(({ name }) => options.only?.includes(name) ?? true)) {
      if (options.signal?.aborted === true) break;
      const startedMs = performance.now();
      const verdict = await suite.verdict(one);
      const outcome = { name: one.name, says: one.says, ...verdict, duration_ms: performance.now() - startedMs };
      outcomes.push(outcome);
      options.onOutcome?.(outcome);
    }
  } finally {
    await suite.end();
  }
  return outcomes;
}

type Verdict = Pick<CaseOutcome, "status" | "reason">;

class Suite {
  readonly #options: SuiteOptions;
  readonly #patience: Patience;
  readonly #all: AgentSession[] = [];
  #shared: AgentSession | undefined;
  /** What the agent is, from its first session. */
  #survey: { capabilities: readonly string[]; tools: AgentSession["tools"] } | undefined;
  #registers = true;
  #isMute: string | undefined;

  constructor(options: SuiteOptions) {
    this.#options = options;
    this.#patience = { stepMs: options.stepMs ?? STEP_MS, quietMs: QUIET_MS };
  }

  /** A tool that was named and is not registered would leave every case that calls it without a word. */
  async requireTool(): Promise<void> {
    const named = this.#options.tool?.name;
    if (named === undefined) return;
    try {
      this.#shared ??= await this.#open();
    } catch (error) {
      // What is wrong with its session is for the cases to say.
      if (error instanceof Disappointed) return;
      throw error;
    }
    const names = (this.#survey?.tools ?? []).map(({ name }) => name);
    if (names.includes(named) || this.#options.signal?.aborted === true) return;
    const known = names.length === 0 ? "none" : names.slice(0, MOST_NAMED).join(", ");
    throw new CoreError("usage.invalid", `the agent registers no tool "${named.slice(0, 80)}"; it registers ${known}`, {
      nextStep: "opensentience help protocol test",
    });
  }

  async verdict(one: AgentCase): Promise<Verdict> {
    if (this.#isMute !== undefined) return { status: "not_run", reason: "there was no handshake" };
    let session: AgentSession | undefined;
    try {
      const reason = await this.#whyNotApplicable(one);
      if (reason !== undefined) return { status: "not_applicable", reason };
      session = await this.#sessionFor(one);
      await new Player(session, { case: `${one.name}-${this.#all.length}`, ...this.#probe() }, this.#patience).play(
        one.steps,
      );
      return { status: "passed" };
    } catch (error) {
      if (!(error instanceof Disappointed)) throw error;
      if (error instanceof NoHello) this.#isMute = error.message;
      const words = session === undefined ? "" : lastWords(session.trial);
      if (session !== undefined && session === this.#shared) await this.#dropShared();
      return { status: "failed", reason: `${error.message}${words}` };
    } finally {
      if (session !== this.#shared) await session?.end();
    }
  }

  /** Whoever waits for one of them is disappointed. Idempotent. */
  async end(): Promise<void> {
    await Promise.all(this.#all.map((session) => session.end()));
  }

  async #sessionFor(one: AgentCase): Promise<AgentSession> {
    if (one.start === "raw") return this.#begin();
    if (one.own === true) return this.#open();
    if (this.#shared === undefined || this.#shared.peer.ended !== undefined) {
      await this.#dropShared();
      this.#shared = await this.#open();
    }
    return this.#shared;
  }

  #begin(): Promise<AgentSession> {
    return AgentSession.begin(this.#options.program, HEARTBEAT_MS, this.#all);
  }

  async #open(): Promise<AgentSession> {
    const session = await this.#begin();
    try {
      await session.open(this.#patience.stepMs, this.#registers);
    } catch (error) {
      await session.end();
      throw error;
    }
    this.#registers &&= session.tools.length > 0;
    this.#survey ??= { capabilities: session.capabilities, tools: session.tools };
    return session;
  }

  async #dropShared(): Promise<void> {
    const session = this.#shared;
    this.#shared = undefined;
    await session?.end();
  }

  async #whyNotApplicable(one: AgentCase): Promise<string | undefined> {
    if (one.tool === undefined && one.capability === undefined) return undefined;
    if (this.#survey === undefined) {
      await this.#dropShared();
      this.#shared = await this.#open();
    }
    const { capabilities, tools } = this.#survey ?? { capabilities: [], tools: [] };
    if (one.capability !== undefined && !capabilities.includes(one.capability)) {
      return `its hello does not name the capability ${one.capability}`;
    }
    if (one.tool === "*") return this.#probe() === undefined ? "it registers no tool that can be called" : undefined;
    if (one.tool !== undefined && !tools.some(({ name }) => name === one.tool)) {
      return `it registers no tool named ${one.tool}`;
    }
    return undefined;
  }

  /** The tool that general cases call: the one that was named, else the most harmless. */
  #probe(): { tool_id: string; input: Record<string, unknown> } | undefined {
    const tools = this.#survey?.tools ?? [];
    const named = this.#options.tool;
    const chosen =
      named === undefined
        ? (tools.find(({ name }) => name === "hello_world") ?? tools.find((tool) => !tool.hasSideEffects) ?? tools[0])
        : tools.find(({ name }) => name === named.name);
    if (chosen === undefined) return undefined;
    const { agentId } = this.#options.program;
    return { tool_id: `${agentId}/${chosen.name}`, input: named?.input ?? sampleInput(chosen.inputSchema) };
  }
}

/** What looks at everything that was said comes when everything was said. */
function judgesLast(one: AgentCase, other: AgentCase): number {
  const isLast = ({ name }: AgentCase): number => (/^envelope|^hello\.token/.test(name) ? 1 : 0);
  return isLast(one) - isLast(other);
}
