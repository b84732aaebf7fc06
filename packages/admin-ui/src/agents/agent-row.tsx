import { type DriftJson, restartNotice } from "@opensentience/protocol";
import { useMutation } from "@tanstack/react-query";
import { memo } from "react";
import { Link } from "wouter";
import type { AgentAct } from "../acts/agent-act.ts";
import { call } from "../api/client.ts";
import { toProblem } from "../api/problem.ts";
import { announce } from "../shell/announcer.tsx";
import { agentPath, goTo } from "../shell/hash-location.ts";
import { HealthBadge, IsolationBadge, StatusBadge, Badge } from "../ui/badge.tsx";
import { Button } from "../ui/button.tsx";
import { OutsideText } from "../ui/outside-text.tsx";
import { bytes, percent } from "../ui/time.tsx";
import type { ListedAgent } from "./agent-list.ts";
import { DriftBadge, useDrift } from "./drift.tsx";
import { nextAct } from "./next-act.ts";

type Props = { listed: ListedAgent; onAct: (act: AgentAct, agentId: string) => void };

export const AgentRow = memo(function AgentRow({ listed: { agent, run }, onAct }: Props) {
  const drift = useDrift(agent);
  return (
    <article className={`agent-row agent-${agent.status}`}>
      <div className="agent-who">
        <Link href={agentPath(agent.agent_id)} className="agent-name">
          <OutsideText text={agent.name} />
        </Link>
        <span className="agent-id">
          <OutsideText text={agent.agent_id} />
        </span>
      </div>
      <div className="agent-badges">
        <StatusBadge agent={agent} />
        {run !== undefined && <HealthBadge health={run.health} />}
        {run !== undefined && run.pid !== null && <IsolationBadge isolation={run.isolation} />}
        <DriftBadge drift={drift} />
        {agent.missing_since !== null && <Badge tone="warn">Gone from disk</Badge>}
        {agent.pending_permissions !== null && (
          <Badge tone="warn" title="What you approved since its start takes hold when it is restarted.">
            Approval pending
          </Badge>
        )}
        {agent.restart_at !== null && <Badge tone="warn">{restartNotice(agent, Date.now())}</Badge>}
      </div>
      <dl className="agent-use" aria-label="Use of the machine">
        {run !== undefined && run.pid !== null && (
          <>
            <div>
              <dt>CPU</dt>
              <dd>{percent(run.cpu_percent)}</dd>
            </div>
            <div>
              <dt>Memory</dt>
              <dd>{bytes(run.memory_bytes)}</dd>
            </div>
          </>
        )}
      </dl>
      <span className="agent-version">
        <OutsideText text={agent.version} />
      </span>
      <div className="agent-act">
        <NextButton agent={agent} drift={drift} onAct={onAct} />
        {agent.status === "running" && <StopButton agentId={agent.agent_id} />}
      </div>
    </article>
  );
});

type NextProps = Pick<Props, "onAct"> & { agent: ListedAgent["agent"]; drift: DriftJson | null };

/** Lists are read without hashing files, so what has moved has its own next step. */
function NextButton({ agent, drift, onAct }: NextProps) {
  const own = nextAct(agent);
  // What has to be fetched or built first comes before the review of it; what runs goes on.
  const isReviewable = own === null || !("act" in own) || own.act === "run";
  const next = drift !== null && agent.status !== "running" && isReviewable ? nextAct(drift) : own;
  if (next === null) return null;
  const press = (): void => {
    if ("act" in next) onAct(next.act, agent.agent_id);
    else goTo(agentPath(agent.agent_id, next.tab));
  };
  return (
    <Button small icon={next.icon} aria-label={`${next.label} ${agent.agent_id}`} onClick={press}>
      {next.label}
    </Button>
  );
}

type StopProps = { agentId: string; labelled?: boolean; small?: boolean };

/** Ends the whole process tree. Asks nothing: the agent can be run again at once. */
export function StopButton({ agentId, labelled = false, small = !labelled }: StopProps) {
  const stop = useMutation({
    mutationFn: () => call("stop_agent", { params: { agent_id: agentId } }),
    onSuccess: (run) =>
      announce(run.restart_called_off ? `${agentId} will not be started again` : `${agentId} is stopped`),
    onError: (thrown) => {
      const problem = toProblem(thrown);
      announce(problem.shownCode === undefined ? problem.message : `${problem.message} (${problem.shownCode})`);
    },
  });
  return (
    <Button
      small={small}
      icon="stop"
      busy={stop.isPending}
      aria-label={`Stop ${agentId}`}
      title="Stop"
      onClick={() => stop.mutate()}
    >
      {labelled ? "Stop" : undefined}
    </Button>
  );
}
