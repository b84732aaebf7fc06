import { useEffect, useId, useRef, useState } from "react";
import { Button } from "../ui/button.tsx";
import { Choice } from "../ui/field.tsx";
import { OutsideText } from "../ui/outside-text.tsx";
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
  const [text, setText] = useState(value);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const handedOn = useRef(value);
  useEffect(() => {
    // What was typed since must not be taken back by the address catching up.
    if (value === handedOn.current) return;
    clearTimeout(timer.current);
    handedOn.current = value;
    setText(value);
  }, [value]);
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
        onChange={(event) => {
          const next = event.target.value;
          setText(next);
          clearTimeout(timer.current);
          timer.current = setTimeout(() => {
            handedOn.current = next.trim();
            onChange(handedOn.current);
          }, PAUSE_MS);
        }}
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
