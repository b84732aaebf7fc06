/**
 * The launcher: starts, watches, stops and restarts agents, each as a process tree of its own.
 *
 * A run passes the gate (enablement) at every start, restarts included; its intent is recorded before anything is
 * spawned, its pid before the gate's last look and its first instruction, its end after the whole tree is gone. One queue per agent orders
 * starts and stops; the database refuses a second live run. A stop cancels a pending restart. When Core stops, every
 * agent is stopped first, newest first; when Core dies, the kernel ends the trees and the next start closes the rows.
 *
 * The environment is built from nothing (env.ts), the argument vector from the approved entrypoint, output goes through
 * the redactor into a bounded file (logs). Nobody but the operator's doors (web) and Core itself call this.
 */
import { rm } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import {
  CoreError,
  restartNotice,
  type PendingRestartJson,
  type PsItemJson,
  type RestartPolicy,
  type RunJson,
  type StoppedRunJson,
} from "@opensentience/protocol";
import { SYSTEM_ACT, type Act } from "../audit-log/audit-log.ts";
import { killPoint } from "../host/kill-point.ts";
import { listProcesses } from "../host/process-tree.ts";
import type { ProcessEnd } from "../sandbox/sandbox.ts";
import { AgentQueue } from "./agent-queue.ts";
import { LiveRun, type RunPlan } from "./live-run.ts";
import { noting } from "./noting.ts";
import { PendingRestarts } from "./pending-restarts.ts";
import { awaitsRestart, reconcileRuns } from "./reconcile.ts";
import { decideRestart, NO_RESTARTS, type RestartDecision, type RestartHistory } from "./restart-policy.ts";
import { isFullAtEnd, psItem, runJson } from "./run-json.ts";
import { checkPlan, makePlan, recordIntent, type LauncherDeps } from "./run-plan.ts";
import * as store from "./store.ts";

/** An agent that ends within this many ms of its start makes `run` fail with its last lines. */
const START_WINDOW_MS = 300;
/** How long one agent may hold up the stop of the next when Core stops, in ms. */
const ORDERLY_STOP_MS = 1_000;

/** Of one start; the policy is kept for the agent. */
type RunRequest = { args?: string[]; restart?: RestartPolicy };

export { refusedVariable } from "./env.ts";
export { isLacking } from "./late-approval.ts";
export { ARGUMENTS_NOT_KEPT } from "./reconcile.ts";

export class Launcher {
  readonly #deps: LauncherDeps;
  readonly #queue = new AgentQueue();
  readonly #live = new Map<string, LiveRun>();
  readonly #history = new Map<string, RestartHistory>();
  /** The operator's own arguments of the last `run`: a restart has them too. In memory only: they may hold secrets. */
  readonly #arguments = new Map<string, string[]>();
  readonly #pendingRestarts: PendingRestarts;
  readonly #cpuSamples = new Map<string, { atMs: number; cpuMs: number }>();
  #stopping = false;

  constructor(deps: LauncherDeps) {
    this.#deps = deps;
    this.#pendingRestarts = new PendingRestarts(deps.settings.restart.maxAttempts);
    deps.enablement.onRevoked(async (agentId, act, how) => {
      const why = how === "expired" ? "its approval has expired" : "its approval was revoked";
      if (this.#live.has(agentId) || this.#pendingRestarts.has(agentId)) await this.stop(agentId, act, why);
    });
  }

  /**
   * Starts the agent. Throws the gate's codes, launcher.already_running, launcher.program_missing,
   * launcher.not_executable, launcher.folder_missing, launcher.env_missing, launcher.start_failed, and
   * launcher.exited_early (details: run, last_lines) when it ends within its start window.
   */
  async run(agentId: string, request: RunRequest, act: Act): Promise<RunJson> {
    const live = await this.#queue.run(agentId, async () => {
      this.#pendingRestarts.cancel(agentId);
      this.#history.delete(agentId);
      this.#arguments.set(agentId, request.args ?? []);
      return this.#start(agentId, request, 0, act);
    });
    await this.#startWindow(live);
    return this.get(live.plan.runId);
  }

  /** Ends the whole tree. Idempotent: of an agent that does not run, the newest run is given. Throws run.not_found. */
  async stop(agentId: string, act: Act, why?: string): Promise<StoppedRunJson> {
    let isCalledOff = this.#callRestartOff(agentId, act);
    await this.#queue.run(agentId, async () => {
      isCalledOff = this.#callRestartOff(agentId, act) || isCalledOff;
      const live = this.#live.get(agentId);
      await live?.stop(this.#deps.settings.stopGraceMs, act, why);
      if (live !== undefined && live.leaked.length > 0) {
        throw new CoreError(
          "launcher.stop_failed",
          `processes ${live.leaked.join(", ")} of ${agentId} are still alive`,
          {
            details: { pids: live.leaked },
            nextStep: `kill -9 ${live.leaked.join(" ")}`,
          },
        );
      }
    });
    return { ...this.newest(agentId), restart_called_off: isCalledOff };
  }

  /** Throws what `run` throws, and says whether what ran is stopped: a start that cannot be is refused before the stop. */
  async restart(agentId: string, act: Act): Promise<RunJson> {
    const args = (): string[] => this.#arguments.get(agentId) ?? [];
    // Before its turn: the gate ends the run of an approval that is over, and that is a turn of its own.
    await this.#deps.enablement
      .requireRunnable(agentId, act)
      .then((runnable) => checkPlan(this.#deps, runnable, args()))
      .catch((error: unknown) => noting(this.#live.get(agentId), "runs on as it was")(error));
    const live = await this.#queue.run(agentId, async () => {
      this.#pendingRestarts.cancel(agentId);
      this.#history.delete(agentId);
      const running = this.#live.get(agentId);
      await running?.stop(this.#deps.settings.stopGraceMs, act);
      return this.#start(agentId, { args: args() }, 0, act).catch(noting(running, "is stopped now"));
    });
    await this.#startWindow(live);
    return this.get(live.plan.runId);
  }

  /** Throws `run.not_found`. */
  get(runId: string): RunJson {
    const row = store.runById(this.#deps.storage, runId);
    if (row === undefined)
      throw new CoreError("run.not_found", "no run has that id", { nextStep: "opensentience agents ps --all" });
    return this.#json(row);
  }

  find(agentId: string): RunJson | null {
    const row = store.newestRun(this.#deps.storage, agentId);
    return row === undefined ? null : this.#json(row);
  }

  /** When the newest of its runs that crashed ended. */
  lastCrashAt(agentId: string): string | null {
    return store.newestCrash(this.#deps.storage, agentId)?.stopped_at ?? null;
  }

  /** Its data folder, where that ended its newest run: Core would end the next one for it too. */
  folderToEmpty(agentId: string): string | undefined {
    return isFullAtEnd(this.find(agentId)) ? this.#deps.folders.agent(agentId).data : undefined;
  }

  /** The newest run of the agent. Throws agent.not_found and run.not_found. */
  newest(agentId: string): RunJson {
    this.#deps.catalog.get(agentId);
    const run = this.find(agentId);
    if (run === null)
      throw new CoreError("run.not_found", `${agentId} has never run`, {
        nextStep: `opensentience agents info ${agentId}`,
      });
    return run;
  }

  list(filter: { agentId?: string | undefined; liveOnly: boolean; limit: number; cursor?: string | undefined }): {
    items: PsItemJson[];
    next: string | null;
  } {
    const wanted = { ...filter, andRuns: this.#pendingRestarts.runIds() };
    const rows = store.pageOfRuns(this.#deps.storage, wanted, filter.cursor ?? "\u{10ffff}", filter.limit + 1);
    // One look at the machine for all of them.
    const processes = this.#live.size === 0 ? [] : listProcesses();
    const items = rows.slice(0, filter.limit).map((row) => {
      const live = this.#live.get(row.agent_id);
      const usage = live?.plan.runId === row.run_id ? live.usage(processes) : undefined;
      return psItem(this.#json(row), live, usage, this.#cpuSamples);
    });
    return { items, next: rows.length > filter.limit ? (items.at(-1)?.run_id ?? null) : null };
  }

  /** The restart that Core owes the agent. */
  pendingRestart(agentId: string): PendingRestartJson {
    return this.#pendingRestarts.json(agentId);
  }

  /**
   * The run that came after this one, as soon as it has begun: a start that is under way and a pending restart are
   * waited for. Null when nothing follows, and on abort.
   */
  async next(run: Pick<RunJson, "run_id" | "agent_id">, signal: AbortSignal): Promise<RunJson | null> {
    const aborted = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    while (!signal.aborted) {
      await Promise.race([this.#queue.settled(run.agent_id), aborted]);
      const row = store.runAfter(this.#deps.storage, run.agent_id, run.run_id);
      if (row !== undefined) return this.#json(row);
      const over = this.#pendingRestarts.over(run.agent_id);
      if (over === undefined) return null;
      await Promise.race([over, aborted]);
    }
    return null;
  }

  /** What was approved when the live run of the agent began, and how each is held in it; undefined where none is live. */
  atStart(agentId: string): Pick<RunPlan, "permissions" | "unsandboxedBy"> | undefined {
    return this.#live.get(agentId)?.plan;
  }

  liveCount(): number {
    return this.#live.size;
  }

  isLive(runId: string): boolean {
    return [...this.#live.values()].some((live) => live.plan.runId === runId);
  }

  /** At Core's start, before any door opens. */
  reconcile(): Promise<{ closed: number; processesEnded: number }> {
    return reconcileRuns({ ...this.#deps, policyOf: (agentId) => this.#policy(agentId) });
  }

  /** Starts again what an earlier Core lost (policy `always`), or was about to start again. */
  resume(): void {
    for (const { agentId } of this.#deps.catalog.all()) {
      const run = this.#policy(agentId) === "never" ? undefined : awaitsRestart(this.#deps, agentId);
      if (run !== undefined) this.#scheduleRestart(agentId, { runId: run.run_id, delayMs: 0, attempt: 1 });
    }
  }

  /** Ends every agent in order, newest first, and starts nothing any more. One that takes long holds the next up only briefly. */
  async stopAll(act: Act): Promise<void> {
    this.#stopping = true;
    for (const agentId of this.#pendingRestarts.agentIds()) this.#callRestartOff(agentId, act);
    await this.#queue.idle();
    const stops: Promise<void>[] = [];
    for (const live of [...this.#live.values()].toReversed()) {
      const stop = live.stop(this.#deps.settings.stopGraceMs, act);
      stops.push(stop);
      await Promise.race([stop, delay(ORDERLY_STOP_MS)]);
    }
    await Promise.all(stops);
  }

  async #start(agentId: string, request: RunRequest, restartCount: number, act: Act): Promise<LiveRun> {
    const release = this.#deps.catalog.claim(agentId);
    try {
      return await this.#startClaimed(agentId, request, restartCount, act);
    } finally {
      release();
    }
  }

  async #startClaimed(agentId: string, request: RunRequest, restartCount: number, act: Act): Promise<LiveRun> {
    if (this.#stopping)
      throw new CoreError("core.stopping", "Core is stopping", { nextStep: "opensentience core start" });
    // The row too: of a start that could not be recorded nothing is alive, and its end may not be recorded yet.
    const current = this.#live.get(agentId)?.plan.runId ?? store.liveRunOf(this.#deps.storage, agentId)?.run_id;
    if (current !== undefined) {
      throw new CoreError("launcher.already_running", `${agentId} is already running`, {
        details: { run_id: current },
        nextStep: `opensentience agents stop ${agentId}`,
      });
    }
    const runnable = await this.#deps.enablement.requireRunnable(agentId, act);
    const { plan, secrets, socket } = await makePlan(this.#deps, runnable, request.args ?? []);
    const live = new LiveRun({ ...this.#deps, logLimits: this.#deps.settings.logs }, plan);
    const forget = secrets.map(([label, value]) => this.#deps.redactor.protect(value, label));
    const cleanUp = (): void => {
      for (const one of forget) one();
      this.#deps.egress.close(plan.runId);
      this.#deps.sockets
        .close(agentId, plan.runId, "the run has ended")
        .catch((error: unknown) => this.#deps.onFault("a run's socket could not be closed", error));
      rm(plan.pipeFolder, { recursive: true, force: true }).then(
        () => killPoint("run.socket_folder_removed"),
        (error: unknown) => this.#deps.onFault("a run's folder could not be removed", error),
      );
    };
    const condemn = (reason: string, isFault: boolean): void =>
      live.condemn(reason, isFault, this.#deps.settings.stopGraceMs, SYSTEM_ACT);
    this.#live.set(agentId, live);
    try {
      await this.#deps.sockets.open({
        ...socket,
        onSession: (sessionId) =>
          this.#deps.audit.bookkeep((tx) => store.setSession(this.#deps.storage, tx, plan.runId, sessionId)),
        endRun: condemn,
        // With `never` nothing would follow it: it stays up, and its tools are refused.
        onUnhealthy: (reason) => this.#policy(agentId) !== "never" && condemn(reason, true),
      });
      killPoint("run.socket_listening");
      const causationId = recordIntent(this.#deps, runnable, plan, request.restart, restartCount, act);
      killPoint("run.intent_written");
      await live.start({ ...act, causationId }, () => this.#deps.enablement.confirmUnchanged(runnable, act), {
        onEnding: (isFailure) => this.#decideRestart(live, isFailure),
        onEnd: (end, decision) => this.#onEnd(live, end, decision, cleanUp),
      });
    } catch (error) {
      this.#live.delete(agentId);
      cleanUp();
      throw error;
    }
    return live;
  }

  async #startWindow(live: LiveRun): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const window = new Promise<void>((resolve) => (timer = setTimeout(resolve, START_WINDOW_MS)));
    await Promise.race([live.ended, window]);
    clearTimeout(timer);
    if (live.status !== "crashed") return;
    const run = this.get(live.plan.runId);
    const notice = restartNotice(run, Date.now());
    const follows = notice === null ? "" : `; it ${notice}`;
    throw new CoreError(
      "launcher.exited_early",
      `${live.plan.agentId} ended right after its start: ${run.reason ?? "unknown reason"}${follows}`,
      {
        details: { run, last_lines: live.lastLines },
        nextStep: `opensentience agents logs ${live.plan.agentId}${notice === null ? "" : " -f"}`,
      },
    );
  }

  /** Before the end of a run that crashed is recorded, so that the record says what follows. */
  #decideRestart(live: LiveRun, isFailure: boolean): RestartDecision {
    if (this.#stopping) return { action: "leave" };
    const { agentId } = live.plan;
    const { restart } = this.#deps.settings;
    return decideRestart(this.#policy(agentId), restart, this.#history.get(agentId) ?? NO_RESTARTS, {
      isFailure,
      ranForMs: performance.now() - live.startedMs,
      nowMs: performance.now(),
      random: Math.random(),
    });
  }

  #onEnd(live: LiveRun, end: ProcessEnd, decision: RestartDecision, cleanUp: () => void): void {
    cleanUp();
    const { agentId, runId } = live.plan;
    this.#cpuSamples.delete(runId);
    if (this.#live.get(agentId) === live) this.#live.delete(agentId);
    if (live.status !== "crashed" || end.leaked.length > 0) return;
    if (decision.action === "give_up") this.#recordGiveUp(live, decision.attempts);
    if (decision.action !== "restart") return;
    this.#history.set(agentId, decision.history);
    const attempt = decision.history.attemptsAtMs.length;
    this.#scheduleRestart(agentId, { runId, delayMs: decision.delayMs, attempt });
    if (this.#stopping) this.#callRestartOff(agentId, SYSTEM_ACT);
  }

  #recordGiveUp(live: LiveRun, attempts: number): void {
    const reason = `gave up after ${attempts} restarts within ${this.#deps.settings.restart.windowMs / 1000} s`;
    // SECURITY: what an agent prints never reaches the audit log, where it would stay for ever, nor passes for a cause
    // that Core found. Pinned by "a run that gives up leaves its output out of the audit log".
    this.#deps.audit.transact((tx, record) => {
      this.#deps.catalog.setLastError(tx, live.plan.agentId, `${reason}; last end: ${live.reason ?? "unknown"}`);
      record({
        type: "agent.run_crashed",
        act: { ...SYSTEM_ACT, causationId: live.intentId },
        subject: { type: "run", id: live.plan.runId },
        outcome: "failed",
        severity: "error",
        metadata: { agent_id: live.plan.agentId, reason, phase: "gave_up" },
      });
    });
  }

  #policy(agentId: string): RestartPolicy {
    return this.#deps.catalog.find(agentId)?.restartPolicy ?? this.#deps.settings.restartPolicy;
  }

  #scheduleRestart(agentId: string, due: { runId: string; delayMs: number; attempt: number }): void {
    this.#pendingRestarts.schedule(agentId, due, () => {
      killPoint("restart.due");
      this.#queue
        .run(agentId, async () =>
          this.#live.has(agentId) || this.#stopping
            ? undefined
            : this.#start(agentId, { args: this.#arguments.get(agentId) ?? [] }, due.attempt, SYSTEM_ACT),
        )
        .catch((error: unknown) => this.#deps.onFault(`a restart of ${agentId} was refused`, error));
    });
    killPoint("restart.scheduled");
  }

  /** Recorded, so that no later Core takes it for pending. False where none was pending. */
  #callRestartOff(agentId: string, act: Act): boolean {
    const run = this.#pendingRestarts.has(agentId) ? store.newestRun(this.#deps.storage, agentId) : undefined;
    this.#pendingRestarts.cancel(agentId);
    if (run === undefined) return false;
    this.#deps.audit.record({
      type: "agent.run_stopped",
      act,
      subject: { type: "run", id: run.run_id },
      metadata: { agent_id: agentId, phase: "restart called off" },
    });
    return true;
  }

  #json(row: store.RunRow): RunJson {
    const live = this.#live.get(row.agent_id);
    const pending = this.#pendingRestarts.json(row.agent_id, row.run_id);
    if (live?.plan.runId !== row.run_id) return runJson(row, undefined, null, pending);
    return runJson(row, live, this.#deps.sockets.session(row.agent_id) ?? null, pending);
  }
}
