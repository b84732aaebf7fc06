import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { useLayoutEffect, useRef, useState } from "react";
import type { AgentAct } from "../acts/agent-act.ts";
import type { ListedAgent } from "./agent-list.ts";
import { AgentRow } from "./agent-row.tsx";

const ROW_PX = 68;

type Props = { agents: readonly ListedAgent[]; onAct: (act: AgentAct, agentId: string) => void };

/** Only the rows in view are in the document; the list says how long it is all the same. */
export function AgentRows({ agents, onAct }: Props) {
  const list = useRef<HTMLUListElement>(null);
  const [top, setTop] = useState(0);
  useLayoutEffect(() => setTop(list.current?.offsetTop ?? 0), []);
  const rows = useWindowVirtualizer({
    count: agents.length,
    estimateSize: () => ROW_PX,
    overscan: 8,
    useFlushSync: false,
    scrollMargin: top,
    getItemKey: (index) => agents[index]?.agent.agent_id ?? index,
  });
  return (
    <ul ref={list} className="rows" aria-label="Agents" style={{ height: rows.getTotalSize() }}>
      {rows.getVirtualItems().map(({ index, key, start }) => {
        const listed = agents[index];
        if (listed === undefined) return null;
        return (
          <li
            key={key}
            ref={rows.measureElement}
            data-index={index}
            className="row-place"
            aria-setsize={agents.length}
            aria-posinset={index + 1}
            style={{ transform: `translateY(${start - top}px)` }}
          >
            <AgentRow listed={listed} onAct={onAct} />
          </li>
        );
      })}
    </ul>
  );
}
