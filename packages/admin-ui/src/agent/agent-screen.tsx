import { Tabs } from "@base-ui/react/tabs";
import { useQuery } from "@tanstack/react-query";
import { lazy, type ReactNode, Suspense, useEffect, useState } from "react";
import { Link } from "wouter";
import type { AgentAct } from "../acts/agent-act.ts";
import { AgentActDialog } from "../acts/agent-acts.tsx";
import { agentQuery } from "../api/queries.ts";
import type { ResponseOf } from "../api/routes.ts";
import { agentPath, goTo } from "../shell/hash-location.ts";
import { useStore } from "../live/store.ts";
import { callMarks } from "../tools/tool-calls.ts";
import { Breakable } from "../ui/breakable.tsx";
import { EmptyNote, Skeleton } from "../ui/empty-note.tsx";
import { Icon } from "../ui/icon.tsx";
import { moreBeside } from "../ui/more-beside.ts";
import { ProblemBox } from "../ui/problem-box.tsx";
import { AgentHead } from "./agent-head.tsx";
import { OverviewTab } from "./overview-tab.tsx";
import { PendingApproval } from "./pending-approval.tsx";
import { StepRail } from "./step-rail.tsx";

const PermissionsTab = lazy(() => import("./permissions-tab.tsx").then((m) => ({ default: m.PermissionsTab })));
const RunsTab = lazy(() => import("./runs-tab.tsx").then((m) => ({ default: m.RunsTab })));
const ToolsTab = lazy(() => import("../tools/tools-tab.tsx").then((m) => ({ default: m.ToolsTab })));
const ManifestTab = lazy(() => import("./manifest-tab.tsx").then((m) => ({ default: m.ManifestTab })));

export type Agent = ResponseOf<"get_agent">;
type TabProps = { agent: Agent; onAct: (act: AgentAct) => void };

const TABS: { tab: string; name: string; show: (props: TabProps) => ReactNode }[] = [
  { tab: "overview", name: "Overview", show: (props) => <OverviewTab {...props} /> },
  {
    tab: "permissions",
    name: "Permissions",
    show: (props) => <PermissionsTab key={reviewKey(props.agent)} {...props} />,
  },
  { tab: "log", name: "Runs & log", show: ({ agent }) => <RunsTab agent={agent} /> },
  { tab: "tools", name: "Tools", show: ({ agent }) => <ToolsTab agent={agent} /> },
  { tab: "manifest", name: "Manifest", show: ({ agent }) => <ManifestTab agent={agent} /> },
];

/** A review begins anew when what is reviewed, or what is approved, is no longer the same. */
function reviewKey(agent: Agent): string {
  return [agent.manifest_hash, agent.source_commit, agent.approval?.approval_id, agent.approval?.status].join();
}

function hasMoved({ drift, repair_step: repair }: Agent): boolean {
  return drift !== null || repair !== null;
}

/** On a narrow screen the tabs are wider than it: the chosen one, and that there is more on its sides, has to be seen. */
function showTab(tab: string): void {
  const chosen = document.querySelector<HTMLElement>(`.tab[data-tab="${tab}"]`);
  const strip = chosen?.parentElement;
  if (chosen == null || strip == null) return;
  strip.scrollLeft = chosen.offsetLeft - (strip.clientWidth - chosen.offsetWidth) / 2;
}

export function AgentScreen({ agentId, tab }: { agentId: string; tab: string }) {
  const { data: agent, error, isPending, refetch } = useQuery(agentQuery(agentId));
  const [act, setAct] = useState<AgentAct>();
  const isKnown = TABS.some((one) => one.tab === tab);
  const isThere = agent !== undefined;
  const calls = useStore(callMarks).filter((mark) => mark.agentId === agentId && mark.at === "running").length;
  useEffect(() => {
    if (isThere) showTab(tab);
  }, [tab, isThere]);
  return (
    <>
      <nav className="crumbs" aria-label="Where you are">
        <Link href="/">Agents</Link>
        <Icon name="right" size={12} />
        <span>
          <Breakable text={agentId} />
        </span>
      </nav>
      {isPending && <Skeleton rows={5} label="Loading the agent" />}
      {error !== null && <ProblemBox problem={error} onRetry={() => void refetch()} />}
      {agent !== undefined && (
        <>
          <AgentHead agent={agent} tab={tab} onAct={setAct} />
          {agent.pending_permissions !== null && <PendingApproval pending={agent.pending_permissions} />}
          <StepRail agent={agent} />
          <Tabs.Root
            value={isKnown ? tab : null}
            onValueChange={(value) => goTo(agentPath(agentId, value === "overview" ? "" : String(value)))}
          >
            <Tabs.List className="tabs" aria-label="About this agent" ref={moreBeside}>
              {TABS.map((one) => (
                <Tabs.Tab key={one.tab} value={one.tab} className="tab" data-tab={one.tab}>
                  {one.name}
                  {one.tab === "tools" && calls > 0 && (
                    <span className="tab-count" title="Calls under way">
                      {calls}
                      <span className="visually-hidden"> under way</span>
                    </span>
                  )}
                  {one.tab === "permissions" && hasMoved(agent) && <span className="tab-dot" title="Drifted" />}
                </Tabs.Tab>
              ))}
            </Tabs.List>
            {TABS.map((one) => (
              <Tabs.Panel key={one.tab} value={one.tab} className="panel">
                <Suspense fallback={<EmptyNote icon="agents" title="Loading…" />}>
                  {one.show({ agent, onAct: setAct })}
                </Suspense>
              </Tabs.Panel>
            ))}
          </Tabs.Root>
          {!isKnown && (
            <EmptyNote icon="search" title="This address does not exist">
              <p>
                An agent has no such part. Choose one above, or go to its{" "}
                <Link href={agentPath(agentId)}>overview</Link>.
              </p>
            </EmptyNote>
          )}
          {act !== undefined && <AgentActDialog act={act} agent={agent} onClose={() => setAct(undefined)} />}
        </>
      )}
    </>
  );
}
