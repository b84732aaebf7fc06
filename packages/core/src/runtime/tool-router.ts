/**
 * The one check that every tool call passes, whoever calls (docs/protocol.md, "Calls").
 *
 * In this order: caller allowed → agent running → tool known → agent healthy → the tool's own permissions approved → input
 * within size and depth → input valid → limits → intent committed → sent → stream → one result → output valid → outcome
 * committed → answered. After the one pause before sending (the commit) the approvals are looked at again. Content is never
 * recorded: sizes, digests, timings and ids are. A revocation, a lost session and a stop end what is under way.
 */
import { hash } from "node:crypto";
import { CoreError, matchesTool, newId, parsePermission, toCoreError, type WireError } from "@opensentience/protocol";
import { TRUST_BOUNDARY, type Act, type AuditEvent, type AuditLog, type Owed } from "../audit-log/audit-log.ts";
import { BusyPoll } from "./busy-poll.ts";
import { Call, type Deadlines, type Outcome, type Result, type Stream } from "./call.ts";
import { checkInput, checkOutput } from "./call-content.ts";
import { CallCounts } from "./call-counts.ts";
import { CallGate } from "./call-limits.ts";
import { EndedCalls, type StrayAnswer } from "./ended-calls.ts";
import { OwedAnswer, RecordedOutcomes } from "./recorded-outcomes.ts";
import type { Session } from "./session.ts";
import type { Tool } from "./tool-catalog.ts";
import type { WaitingCaller } from "./waiting-caller.ts";

export type CallRequest = {
  toolId: string;
  input: Record<string, unknown>;
  /** The input as JSON, as it came. */
  inputBytes: Uint8Array;
  act: Act;
  /** The calling agent, if it is one: it needs tool:invoke. */
  callerAgentId?: string | undefined;
  timeoutMs?: number | undefined;
  idempotencyKey?: string | undefined;
  context?: Record<string, unknown> | undefined;
  caller: WaitingCaller;
  onStream: (chunk: Stream) => void;
};

/** `runId`: the run that was called. */
export type CallAnswer = Outcome & { callId: string; toolId: string; runId: string; durationMs: number };

export type RouterDeps = {
  audit: AuditLog;
  /** Of an agent that has shaken hands. */
  session: (agentId: string) => Session | undefined;
  gateOf: (session: Session) => CallGate;
  /** What is approved for the agent now; throws enablement.* when nothing is. */
  approvedPermissions: (agentId: string) => readonly string[];
  deadlinesOf: (session: Session) => Deadlines;
  /** It is approved, and its agent's run began without it and cannot be given it. */
  lacksUntilRestart: (agentId: string, permission: string) => boolean;
};

export class ToolRouter {
  readonly #deps: RouterDeps;
  readonly #calls = new Map<string, { call: Call; agentId: string; request: CallRequest }>();
  readonly #ended = new EndedCalls();
  readonly #busyPoll = new BusyPoll();
  readonly #outcomes = new RecordedOutcomes<CallAnswer>(({ output }) => 200 + (output?.length ?? 0));
  readonly counts: CallCounts = new CallCounts();
  #onIdle: () => void = () => {};

  constructor(deps: RouterDeps) {
    this.#deps = deps;
  }

  /**
   * Rejects with what the call was refused for; a call that was sent always has an answer, or `audit.outcome_unrecorded` when
   * what it came to is not on record.
   */
  call(request: CallRequest): Promise<CallAnswer> {
    try {
      const { session, tool } = this.#permitted(request);
      checkInput(request.input, request.inputBytes, tool);
      const inputDigest = digest(request.inputBytes);
      const act = (): Promise<CallAnswer> => this.#limited(request, inputDigest, session, tool);
      if (request.idempotencyKey === undefined) return act();
      const key = JSON.stringify([request.act.actor, tool.toolId, request.idempotencyKey]);
      return this.#outcomes.once(key, inputDigest, {
        act: () => act().then(ownOutput),
        repeat: (first) => this.#repeated(request, session, first),
      });
    } catch (error) {
      this.counts.refused += 1;
      return Promise.reject(error as Error);
    }
  }

  /**
   * The outcome of the first call again. SECURITY: on record like a call, and counted as one, so that nobody fills the log with
   * them; pinned by "a repeated call is on record, and counts".
   */
  async #repeated({ act, toolId }: CallRequest, session: Session, first: Promise<CallAnswer>): Promise<CallAnswer> {
    this.#deps.gateOf(session).count(performance.now());
    const answer = await first;
    const metadata = { call_id: answer.callId, run_id: answer.runId };
    await this.#deps.audit.recordSoon({
      type: "tool.call_repeated",
      act,
      subject: { type: "tool", id: toolId },
      metadata,
    });
    return answer;
  }

  /** Refuses by an exception, at once. */
  #limited(request: CallRequest, inputDigest: string, session: Session, tool: Tool): Promise<CallAnswer> {
    const leave = this.#deps.gateOf(session).enter(performance.now(), request.callerAgentId);
    this.counts.inFlight += 1;
    return this.#routed(request, inputDigest, session, tool, leave);
  }

  deliverStream(session: Session, chunk: Stream): void {
    const entry = this.#calls.get(chunk.payload.call_id);
    if (entry?.agentId === session.run.agentId) entry.call.stream(chunk);
    else this.#stray(session, chunk, entry?.agentId);
  }

  deliverResult(session: Session, result: Parameters<Call["result"]>[0]): void {
    const entry = this.#calls.get(result.payload.call_id);
    // SECURITY: an agent answers its own calls only. Pinned by "an agent cannot answer another's call".
    if (entry?.agentId === session.run.agentId) {
      this.#busyPoll.answered();
      entry.call.result(result);
    } else this.#stray(session, result, entry?.agentId);
  }

  /** Of a call that is not under way with that session; `owner`: the agent that works on it. */
  #stray(session: Session, message: Stream | Result, owner: string | undefined): void {
    this.#dropped(session, message, this.#ended.kindOf(message.payload.call_id, session.run.agentId, owner));
  }

  #dropped(session: Session, { payload }: Stream | Result, kind: StrayAnswer): void {
    this.counts.dropped += 1;
    // What was on its way when Core ended the call, and the answer to a cancel, is nobody's fault.
    const isExpected = !("status" in payload) || payload.status === "canceled";
    if (kind !== "late_result" || !isExpected) session.drop(kind);
  }

  /** Ends what the agent was working on, and what it had asked for. */
  endCallsOf(agentId: string, error: WireError): void {
    for (const { call, agentId: owner, request } of this.#calls.values()) {
      if (owner === agentId) call.fail(error.code, error.message);
      else if (request.callerAgentId === agentId) call.cancel("its caller is gone");
    }
  }

  /** Approvals changed: what is under way and would be refused now ends now. */
  recheck(): void {
    for (const { call, request } of this.#calls.values()) {
      try {
        this.#permitted(request);
      } catch (error) {
        // An agent that turned unhealthy may still end what it has begun.
        if (!(error instanceof CoreError) || error.kind !== "denied") continue;
        call.revoke(error);
      }
    }
  }

  /** Resolves when no call is under way: the outcome of each is on record, or could not be written. */
  idle(): Promise<void> {
    if (this.counts.inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => (this.#onIdle = resolve));
  }

  /** The first four steps; asked twice, since the world may change while the intent is committed. */
  #permitted({ toolId, callerAgentId }: CallRequest): { session: Session; tool: Tool } {
    // SECURITY: before anything else, or an agent could find out which tools there are and which agents run; pinned by
    // "an agent without the permission hears the same of every tool, there or not".
    if (callerAgentId !== undefined && !mayInvoke(this.#deps.approvedPermissions(callerAgentId), toolId)) {
      throw denied(`tool:invoke:${toolId}`, callerAgentId);
    }
    const agentId = toolId.split("/")[0] ?? "";
    const session = this.#deps.session(agentId);
    if (session === undefined) {
      throw new CoreError("tool.agent_unavailable", `${agentId} is not running, or offers no tools`, {
        details: { agent_id: agentId },
        nextStep: `opensentience agents run ${agentId}`,
      });
    }
    const tool = session.tools.get(toolId);
    if (tool === undefined)
      throw new CoreError("tool.not_found", "no running agent offers that tool", {
        nextStep: "opensentience tools list",
      });
    if (session.health === "unhealthy") {
      throw new CoreError("agent.unhealthy", `${agentId} is unhealthy and gets no new calls`, {
        nextStep: `opensentience agents restart ${agentId}`,
      });
    }
    const approved = this.#deps.approvedPermissions(agentId);
    const missing = tool.definition.permissions?.find((permission) => !approved.includes(permission));
    if (missing !== undefined) throw denied(missing, agentId);
    const late = tool.definition.permissions?.find((one) => this.#deps.lacksUntilRestart(agentId, one));
    if (late !== undefined) throw lateApproval(late, agentId);
    return { session, tool };
  }

  /** `leave` is called at its end, whatever that is. */
  async #routed(
    request: CallRequest,
    inputDigest: string,
    session: Session,
    tool: Tool,
    leave: () => void,
  ): Promise<CallAnswer> {
    const { audit } = this.#deps;
    const callId = newId("call");
    const startedMs = performance.now();
    const subject = { type: "tool", id: tool.toolId } as const;
    const ids = { call_id: callId, run_id: session.run.runId, trust_boundary: TRUST_BOUNDARY };
    try {
      if (audit.owed.isFull)
        throw new CoreError("audit.unavailable", TOO_MUCH_OWED, { nextStep: "opensentience doctor" });
      const causationId = await audit.recordSoon({
        type: "tool.call_routed",
        act: request.act,
        subject,
        outcome: "unknown",
        metadata: { ...ids, input_bytes: request.inputBytes.length, input_digest: inputDigest },
      });
      const carriedOut = this.#carriedOut(request, callId, causationId);
      const outcome = await carriedOut;
      const durationMs = performance.now() - startedMs;
      const { status, output, error } = outcome;
      const answer = { ...outcome, callId, toolId: tool.toolId, runId: session.run.runId, durationMs };
      const completed: AuditEvent = {
        type: "tool.call_completed",
        act: { ...request.act, causationId },
        subject,
        outcome: status === "succeeded" ? "ok" : "failed",
        metadata: {
          ...ids,
          status,
          code: error?.code,
          output_bytes: output?.length,
          output_digest: output === undefined ? undefined : digest(output),
          duration_ms: Math.round(durationMs),
        },
      };
      try {
        await audit.recordSoon(completed);
      } catch (cause) {
        const recorded = audit.owed.add(`the outcome of ${callId}`, () => audit.recordSoon(completed), cause);
        throw owedAnswer(answer, recorded, { wasSent: carriedOut instanceof Promise, cause });
      } finally {
        this.counts.end(answer);
      }
      return answer;
    } finally {
      this.counts.inFlight -= 1;
      leave();
      if (this.counts.inFlight === 0) this.#onIdle();
    }
  }

  /** The intent is committed: looks once more, then sends. */
  #carriedOut(request: CallRequest, callId: string, causationId: string): Outcome | Promise<Outcome> {
    if (request.caller.isGone) return { status: "canceled", error: CALLER_GONE };
    let session: Session;
    let tool: Tool;
    try {
      ({ session, tool } = this.#permitted(request));
      if (session.isBehind) throw new CoreError("limit.inflight", "the agent has yet to read what was sent to it");
    } catch (thrown) {
      const { code, message } = toCoreError(thrown);
      return { status: "failed", error: { code, message } };
    }
    const { agentId } = session.run;
    const deadlines = this.#deps.deadlinesOf(session);
    const totalMs = Math.min(request.timeoutMs ?? deadlines.totalMs, deadlines.totalMs);
    const call = new Call(
      { ...deadlines, totalMs },
      {
        sendCancel: (reason, deadline_ms) => session.send("core.tool.cancel", { call_id: callId, reason, deadline_ms }),
        onStream: request.onStream,
        checkOutput: (result) => checkOutput(result.payload.output, result.payloadBytes("output"), tool),
        onDropped: (kind, message) => this.#dropped(session, message, kind),
        onEnd: () => {
          this.#calls.delete(callId);
          this.#ended.add(callId, { agentId, isAnswered: call.isAnswered });
          request.caller.onGone(undefined);
        },
      },
    );
    this.#calls.set(callId, { call, agentId, request });
    request.caller.onGone(() => call.cancel(CALLER_GONE.message));
    this.#busyPoll.called();
    const correlationId = request.act.correlationId ?? callId;
    session.threads.handed(correlationId);
    try {
      session.send(
        "core.tool.call",
        {
          call_id: callId,
          tool_id: tool.toolId,
          timeout_ms: totalMs,
          caller: request.act.actor,
          idempotency_key: request.idempotencyKey,
          context: request.context,
        },
        {
          request_id: callId,
          correlation_id: correlationId,
          causation_id: causationId,
          splice: ["input", request.inputBytes],
        },
      );
    } catch (error) {
      // Its context may be what does not fit a frame.
      if (!(error instanceof CoreError)) throw error;
      call.fail(error.code, error.message);
    }
    return call.outcome;
  }
}

const TOO_MUCH_OWED = "outcomes of too many calls are not on record yet, so the call was not made";

/** What was done is told; the output is not given before its row is committed. */
function owedAnswer(
  answer: CallAnswer,
  recorded: Owed,
  { wasSent, cause }: { wasSent: boolean; cause: unknown },
): OwedAnswer<CallAnswer> {
  const { status, error, callId, runId } = answer;
  const came = `${status}${error === undefined ? "" : ` (${error.code})`}`;
  const message = wasSent
    ? `the call was carried out and came to ${came}, but its outcome is not on record yet, so no output is given: do not simply repeat it`
    : `the call was not carried out and came to ${came}, which is not on record yet`;
  const details = { call_id: callId, run_id: runId, status, carried_out: wasSent, code: error?.code };
  return new OwedAnswer(
    message,
    { value: ownOutput(answer), recorded },
    { details, cause, nextStep: `opensentience audit list --agent ${answer.toolId.split("/")[0]}` },
  );
}

const CALLER_GONE: WireError = { code: "tool.canceled", message: "the caller went away" };

/** Of an approval, which tools it lets an agent call: asked with each call, decided once. */
const invocable = new WeakMap<readonly string[], Map<string, boolean>>();

/** Whether one of the approved permissions allows to call that tool; what covers what is decided where permissions are compared. */
function mayInvoke(approved: readonly string[], toolId: string): boolean {
  const known = invocable.get(approved) ?? new Map<string, boolean>();
  const decided = known.get(toolId);
  if (decided !== undefined) return decided;
  const may = approved
    .map(parsePermission)
    .some((one) => one?.domain === "tool" && one.action === "invoke" && matchesTool(one.pattern ?? "", toolId));
  invocable.set(approved, known.set(toolId, may));
  return may;
}

function denied(permission: string, agentId: string): CoreError {
  return new CoreError("tool.permission_denied", `${agentId} has no approval for ${permission}`, {
    details: { permission, agent_id: agentId },
    nextStep: `opensentience agents enable ${agentId}`,
  });
}

function lateApproval(permission: string, agentId: string): CoreError {
  const message = `${permission} was approved after ${agentId} was started, which lacks it until it is restarted`;
  return new CoreError("tool.permission_denied", message, {
    details: { permission, agent_id: agentId },
    nextStep: `opensentience agents restart ${agentId}`,
  });
}

function digest(bytes: Uint8Array): string {
  return hash("sha256", bytes, "hex");
}

/** To be kept: what an agent sent stands in the chunk of bytes that it came with, which may be much larger. */
function ownOutput(answer: CallAnswer): CallAnswer {
  return answer.output === undefined ? answer : { ...answer, output: new Uint8Array(answer.output) };
}
