/**
 * What of Core becomes an event: rows of the audit log as they are committed, the agents and runs they are about, what
 * changes without a row (health, tools, use of the machine), and the output of runs that somebody watches.
 *
 * Nothing is done while nobody listens; after the last listener has left it goes on for a moment, so that a page that is
 * loaded again misses nothing. What happens within a tenth of a second goes out together.
 */
import type { RunJson } from "@opensentience/protocol";
import { eventOfRow, type AuditRow } from "../audit-log/audit-log.ts";
import { FollowedLogs } from "./followed-logs.ts";
import { EventHub, type Listener } from "./event-hub.ts";
import type { Services } from "./domain.ts";
import { RunMetrics } from "./run-metrics.ts";

const TOGETHER_MS = 100;
const LINGER_MS = 60_000;
const METRICS_MS = 2_000;
const UNRECORDED_MS = 500;
/** Of one event, and of all that go out together; of more only the number is told. */
const MAX_ROWS = 200;
const MAX_ROWS_TOGETHER = 2_000;
const MAX_RUNS = 100;

/** Rows that are about an agent and change nothing of it. */
const CHANGES_NOTHING = new Set([
  "agent.build_plan_shown",
  "agent.enable_requested",
  "security.denied",
  "tool.call_routed",
  "tool.call_completed",
  "tool.call_repeated",
]);

export class LiveEvents {
  readonly hub = new EventHub();
  readonly metrics: RunMetrics;
  readonly #services: Services;
  readonly #keepAliveMs: number;
  readonly #onFault: (what: string, error: unknown) => void;
  readonly #logs: FollowedLogs;
  #rows: AuditRow[] = [];
  #dropped = 0;
  #lastSeq = 0;
  #agentIds = new Set<string>();
  #runIds = new Set<string>();
  #unrecorded = new Map<string, string>();
  #flushTimer: NodeJS.Timeout | undefined;
  #lingerTimer: NodeJS.Timeout | undefined;
  /** Undefined while nobody listens. */
  #stop: (() => void) | undefined;

  constructor(services: Services, keepAliveMs: number, onFault: (what: string, error: unknown) => void) {
    this.#services = services;
    this.#keepAliveMs = keepAliveMs;
    this.metrics = new RunMetrics(services, onFault);
    this.#onFault = onFault;
    this.#logs = new FollowedLogs(services.launcher, (runId, records, isSkipped) => {
      this.hub.publish(
        "logs",
        "log",
        { run_id: runId, items: records, ...(isSkipped ? { skipped: true } : {}) },
        runId,
      );
      this.hub.flush();
    });
  }

  /** Throws `run.not_found` for a run to watch that is none. Call the answer when the listener is gone. */
  listen(listener: Listener, instanceId: string, lastEventId: string | undefined): () => void {
    const watched = listener.subscription.topics.has("logs") ? [...listener.subscription.runIds] : [];
    for (const runId of watched) this.#services.launcher.get(runId);
    clearTimeout(this.#lingerTimer);
    this.#stop ??= this.#start();
    this.#flush();
    const hello = { instance_id: instanceId, audit_seq: this.#services.audit.head.seq };
    this.hub.add(listener, hello, lastEventId);
    const unwatch = watched.map((runId) => this.#logs.watch(runId, this.#onFault));
    return () => {
      this.hub.remove(listener);
      for (const one of unwatch) one();
      if (this.hub.size > 0) return;
      clearTimeout(this.#lingerTimer);
      this.#lingerTimer = setTimeout(() => this.#pause(), LINGER_MS).unref();
    };
  }

  /** When Core stops. */
  close(): void {
    this.metrics.close();
    this.#pause();
  }

  /** Nothing is watched any more; who comes later begins anew. */
  #pause(): void {
    clearTimeout(this.#lingerTimer);
    this.#stop?.();
    this.#stop = undefined;
  }

  #start(): () => void {
    const { audit, catalog } = this.#services;
    const keepAlive = Buffer.from(":\n\n");
    const timers = [
      setInterval(() => this.hub.sendAll(keepAlive), this.#keepAliveMs),
      setInterval(() => this.#sample(), METRICS_MS),
      setInterval(() => this.#lookAtUnrecorded(), UNRECORDED_MS),
    ];
    const unsubscribe = [
      audit.onAppend((rows) => this.#take(rows)),
      catalog.onUnrecorded((agentIds) => this.#changed(agentIds, [])),
    ];
    this.#lookAtUnrecorded();
    return () => {
      for (const timer of timers) clearInterval(timer);
      for (const one of unsubscribe) one();
      clearTimeout(this.#flushTimer);
      this.#flushTimer = undefined;
      [this.#rows, this.#dropped] = [[], 0];
      this.#agentIds.clear();
      this.#runIds.clear();
      this.hub.forget();
    };
  }

  #take(rows: readonly AuditRow[]): void {
    for (const row of rows) {
      this.#lastSeq = row.seq;
      if (this.#rows.length < MAX_ROWS_TOGETHER) this.#rows.push(row);
      else this.#dropped += 1;
      this.#noteSubject(row);
    }
    this.#soon();
  }

  #noteSubject(row: AuditRow): void {
    // What was erased must not go out again from what is kept.
    if (row.event_type === "audit.erased") {
      this.hub.forget();
      this.#rows = this.#rows.filter(({ seq }) => String(seq) !== row.subject_id);
    }
    if (CHANGES_NOTHING.has(row.event_type)) return;
    // An install by URL is about an agent that nobody knows yet.
    if (row.subject_type === "agent" && row.subject_id !== "unknown") this.#agentIds.add(row.subject_id);
    if (row.subject_type === "run") this.#runIds.add(row.subject_id);
  }

  #changed(agentIds: readonly string[], runIds: readonly string[]): void {
    for (const agentId of agentIds) this.#agentIds.add(agentId);
    for (const runId of runIds) this.#runIds.add(runId);
    if (agentIds.length + runIds.length > 0) this.#soon();
  }

  #soon(): void {
    this.#flushTimer ??= setTimeout(() => this.#flush(), TOGETHER_MS).unref();
  }

  #flush(): void {
    clearTimeout(this.#flushTimer);
    this.#flushTimer = undefined;
    try {
      this.#publishRuns();
      if (this.#agentIds.size > 0) this.hub.publish("catalog", "catalog", { agent_ids: [...this.#agentIds] });
      this.#agentIds.clear();
      this.#publishRows();
    } catch (error) {
      // Nobody who listens may be left with a hole.
      this.#onFault("events could not be made", error);
      this.hub.reset();
    }
    this.hub.flush();
  }

  /** The agent of a run has changed with it. */
  #publishRuns(): void {
    const runIds = [...this.#runIds];
    this.#runIds.clear();
    for (let at = 0; at < runIds.length; at += MAX_RUNS) {
      const items = runIds.slice(at, at + MAX_RUNS).flatMap((runId) => this.#run(runId));
      if (items.length > 0) this.hub.publish("runs", "runs", { items });
      for (const { agent_id: agentId } of items) this.#agentIds.add(agentId);
    }
  }

  /** None where its agent was forgotten in the meantime. */
  #run(runId: string): RunJson[] {
    try {
      return [this.#services.launcher.get(runId)];
    } catch {
      return [];
    }
  }

  #publishRows(): void {
    const [rows, dropped] = [this.#rows, this.#dropped];
    [this.#rows, this.#dropped] = [[], 0];
    if (dropped > 0) {
      this.hub.publish("audit", "audit", { items: [], dropped: rows.length + dropped, last_seq: this.#lastSeq });
      return;
    }
    for (let at = 0; at < rows.length; at += MAX_ROWS)
      this.hub.publish("audit", "audit", { items: rows.slice(at, at + MAX_ROWS).map(eventOfRow) });
  }

  #sample(): void {
    if (this.hub.size === 0) return;
    const { sample, changed } = this.metrics.take();
    this.#changed([], changed);
    this.hub.publish("metrics", "metrics", sample);
    this.#flush();
  }

  /** Health and tools of a session are no rows of the audit log. */
  #lookAtUnrecorded(): void {
    const now = new Map(
      this.#services.runtime
        .sessions()
        .map(({ run, health, tools }) => [run.runId, `${run.agentId} ${health} ${tools.changes}`] as const),
    );
    const runIds = [...now].filter(([runId, state]) => this.#unrecorded.get(runId) !== state).map(([runId]) => runId);
    this.#unrecorded = now;
    this.#changed([], runIds);
  }
}
