import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense } from "react";
import type { Agent } from "../agent/agent-screen.tsx";
import { toolsQuery } from "../api/queries.ts";
import { useQueryState } from "../shell/hash-location.ts";
import { Badge, HealthBadge } from "../ui/badge.tsx";
import { EmptyNote, Skeleton } from "../ui/empty-note.tsx";
import { OutsideText } from "../ui/outside-text.tsx";
import { ProblemBox } from "../ui/problem-box.tsx";

const ToolConsole = lazy(() => import("./tool-console.tsx").then((m) => ({ default: m.ToolConsole })));

/** What a running agent offers; the chosen tool stands in the address. */
export function ToolsTab({ agent }: { agent: Agent }) {
  const tools = useQuery(toolsQuery(agent.agent_id));
  const [query, change] = useQueryState();
  if (tools.isPending) return <Skeleton rows={3} label="Loading the tools" />;
  if (tools.isError) return <ProblemBox problem={tools.error} onRetry={() => void tools.refetch()} />;
  if (tools.data.items.length === 0) return <NoTools agent={agent} />;
  const { items } = tools.data;
  const chosen = items.find((tool) => tool.name === query.get("tool")) ?? items[0];
  return (
    <div className="tools">
      <ul className="tool-list" aria-label="Tools">
        {items.map((tool) => (
          <li key={tool.tool_id}>
            <button
              type="button"
              className="tool-choice"
              aria-current={tool === chosen ? "true" : undefined}
              onClick={() => change({ tool: tool.name })}
            >
              <span className="tool-name">
                <OutsideText text={tool.name} />
              </span>
              <span className="tool-about">
                <OutsideText text={tool.description} />
              </span>
              {tool.health !== "ok" && <HealthBadge health={tool.health} />}
              {tool.permissions.length > 0 && <Badge title={tool.permissions.join(", ")}>needs a permission</Badge>}
            </button>
          </li>
        ))}
      </ul>
      {chosen !== undefined && (
        <Suspense fallback={<Skeleton rows={4} label="Loading the tool" />}>
          <ToolConsole key={chosen.tool_id} agentId={agent.agent_id} toolName={chosen.name} />
        </Suspense>
      )}
    </div>
  );
}

function NoTools({ agent }: { agent: Agent }) {
  const isRunning = agent.status === "running";
  return (
    <EmptyNote icon="tools" title={isRunning ? "It offers no tool" : "It does not run"}>
      <p>
        {isRunning
          ? "An agent registers its tools once it has shaken hands with Core. This one has registered none."
          : "The tools of an agent are known while it runs."}
      </p>
    </EmptyNote>
  );
}
