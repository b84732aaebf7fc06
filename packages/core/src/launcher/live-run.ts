/**
 * One run while it lives: its process tree, its captured output, its state. It carries out the effects of run-state.ts
 * and writes each change of the row together with its audit event. Order, promised to readers of the audit log:
 * intent, started, [stop asked for], end. The last captured line is on disk before the end is recorded.
 */
import type { Server } from "node:net";
import { CoreError, type Enforcement } from "@opensentience/protocol";
import type { Act, AuditLog, Owed, Redactor } from "../audit-log/audit-log.ts";
import { TRUST_BOUNDARY } from "../audit-log/audit-log.ts";
import type { Catalog } from "../catalog/catalog.ts";
import { killPoint } from "../host/kill-point.ts";
import type { ProcessInfo } from "../host/process-tree.ts";
import { captureLogs, type LogCapture } from "../logs/logs.ts";
import {
  countsProcesses,
  startBoxed,
  type BoxedProcess,
  type BoxPolicy,
  type ProcessEnd,
  type SandboxProbe,
  type Unconfined,
  type GroupHeld,
  type GroupLimits,
} from "../sandbox/sandbox.ts";
import type { Storage } from "../storage/storage.ts";
import type { RestartDecision } from "./restart-policy.ts";
import { INITIAL, isOver, step, type RunEffect, type RunEvent, type RunState } from "./run-state.ts";
import { diskOver, limitNotes, memoryOver, type RunLimits } from "./run-limits.ts";
import * as store from "./store.ts";
import { watchDisk, watchMemory } from "./usage-watch.ts";

/** How long output that is already in the pipe is read after the tree is gone, in ms. */
const DRAIN_MS = 1_000;
/** For a run that is over a limit, in ms. */
const OVER_LIMIT_GRACE_MS = 1_000;

export type LogLimits = { maxLineBytes: number; maxFileBytes: number; maxFiles: number };

export type RunPlan = {
  runId: string;
  agentId: string;
  argv: string[];
  cwd: string;
  env: Record<string, string>;
  pipeFolder: string;
  logPath: string;
  policy: BoxPolicy | Unconfined;
  limits: RunLimits;
  treeLimits: GroupLimits;
  /** How each limit is held, given what the kernel took. */
  limitsHeld: (held: GroupHeld) => Record<string, Enforcement>;
  dataFolder: string;
  /** Serves the way out of a run that has `network:egress` and no other network; what it refuses becomes a line of the log. */
  wayOut: ((listener: Server, note: (text: string) => void) => Promise<void>) | undefined;
  /** Who said that there is no sandbox; undefined where there is one. */
  unsandboxedBy: "setting" | "approval" | undefined;
  /** What was approved, and how each is held. */
  permissions: Record<string, Enforcement>;
  startedMetadata: Record<string, unknown>;
};

export type LiveRunDeps = {
  storage: Storage;
  audit: AuditLog;
  catalog: Catalog;
  redactor: Redactor;
  probe: SandboxProbe;
  logLimits: LogLimits;
};

/** `onEnding` is asked right before the end of a run that crashed is recorded (whether as a failure), `onEnd` told once after any end is. */
export type WhenOver = {
  onEnding: (isFailure: boolean) => RestartDecision;
  onEnd: (end: ProcessEnd, decision: RestartDecision) => void;
};

export class LiveRun {
  readonly plan: RunPlan;
  readonly startedMs = performance.now();
  readonly #deps: LiveRunDeps;
  #state: RunState = INITIAL;
  #box: BoxedProcess | undefined;
  #capture: LogCapture | undefined;
  #leaked: number[] = [];
  #logsDegraded = false;
  /** Why the tree was ended before its first instruction. */
  #refusal: string | undefined;
  #intentId: string | null = null;
  #stopAct: Act | undefined;
  #decision: RestartDecision = { action: "leave" };
  #ended: Promise<void> = Promise.resolve();

  constructor(deps: LiveRunDeps, plan: RunPlan) {
    this.#deps = deps;
    this.plan = plan;
  }

  /**
   * Starts the tree, records it, asks `confirm` a last time, then lets its first instruction happen. `whenOver` is asked
   * and told about the end of a run that was released. Throws what the box and `confirm` throw; nothing of
   * the tree is alive then and the run is recorded as crashed.
   */
  async start(act: Act, confirm: () => Promise<void>, whenOver: WhenOver): Promise<void> {
    this.#intentId = act.causationId ?? null;
    const { wayOut } = this.plan;
    const note = (text: string): void => this.#capture?.note(text);
    let box: BoxedProcess;
    try {
      box = await startBoxed({
        probe: this.#deps.probe,
        argv: this.plan.argv,
        cwd: this.plan.cwd,
        env: this.plan.env,
        pipeFolder: this.plan.pipeFolder,
        marker: this.plan.runId,
        policy: this.plan.policy,
        treeLimits: this.plan.treeLimits,
        ...(wayOut === undefined ? {} : { wayOut: (listener): Promise<void> => wayOut(listener, note) }),
      });
    } catch (error) {
      this.#recordFailedStart("could not be started", act);
      throw error;
    }
    killPoint("run.box_spawned");
    this.#box = box;
    this.#capture = captureLogs({
      stdout: box.stdout,
      stderr: box.stderr,
      path: this.plan.logPath,
      limits: this.#deps.logLimits,
      redactor: this.#deps.redactor,
      onDegraded: ({ degraded }) => (this.#logsDegraded = degraded),
    });
    try {
      this.#apply({ type: "released" }, act, NO_END);
    } catch (error) {
      // SECURITY: a start that cannot be recorded never runs: the shim still waits. Pinned by "refuses a run when the
      // audit log cannot be written".
      await box.kill();
      this.#recordFailedStart("its start could not be recorded", act);
      throw error;
    }
    killPoint("run.pid_recorded");
    let isRefused = false;
    this.#ended = box.ended
      .then((end) => this.#finish(end, act, whenOver))
      .then((end) => (isRefused ? undefined : whenOver.onEnd(end, this.#decision)));
    try {
      await confirm();
    } catch (error) {
      isRefused = true;
      const isDrift = error instanceof CoreError && error.code === "enablement.drifted";
      this.#refusal = isDrift ? "changed during the start" : "could not be confirmed at its start";
      await box.kill();
      await this.#ended;
      throw error;
    }
    box.release();
    this.#watchUsage(box, act);
    killPoint("run.go_sent");
  }

  /** Resolves when the whole tree is gone and the end is recorded. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  get status(): RunState["status"] {
    return this.#state.status;
  }

  /** Why it is over; null until then. */
  get reason(): string | null {
    return this.#state.reason;
  }

  /** The event that said that this run is about to start; what happens to the run names it as its cause. */
  get intentId(): string | null {
    return this.#intentId;
  }

  get lastLines(): string[] {
    return this.#capture?.lastLines ?? [];
  }

  get leaked(): number[] {
    return this.#leaked;
  }

  get logsDegraded(): boolean {
    return this.#logsDegraded;
  }

  usage(processes: ProcessInfo[]): { cpuMs: number; memoryBytes: number; processes: number } | undefined {
    return this.#box?.usage(processes);
  }

  /** SIGTERM to the tree, SIGKILL after `graceMs`; resolves when the end is recorded. Idempotent. `why`: for its log. */
  async stop(graceMs: number, act: Act, why = "a stop was asked for"): Promise<void> {
    const effects = this.#apply({ type: "stop_requested" }, act, NO_END);
    killPoint("stop.requested");
    if (effects.includes("signal_tree")) {
      this.#capture?.note(`Core ends the run: ${why}`);
      await this.#box?.stop(graceMs);
    }
    await this.#ended;
  }

  /** Ends a run that cannot be governed any more: it counts as crashed, and its restart policy applies. `isFault`: see RunEvent. */
  condemn(reason: string, isFault: boolean, graceMs: number, act: Act): void {
    for (const effect of this.#apply({ type: "condemned", reason, isFault }, act, NO_END)) {
      if (effect !== "signal_tree") continue;
      this.#capture?.note(`Core ends the run: ${reason}`);
      void this.#box?.stop(graceMs);
    }
  }

  /** SECURITY: a run could fill the disk, and with it stop Core; pinned by "a run over its disk limit is ended and says so". */
  #watchUsage(box: BoxedProcess, act: Act): void {
    const { limits, dataFolder } = this.plan;
    const end = (reason: string): void => this.condemn(reason, true, OVER_LIMIT_GRACE_MS, act);
    const { memoryBytes, diskBytes } = limits;
    // The kernel counts a page that processes share once, Core's look counts it for each of them.
    if (memoryBytes !== undefined && box.limitsHeld.memory !== true) {
      const onOver = (bytes: number): void => end(memoryOver(bytes, memoryBytes));
      void this.#ended.then(watchMemory(() => box.usage().memoryBytes, memoryBytes, onOver));
    }
    if (diskBytes !== undefined)
      void this.#ended.then(watchDisk(dataFolder, diskBytes, (bytes) => end(diskOver(bytes, diskBytes, dataFolder))));
  }

  async #finish(end: ProcessEnd, act: Act, { onEnding }: WhenOver): Promise<ProcessEnd> {
    killPoint("run.tree_gone");
    const notes = limitNotes(end, this.plan.limits, this.#isForkSilent);
    // Of what the kernel did Core may have seen no more than a session that closed, and has said that.
    await this.#capture?.drainAndClose(DRAIN_MS, notes.cause);
    killPoint("run.output_drained");
    this.#leaked = end.leaked;
    const event: RunEvent =
      this.#refusal === undefined
        ? { type: "ended", ...end, ...notes }
        : { type: "start_failed", reason: this.#refusal };
    if (step(this.#state, event).effects.includes("consider_restart")) {
      this.#decision = onEnding(end.exitCode !== 0 || this.#state.isFault === true);
    }
    // The process is gone whether or not the disk is full: the row says so as soon as it can be written.
    await this.#recordEndOwed(event, this.#stopAct ?? act, end);
    killPoint("run.end_recorded");
    return end;
  }

  /** As an ordinary user without control groups: the process that may not fork is told, and Core is not. */
  get #isForkSilent(): boolean {
    return this.#box?.limitsHeld.pids === true && !countsProcesses(this.#deps.probe);
  }

  /** The intent is on record, so an end has to follow; the caller does not wait for a full disk to have room again. */
  #recordFailedStart(reason: string, act: Act): void {
    void this.#recordEndOwed({ type: "start_failed", reason }, act, NO_END);
  }

  #recordEndOwed(event: RunEvent, act: Act, end: ProcessEnd): Owed | undefined {
    return this.#deps.audit.owed.record(`the end of ${this.plan.runId}`, () => void this.#apply(event, act, end));
  }

  #apply(event: RunEvent, act: Act, end: ProcessEnd): RunEffect[] {
    const next = step(this.#state, event);
    for (const effect of next.effects) {
      if (effect === "record_running") this.#recordRunning(act);
      if (effect === "record_stopping") this.#recordStopping(act);
      if (effect === "record_end") this.#recordEnd(next.state, end, act);
    }
    this.#state = next.state;
    return next.effects;
  }

  #recordRunning(act: Act): void {
    const box = this.#box;
    if (box === undefined) return;
    this.#deps.audit.transact((tx, record) => {
      const limits = this.plan.limitsHeld(box.limitsHeld);
      store.setRunning(this.#deps.storage, tx, this.plan.runId, {
        pid: box.pid,
        pidStartTime: box.pidStartTime,
        bootId: box.bootId,
        limits,
      });
      this.#deps.catalog.refresh(tx, this.plan.agentId);
      record({
        type: "agent.run_started",
        act,
        subject: this.#subject(),
        metadata: {
          ...this.plan.startedMetadata,
          limits,
          pid: box.pid,
          isolation: box.isolation,
          phase: "started",
          trust_boundary: TRUST_BOUNDARY,
        },
      });
    });
  }

  #recordStopping(act: Act): void {
    const causationId = this.#deps.audit.transact((tx, record) => {
      store.setStopping(this.#deps.storage, tx, this.plan.runId, new Date().toISOString());
      return record({
        type: "agent.run_stopped",
        act,
        subject: this.#subject(),
        outcome: "unknown",
        metadata: { agent_id: this.plan.agentId, phase: "requested" },
      });
    });
    this.#stopAct = { ...act, causationId };
  }

  #recordEnd(state: RunState, end: ProcessEnd, act: Act): void {
    if (!isOver(state)) return;
    const status = state.status === "stopped" ? "stopped" : "crashed";
    const decision = this.#decision;
    this.#deps.audit.transact((tx, record) => {
      store.setEnded(this.#deps.storage, tx, this.plan.runId, {
        status,
        at: new Date().toISOString(),
        exitCode: end.exitCode,
        signal: end.signal,
        reason: state.reason,
      });
      this.#deps.catalog.setLastError(tx, this.plan.agentId, status === "crashed" ? state.reason : null);
      this.#deps.catalog.refresh(tx, this.plan.agentId);
      record({
        type: status === "stopped" ? "agent.run_stopped" : "agent.run_crashed",
        act,
        subject: this.#subject(),
        outcome: status === "stopped" ? "ok" : "failed",
        metadata: {
          agent_id: this.plan.agentId,
          exit_code: end.exitCode,
          signal: end.signal,
          reason: state.reason,
          leaked: end.leaked.length > 0 ? end.leaked : undefined,
          phase: "ended",
          restart_in_ms: status === "crashed" && decision.action === "restart" ? decision.delayMs : undefined,
        },
      });
    });
  }

  #subject(): { type: "run"; id: string } {
    return { type: "run", id: this.plan.runId };
  }
}

const NO_END: ProcessEnd = { exitCode: null, signal: null, killedAfterTimeout: false, leaked: [] };
