import { useId } from "react";
import { Button } from "../ui/button.tsx";
import { Choice } from "../ui/field.tsx";
import { OutsideText } from "../ui/outside-text.tsx";
import { usePausedText } from "../ui/paused-text.ts";
import { useMedia } from "../ui/use-media.ts";
import type { AuditFilter } from "./audit-pages.ts";
import { TypeFilter } from "./type-filter.tsx";

export const FILTER_KEYS = ["type", "agent", "actor", "severity", "correlation_id", "since", "until"] as const;

const SEVERITIES = [
  ["", "Any severity"],
  ["info", "info"],
  ["warn", "warn"],
  ["error", "error"],
  ["security", "security"],
] as const;

type Props = { filter: AuditFilter; onChange: (changes: Record<string, string>) => void };

export function AuditFilters({ filter, onChange }: Props) {
  const isNarrow = useMedia("(max-width: 1280px)");
  return (
    <div className="filters audit-filters">
      <TypeFilter value={filter.type ?? ""} onChange={(type) => onChange({ type })} />
      <Words label="Agent" value={filter.agent ?? ""} onChange={(agent) => onChange({ agent })} />
      {isNarrow ? (
        <details className="filters-more">
          <summary>More filters</summary>
          <div>
            <Rest filter={filter} onChange={onChange} />
          </div>
        </details>
      ) : (
        <Rest filter={filter} onChange={onChange} />
      )}
      {filter.correlation_id !== undefined && (
        <Button small icon="cross" onClick={() => onChange({ correlation_id: "" })}>
          One act: <OutsideText text={filter.correlation_id} />
        </Button>
      )}
    </div>
  );
}

function Rest({ filter, onChange }: Props) {
  return (
    <>
      <Words label="Actor" value={filter.actor ?? ""} onChange={(actor) => onChange({ actor })} />
      <Choice
        label="Severity"
        hideLabel
        value={SEVERITIES.find(([severity]) => severity === filter.severity)?.[0] ?? ""}
        options={SEVERITIES}
        onChange={(severity) => onChange({ severity })}
      />
      <Moment label="From" value={filter.since} onChange={(since) => onChange({ since })} />
      <Moment label="To" value={filter.until} onChange={(until) => onChange({ until })} />
    </>
  );
}

type WordsProps = { label: string; value: string; onChange: (value: string) => void };

const PAUSE_MS = 350;

/** Handed on once nothing was typed for a moment: Core looks for the whole word. */
function Words({ label, value, onChange }: WordsProps) {
  const id = useId();
  const [text, type] = usePausedText({ value, onChange, pauseMs: PAUSE_MS, handedOn: (typed) => typed.trim() });
  return (
    <div className="field-inline">
      <label htmlFor={id} className="visually-hidden">
        {label}
      </label>
      <input
        id={id}
        className="input"
        placeholder={label}
        value={text}
        spellCheck={false}
        autoComplete="off"
        onChange={(event) => type(event.target.value)}
      />
    </div>
  );
}

type MomentProps = { label: string; value: string | undefined; onChange: (value: string) => void };

/** The clock of this browser in, the time of the world out. */
function Moment({ label, value, onChange }: MomentProps) {
  const id = useId();
  return (
    <div className="field-inline moment">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        type="datetime-local"
        className="input"
        value={value === undefined ? "" : localText(value)}
        onChange={(event) => onChange(event.target.value === "" ? "" : new Date(event.target.value).toISOString())}
      />
    </div>
  );
}

function localText(at: string): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return "";
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
