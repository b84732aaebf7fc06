import { limitsText, type PsItemJson, runEnd } from "@opensentience/protocol";
import { useQuery } from "@tanstack/react-query";
import { agentRunsQuery } from "../api/queries.ts";
import { metricsStore, runPoints } from "../live/metrics.ts";
import { useStore } from "../live/store.ts";
import { LogView } from "../log/log-view.tsx";
import { BUILD_LOG, useQueryState } from "../shell/hash-location.ts";
import { Badge, type Tone } from "../ui/badge.tsx";
import { EmptyNote, Skeleton } from "../ui/empty-note.tsx";
import { intoStrip, moreBeside } from "../ui/more-beside.ts";
import { OutsideText } from "../ui/outside-text.tsx";
import { ProblemBox } from "../ui/problem-box.tsx";
import { TimeChart } from "../ui/time-chart.tsx";
import { bytes, duration, percent, Time, useNow } from "../ui/time.tsx";
import type { Agent } from "./agent-screen.tsx";

/** The runs of an agent and its newest build, and the output of the chosen one (the newest run unless the address names another). */
export function RunsTab({ agent }: { agent: Agent }) {
  const runs = useQuery(agentRunsQuery(agent.agent_id));
  const [query, change] = useQueryState();
  if (runs.isPending) return <Skeleton rows={4} label="Loading the runs" />;
  if (runs.isError) return <ProblemBox problem={runs.error} onRetry={() => void runs.refetch()} />;
  const items = runs.data.items;
  const newest = items[0];
  const hasBuild = agent.build_last_at !== null;
  if (newest === undefined && !hasBuild)
    return (
      <EmptyNote icon="log" title="It never ran">
        <p>Its output will be here, live, from the first line of its first run.</p>
      </EmptyNote>
    );
  const wanted = query.get("run");
  const run = items.find(({ run_id: id }) => id === wanted) ?? newest;
  const chosen = hasBuild && wanted === BUILD_LOG ? undefined : run;
  return (
    <div className={items.length === 1 && !hasBuild ? "runs runs-single" : "runs"}>
      <RunList
        agent={agent}
        runs={items}
        chosen={chosen?.run_id ?? BUILD_LOG}
        onChoose={(id) => change({ run: id === newest?.run_id ? "" : id })}
      />
      {chosen === undefined ? (
        <BuildOutput agent={agent} />
      ) : (
        <div className="stack runs-main">
          <div className="run-head">
            <RunFacts run={chosen} readAt={runs.dataUpdatedAt} />
            {isLive(chosen) && chosen.pid !== null && <RunCharts runId={chosen.run_id} />}
          </div>
          <LogView key={chosen.run_id} agentId={agent.agent_id} of={{ run: chosen.run_id }} isLive={isLive(chosen)} />
        </div>
      )}
    </div>
  );
}

/** What a build prints does not come live: it is read as it stands, and anew when a build begins or ends. */
function BuildOutput({ agent }: { agent: Agent }) {
  return (
    <div className="stack runs-main">
      <p className="muted">
        What the newest build printed, step by step; {BUILD_ENDS[agent.build_status ?? "not_built"]}.
      </p>
      {agent.build_status === "failed" && agent.last_error !== null && (
        <p className="notice notice-bad">
          <OutsideText text={agent.last_error} />
        </p>
      )}
      <LogView
        key={`${agent.build_status} ${agent.build_last_at}`}
        agentId={agent.agent_id}
        of={{ build: true }}
        isLive={false}
      />
    </div>
  );
}

type BuildStatus = NonNullable<Agent["build_status"]>;
const BUILD_ENDS: Record<BuildStatus, string> = {
  not_built: "these files are not built",
  building: "it is under way",
  built: "it succeeded",
  failed: "it failed",
};

export function isLive(run: Pick<PsItemJson, "status">): boolean {
  return run.status === "starting" || run.status === "running" || run.status === "stopping";
}

const RUN_TONES: Record<PsItemJson["status"], Tone> = {
  starting: "warn",
  running: "ok",
  stopping: "warn",
  stopped: "calm",
  crashed: "bad",
};

type ListProps = { agent: Agent; runs: readonly PsItemJson[]; chosen: string; onChoose: (id: string) => void };

function RunList({ agent, runs, chosen, onChoose }: ListProps) {
  return (
    <ul className="run-list" aria-label="Newest build, and runs, newest first" ref={moreBeside}>
      {agent.build_last_at !== null && (
        <li>
          <button
            type="button"
            className="run-choice"
            aria-current={chosen === BUILD_LOG ? "true" : undefined}
            onClick={() => onChoose(BUILD_LOG)}
          >
            <Badge tone={agent.build_status === "failed" ? "bad" : "calm"} dot>
              Newest build
            </Badge>
            <span className="run-when">
              <Time at={agent.build_last_at} />
            </span>
          </button>
        </li>
      )}
      {runs.map((run) => (
        <li key={run.run_id}>
          <button
            type="button"
            className="run-choice"
            aria-current={run.run_id === chosen ? "true" : undefined}
            ref={run.run_id === chosen ? intoStrip : null}
            onClick={() => onChoose(run.run_id)}
          >
            <Badge tone={RUN_TONES[run.status]} dot>
              {run.status}
            </Badge>
            <span className="run-when">
              <Time at={run.started_at} />
            </span>
          </button>
        </li>
      ))}
    </ul>
  );
}

/** How long it is or was up is Core's word; of one that lives, the time since that was read is added. */
function uptime(run: PsItemJson, sinceMs: number): string {
  if (isLive(run)) return duration(run.uptime_ms + Math.max(0, sinceMs));
  if (!run.uptime_is_least) return duration(run.uptime_ms);
  // Of a run that was lost with Core only what its log proves is known.
  return run.uptime_ms === 0 ? "unknown" : `at least ${duration(run.uptime_ms)}`;
}

function RunFacts({ run, readAt }: { run: PsItemJson; readAt: number }) {
  const now = useNow();
  const limits = limitsText(run.limits);
  return (
    <dl className="line-facts">
      <div>
        <dt>{isLive(run) ? "Up for" : "Ran for"}</dt>
        <dd>{uptime(run, now - readAt)}</dd>
      </div>
      {isLive(run) && (
        <div>
          <dt>Process</dt>
          <dd>{run.pid ?? "–"}</dd>
        </div>
      )}
      <div>
        <dt>Restarts before</dt>
        <dd>{run.restart_count}</dd>
      </div>
      {limits !== "" && (
        <div>
          <dt>Limits</dt>
          <dd>{limits}</dd>
        </div>
      )}
      {!isLive(run) && (
        <div>
          <dt>End</dt>
          <dd>
            <OutsideText text={runEnd(run)} />
          </dd>
        </div>
      )}
    </dl>
  );
}

function RunCharts({ runId }: { runId: string }) {
  const samples = useStore(metricsStore);
  return (
    <div className="run-charts">
      <TimeChart name="CPU" points={runPoints(samples, runId, "cpu_percent")} format={percent} />
      <TimeChart name="Memory" points={runPoints(samples, runId, "memory_bytes")} format={bytes} />
    </div>
  );
}
