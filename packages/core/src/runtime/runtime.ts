/**
 * The runtime: where running agents talk to Core. It owns one Unix socket per run, the session behind it, the tools that
 * sessions offer, and the router through which every call goes.
 *
 * Life cycle: the launcher opens a run's socket before the run's first instruction and closes it when the run has ended.
 * A run whose session is lost while it lives is handed back to the launcher to be ended; its restart policy applies.
 *
 * Promises: an agent reaches only the socket of its own run; nothing but a hello is heard before the handshake; what one
 * agent does to its socket never delays another's; every refused handshake, loss of health and call is on record. It
 * runs no code of an agent and stores no content of a call. Callers: launcher (through services.ts), web, daemon.
 */
import { chmod, rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import type { AgentMessage, CoreError, Manifest } from "@opensentience/protocol";
import { SYSTEM_ACT, type Act, type AuditLog } from "../audit-log/audit-log.ts";
import { CallGate, limitsOf, totalMsOf, type Limits } from "./call-limits.ts";
import { RunCalls } from "./run-calls.ts";
import type { Deadlines } from "./call.ts";
import { Session, type NotTaken, type RunIdentity, type SessionSettings } from "./session.ts";
import { ToolRouter, type CallAnswer, type CallRequest } from "./tool-router.ts";

export type { CallAnswer, CallRequest } from "./tool-router.ts";
export { DURATION_BUCKETS_MS, type CallCounts } from "./call-counts.ts";
export type { Health } from "./session.ts";
export { ToolSet, type Tool } from "./tool-catalog.ts";
export { WaitingCaller } from "./waiting-caller.ts";

/** Refused handshakes of one run that are answered; behind that its socket takes no more. */
const MAX_REFUSALS = 16;
/**
 * Connections to one run's socket at once. SECURITY: an agent must not use up Core's descriptors, which are everybody's.
 * Pinned by "a run's socket holds so many connections".
 */
const MAX_CONNECTIONS = 8;

export type RunToServe = RunIdentity & {
  socketPath: string;
  executionLimits: Manifest["execution_limits"];
  /** Ends the run because nobody can talk to it any more. */
  endRun: (reason: string, isFault: boolean) => void;
  /** The agent shook hands: its session has this id. */
  onSession: (sessionId: string) => void;
  /** The agent lives but is not well: whether its run goes on is the restart policy's. */
  onUnhealthy: (reason: string) => void;
};

export type RuntimeDeps = {
  audit: AuditLog;
  settings: SessionSettings & { limits: Limits; callIdleMs: number; callTotalMs: number };
  server: { core_version: string; instance_id: string };
  /** Throws enablement.* when nothing is approved. */
  approvedPermissions: (agentId: string) => readonly string[];
  lacksUntilRestart: (agentId: string, permission: string) => boolean;
  onFault: (what: string, error: unknown) => void;
};

type Served = {
  run: RunToServe;
  session: Session;
  server: Server;
  gate: CallGate;
  deadlines: Deadlines;
  refusals: number;
  calls: RunCalls;
};

/** How long a call that was canceled may take to say so, in ms. */
const CANCEL_MS = 5_000;

export class Runtime {
  readonly router: ToolRouter;
  readonly #deps: RuntimeDeps;
  /** Agent id → what is served for its one run. */
  readonly #served = new Map<string, Served>();

  constructor(deps: RuntimeDeps) {
    this.#deps = deps;
    this.router = new ToolRouter({
      audit: deps.audit,
      session: (agentId) => this.session(agentId),
      gateOf: (session) => this.#of(session).gate,
      approvedPermissions: deps.approvedPermissions,
      lacksUntilRestart: deps.lacksUntilRestart,
      deadlinesOf: (session) => this.#of(session).deadlines,
    });
  }

  /** At Core's start: calls whose end an earlier Core did not see get their outcome. Answers how many. */
  reconcile(startSeq: number): number {
    const open = this.#deps.audit.openCalls(startSeq);
    for (const call of open) {
      const metadata = call.metadata ?? {};
      this.#deps.audit.record({
        type: "tool.call_completed",
        act: { ...SYSTEM_ACT, causationId: call.event_id },
        subject: { type: "tool", id: call.subject_id },
        outcome: "failed",
        metadata: { ...metadata, status: "failed", code: "core_lost" },
      });
    }
    return open.length;
  }

  /** Listens on the run's socket. Rejects when it cannot be made. */
  async open(run: RunToServe): Promise<void> {
    const session = new Session(run, this.#deps.settings, this.#deps.server, {
      onConnected: (one, hello) => this.#connected(run, one, hello),
      onRefused: (_session, error) => this.#refused(run, error),
      onMessage: (_session, message) => this.#message(run, message),
      onNotTaken: (_session, what) => this.#notTaken(run, what),
      onUnhealthy: (one, why) => this.#unhealthy(run, one, why),
      onLost: (_session, why, isFault) => this.#lost(run, why, isFault),
    });
    const server = createServer((socket) => {
      const served = this.#served.get(run.agentId);
      if (served === undefined || served.refusals >= MAX_REFUSALS) socket.destroy();
      else session.accept(socket);
    });
    server.maxConnections = MAX_CONNECTIONS;
    server.on("error", (error) => this.#deps.onFault(`the socket of ${run.agentId}`, error));
    const { limits, callIdleMs, callTotalMs } = this.#deps.settings;
    const gate = new CallGate(limitsOf(run.executionLimits, limits), performance.now());
    const totalMs = totalMsOf(run.executionLimits, callTotalMs);
    const deadlines = { idleMs: callIdleMs, totalMs, cancelMs: CANCEL_MS };
    const calls = new RunCalls(
      this.router,
      session,
      (error, what) => this.#deps.onFault(what, error),
      (error, toolId) => this.#denied(run, error, toolId),
    );
    this.#served.set(run.agentId, { run, session, server, gate, deadlines, refusals: 0, calls });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(run.socketPath, () => {
        server.removeListener("error", reject);
        resolve();
      });
    });
    await chmod(run.socketPath, 0o600);
  }

  /** The run has ended or is about to: calls end at once, the agent is told goodbye. Idempotent. */
  async close(agentId: string, runId: string, reason: string): Promise<void> {
    const served = this.#served.get(agentId);
    if (served?.run.runId !== runId) return;
    this.#served.delete(agentId);
    this.router.endCallsOf(agentId, { code: "tool.agent_unavailable", message: reason });
    served.calls.cancelAll();
    served.session.close(reason);
    served.server.close();
    await rm(served.run.socketPath, { force: true });
  }

  /** The session of the agent's live run; undefined when it has none or has not shaken hands. */
  session(agentId: string): Session | undefined {
    const session = this.#served.get(agentId)?.session;
    return session?.isOpen === true ? session : undefined;
  }

  sessions(): Session[] {
    return [...this.#served.values()].map(({ session }) => session).filter((session) => session.isOpen);
  }

  call(request: CallRequest): Promise<CallAnswer> {
    return this.router.call(request);
  }

  #of(session: Session): Served {
    const served = this.#served.get(session.run.agentId);
    if (served?.session !== session) throw new Error("a session that is not served");
    return served;
  }

  #connected(
    run: RunToServe,
    session: Session,
    hello: Extract<AgentMessage, { type: "agent.hello" }>["payload"],
  ): void {
    this.#deps.audit.record({
      type: "agent.connected",
      act: agentAct(run),
      subject: { type: "run", id: run.runId },
      metadata: {
        agent_id: run.agentId,
        session_id: session.id,
        agent_version: hello.agent_version,
        capabilities: hello.protocol.capabilities,
        sdk: hello.sdk?.name,
      },
    });
    run.onSession(session.id);
  }

  #refused(run: RunToServe, error: CoreError): void {
    const served = this.#served.get(run.agentId);
    if (served === undefined) return;
    served.refusals += 1;
    this.#safely("a refused handshake", () =>
      this.#deps.audit.record({
        type: "agent.handshake_failed",
        act: SYSTEM_ACT,
        subject: { type: "run", id: run.runId },
        outcome: "denied",
        metadata: { agent_id: run.agentId, code: error.code, message: error.message },
      }),
    );
  }

  #notTaken(run: RunToServe, what: NotTaken): void {
    this.#safely("what an agent said wrong", () =>
      this.#deps.audit.record({
        type: "agent.message_dropped",
        act: agentAct(run),
        subject: { type: "run", id: run.runId },
        severity: what === "foreign_call" ? "security" : "warn",
        outcome: "denied",
        metadata: { agent_id: run.agentId, reason: what },
      }),
    );
  }

  #denied(run: RunToServe, { code, message }: CoreError, toolId: string): void {
    this.#safely("a refused call", () =>
      this.#deps.audit.record({
        type: "security.denied",
        act: agentAct(run),
        subject: { type: "tool", id: toolId },
        outcome: "denied",
        metadata: { code, message, door: "agent.tool.call" },
      }),
    );
  }

  #message(run: RunToServe, message: AgentMessage): void {
    const served = this.#served.get(run.agentId);
    if (served === undefined) return;
    const { session } = served;
    switch (message.type) {
      case "agent.tools.register":
      case "agent.tools.unregister":
        this.#changeTools(session, message).catch((error: unknown) =>
          this.#deps.onFault(`tools of ${run.agentId}`, error),
        );
        break;
      case "agent.tool.stream":
        this.router.deliverStream(session, message);
        break;
      case "agent.tool.result":
        this.router.deliverResult(session, message);
        break;
      case "agent.tool.call":
        served.calls.begin(message);
        break;
      case "agent.tool.cancel":
        served.calls.cancel(message.payload.call_id);
        break;
      default:
        // A pong and the acknowledgement of a cancel need no answer: the result decides.
        break;
    }
  }

  /** The agent is not read meanwhile: a flood of registrations waits in its own socket. */
  async #changeTools(
    session: Session,
    message: Extract<AgentMessage, { type: "agent.tools.register" | "agent.tools.unregister" }>,
  ): Promise<void> {
    const reply = { in_reply_to: message.id };
    session.pause();
    try {
      if (message.type === "agent.tools.unregister") {
        const toolIds = await session.tools.unregister(message.payload.tool_ids);
        return session.send("core.tools.unregistered", { tool_ids: toolIds }, reply);
      }
      const outcome = await session.tools.register(message.payload.tools, message.payload.replace ?? false);
      session.send("core.tools.registered", outcome, reply);
    } finally {
      session.resume();
    }
  }

  #unhealthy(run: RunToServe, session: Session, why: string): void {
    const event = {
      act: SYSTEM_ACT,
      subject: { type: "run", id: run.runId },
      outcome: "failed",
      metadata: { agent_id: run.agentId, reason: why },
    } as const;
    this.#safely("an unhealthy agent", () => {
      if (why.includes("missed")) this.#deps.audit.record({ ...event, type: "agent.heartbeat_missed" });
      this.#deps.audit.record({ ...event, type: "agent.marked_unhealthy" });
    });
    if (session.isOpen) run.onUnhealthy(`unhealthy: ${why}`);
  }

  #lost(run: RunToServe, why: string, isFault: boolean): void {
    this.router.endCallsOf(run.agentId, { code: "tool.agent_unavailable", message: `the agent is gone: ${why}` });
    run.endRun(`its session ended: ${why}`, isFault);
  }

  /** What an agent does must not throw into the event loop because a disk is full. */
  #safely(what: string, act: () => unknown): void {
    try {
      act();
    } catch (error) {
      this.#deps.onFault(`${what} could not be recorded`, error);
    }
  }
}

function agentAct(run: RunToServe): Act {
  return { actor: { type: "agent", id: run.agentId }, correlationId: null };
}
