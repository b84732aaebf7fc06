import type { AgentJson } from "@opensentience/protocol";
import { statusText } from "../ui/badge.tsx";
import { Choice } from "../ui/field.tsx";
import { SearchBox } from "../ui/search-box.tsx";
import { SORTS, type Wanted } from "./agent-list.ts";

type Props = {
  wanted: Wanted;
  counts: [AgentJson["status"], number][];
  total: number;
  onChange: (changes: Record<string, string>) => void;
};

/** What is chosen stands in the address: a filtered list can be kept as a bookmark. */
export function AgentFilters({ wanted, counts, total, onChange }: Props) {
  return (
    <div className="filters">
      <SearchBox label="Search agents" value={wanted.words} onChange={(q) => onChange({ q })} />
      <div className="chips" role="group" aria-label="Status">
        <Chip text="All" count={total} isChosen={wanted.status === ""} onChoose={() => onChange({ status: "" })} />
        {counts.map(([status, count]) => (
          <Chip
            key={status}
            text={statusText(status)}
            count={count}
            isChosen={wanted.status === status}
            onChoose={() => onChange({ status: wanted.status === status ? "" : status })}
          />
        ))}
      </div>
      <Choice
        label="Sort by"
        hideLabel
        value={wanted.sort}
        options={SORTS.map(([sort, text]) => [sort, `Sort: ${text}`] as const)}
        onChange={(sort) => onChange({ sort: sort === "status" ? "" : sort })}
      />
    </div>
  );
}

type ChipProps = { text: string; count: number; isChosen: boolean; onChoose: () => void };

function Chip({ text, count, isChosen, onChoose }: ChipProps) {
  return (
    <button type="button" className="chip" aria-pressed={isChosen} onClick={onChoose}>
      {text} <span className="chip-count">{count.toLocaleString()}</span>
    </button>
  );
}
