import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useEffect } from "react";
import type { Agent } from "../agent/agent-screen.tsx";
import { toolsQuery } from "../api/queries.ts";
import type { ResponseOf } from "../api/routes.ts";
import { useStore } from "../live/store.ts";
import { useQueryState } from "../shell/hash-location.ts";
import { Badge, HealthBadge } from "../ui/badge.tsx";
import { EmptyNote, Skeleton } from "../ui/empty-note.tsx";
import { intoStrip, moreBeside } from "../ui/more-beside.ts";
import { OutsideText } from "../ui/outside-text.tsx";
import { ProblemBox } from "../ui/problem-box.tsx";
import { callMarks, type CallMark, keepLastTool, lastTool } from "./tool-calls.ts";

const ToolConsole = lazy(() => import("./tool-console.tsx").then((m) => ({ default: m.ToolConsole })));
const KeptOutput = lazy(() => import("./tool-console.tsx").then((m) => ({ default: m.KeptOutput })));

type Tool = ResponseOf<"list_tools">["items"][number];
/** `tool` is undefined of one that is offered no more, but was called from this page. */
type Choice = { name: string; tool: Tool | undefined; at: CallMark["at"] };

/** What a running agent offers; the chosen tool stands in the address, and is the one that was looked at last where that names none. */
export function ToolsTab({ agent }: { agent: Agent }) {
  const { agent_id: agentId } = agent;
  const tools = useQuery(toolsQuery(agentId));
  const marks = useStore(callMarks).filter((mark) => mark.agentId === agentId);
  const [query, change] = useQueryState();
  const named = query.get("tool");
  useEffect(() => {
    if (named !== null) keepLastTool(agentId, named);
  }, [agentId, named]);
  const wanted = named ?? lastTool(agentId);
  const approved = agent.approval?.status === "active" ? agent.approval.approved_permissions : [];
  if (tools.isPending) return <Skeleton rows={3} label="Loading the tools" />;
  if (tools.isError) return <ProblemBox problem={tools.error} onRetry={() => void tools.refetch()} />;
  const choices = choicesOf(tools.data.items, marks);
  const chosen = choices.find(({ name }) => name === wanted) ?? choices[0];
  if (chosen === undefined) return <NoTools agent={agent} />;
  return (
    <div className="tools">
      <ul className="tool-list" aria-label="Tools" ref={moreBeside}>
        {choices.map((choice) => (
          <li key={choice.name}>
            <button
              type="button"
              className="tool-choice"
              aria-current={choice === chosen ? "true" : undefined}
              ref={choice === chosen ? intoStrip : null}
              onClick={() => change({ tool: choice.name })}
            >
              <ToolMark {...choice} approved={approved} />
            </button>
          </li>
        ))}
      </ul>
      <Suspense fallback={<Skeleton rows={4} label="Loading the tool" />}>
        {chosen.tool === undefined ? (
          <KeptOutput key={chosen.name} agentId={agentId} toolName={chosen.name} />
        ) : (
          <ToolConsole key={chosen.name} agentId={agentId} toolName={chosen.name} />
        )}
      </Suspense>
    </div>
  );
}

function choicesOf(tools: readonly Tool[], marks: readonly CallMark[]): Choice[] {
  const at = new Map(marks.map((mark) => [mark.toolName, mark.at]));
  const offered = tools.map((tool) => ({ name: tool.name, tool, at: at.get(tool.name) ?? ("idle" as const) }));
  const gone = marks.filter(({ toolName }) => !tools.some(({ name }) => name === toolName));
  return [...offered, ...gone.map((mark) => ({ name: mark.toolName, tool: undefined, at: mark.at }))];
}

function ToolMark({ name, tool, at, approved }: Choice & { approved: readonly string[] }) {
  const missing = tool?.permissions.filter((permission) => !approved.includes(permission)) ?? [];
  return (
    <>
      <span className="tool-name">
        <OutsideText text={name} />
      </span>
      {tool !== undefined && (
        <span className="tool-about">
          <OutsideText text={tool.description} />
        </span>
      )}
      {at === "running" && (
        <Badge tone="info" dot>
          call under way
        </Badge>
      )}
      {tool === undefined && <Badge>not offered now</Badge>}
      {tool !== undefined && tool.health !== "ok" && <HealthBadge health={tool.health} />}
      {missing.length > 0 && (
        <Badge tone="warn" title={`Not approved: ${missing.join(", ")}`}>
          needs a permission
        </Badge>
      )}
    </>
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
