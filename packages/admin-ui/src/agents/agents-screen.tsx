import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { AgentAct } from "../acts/agent-act.ts";
import { AgentActDialog } from "../acts/agent-acts.tsx";
import { InstallDialog } from "../acts/install-dialog.tsx";
import { ScanDialog } from "../acts/scan-dialog.tsx";
import { agentsQuery, liveRunsQuery } from "../api/queries.ts";
import { latestUse } from "../live/latest-use.ts";
import { metricsStore } from "../live/metrics.ts";
import { useStore } from "../live/store.ts";
import { useQueryState } from "../shell/hash-location.ts";
import { Button } from "../ui/button.tsx";
import { EmptyNote, Skeleton } from "../ui/empty-note.tsx";
import { ProblemBox } from "../ui/problem-box.tsx";
import { countByStatus, listAgents, SORTS, type Sort } from "./agent-list.ts";
import { AgentFilters } from "./agent-filters.tsx";
import { AgentRows } from "./agent-rows.tsx";
import { OverviewStrip } from "./overview-strip.tsx";

type Asked = { kind: "scan" } | { kind: "install" } | { kind: "act"; act: AgentAct; agentId: string };

export function AgentsScreen() {
  const agents = useQuery(agentsQuery);
  const runs = useQuery(liveRunsQuery);
  const samples = useStore(metricsStore);
  const [query, change] = useQueryState();
  const [asked, setAsked] = useState<Asked>();
  const wanted = {
    words: query.get("q") ?? "",
    status: query.get("status") ?? "",
    sort: SORTS.find(([sort]) => sort === query.get("sort"))?.[0] ?? ("status" satisfies Sort),
  };
  const shown = listAgents(agents.data ?? [], latestUse(runs.data ?? [], samples), wanted);
  const askedAgent = asked?.kind === "act" ? agents.data?.find((one) => one.agent_id === asked.agentId) : undefined;
  const close = (): void => setAsked(undefined);
  return (
    <>
      <div className="screen-head">
        <h1>Agents</h1>
        <div className="screen-acts">
          <Button icon="scan" onClick={() => setAsked({ kind: "scan" })}>
            Scan
          </Button>
          <Button icon="download" kind="primary" onClick={() => setAsked({ kind: "install" })}>
            Install
          </Button>
        </div>
      </div>
      <OverviewStrip agents={agents.data?.length ?? null} runs={runs.data ?? []} />
      {agents.isError && <ProblemBox problem={agents.error} onRetry={() => void agents.refetch()} />}
      {agents.isPending && <Skeleton rows={6} label="Loading the agents" />}
      {agents.data !== undefined && agents.data.length === 0 && <NoAgents onAsk={setAsked} />}
      {agents.data !== undefined && agents.data.length > 0 && (
        <>
          <AgentFilters
            wanted={wanted}
            counts={countByStatus(agents.data)}
            total={agents.data.length}
            onChange={change}
          />
          {shown.length === 0 ? (
            <EmptyNote icon="search" title="No agent fits">
              <Button onClick={() => change({ q: "", status: "" })}>Show all {agents.data.length}</Button>
            </EmptyNote>
          ) : (
            <AgentRows agents={shown} onAct={(act, agentId) => setAsked({ kind: "act", act, agentId })} />
          )}
        </>
      )}
      {asked?.kind === "scan" && <ScanDialog onClose={close} />}
      {asked?.kind === "install" && <InstallDialog onClose={close} />}
      {asked?.kind === "act" && askedAgent !== undefined && (
        <AgentActDialog act={asked.act} agent={askedAgent} onClose={close} />
      )}
    </>
  );
}

function NoAgents({ onAsk }: { onAsk: (asked: Asked) => void }) {
  return (
    <EmptyNote icon="agents" title="No agents yet">
      <p>
        An agent is a git repository with an <code>opensentience.agent.json</code>. Look for the ones on this machine,
        or install one by its address. Neither runs anything.
      </p>
      <div className="row-buttons">
        <Button icon="scan" onClick={() => onAsk({ kind: "scan" })}>
          Scan this machine
        </Button>
        <Button icon="download" kind="primary" onClick={() => onAsk({ kind: "install" })}>
          Install by address
        </Button>
      </div>
    </EmptyNote>
  );
}
