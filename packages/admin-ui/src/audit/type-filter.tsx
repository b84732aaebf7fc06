/**
 * The types of events that there are, by any part of their name or meaning: a text field with a list under it, as the ARIA
 * practices have a combobox. Core is asked only once a whole type stands in the field.
 */
import { queryOptions, useQuery } from "@tanstack/react-query";
import { type KeyboardEvent, useEffect, useId, useMemo, useRef, useState } from "react";
import { call } from "../api/client.ts";
import type { ResponseOf } from "../api/routes.ts";
import { SeverityMark } from "./audit-marks.tsx";

type EventType = ResponseOf<"list_audit_types">["items"][number];

const typesQuery = queryOptions({
  queryKey: ["audit-types"],
  queryFn: ({ signal }) => call("list_audit_types", {}, signal),
  staleTime: Infinity,
});

type Props = { value: string; onChange: (type: string) => void };

export function TypeFilter({ value, onChange }: Props) {
  const id = useId();
  const types = useQuery(typesQuery).data?.items;
  const [text, setText] = useState(value);
  const [isOpen, setOpen] = useState(false);
  /** Of the list; -1 for none. */
  const [active, setActive] = useState(-1);
  const handedOn = useRef(value);
  useEffect(() => {
    // The address changed by itself; what was typed here it has already.
    if (value === handedOn.current) return;
    handedOn.current = value;
    setText(value);
  }, [value]);
  useEffect(() => {
    const wanted = text.trim();
    const isType = wanted === "" || types?.some(({ event_type: known }) => known === wanted) === true;
    if (!isType || wanted === handedOn.current) return;
    handedOn.current = wanted;
    setOpen(false);
    onChange(wanted);
  }, [text, types, onChange]);
  const shown = useMemo(() => typesThatFit(types ?? [], text, value), [types, text, value]);
  const choose = (type: EventType | undefined): void => {
    if (type !== undefined) setText(type.event_type);
    setOpen(false);
    setActive(-1);
  };
  const press = (event: KeyboardEvent): void => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step !== 0) {
      event.preventDefault();
      setOpen(true);
      setActive((active + step + shown.length + (active === -1 && step === -1 ? 1 : 0)) % Math.max(1, shown.length));
    } else if (event.key === "Enter" && isOpen) choose(shown[Math.max(0, active)]);
    else if (event.key === "Escape" && isOpen) {
      event.stopPropagation();
      choose(undefined);
    }
  };
  return (
    <div className="field-inline type-filter">
      <input
        role="combobox"
        aria-label="Event type"
        aria-expanded={isOpen}
        aria-controls={`${id}-list`}
        aria-autocomplete="list"
        {...(isOpen && active >= 0 ? { "aria-activedescendant": `${id}-${active}` } : {})}
        className="input"
        placeholder="Event type"
        value={text}
        spellCheck={false}
        autoComplete="off"
        onClick={() => setOpen(true)}
        onChange={({ target }) => {
          setText(target.value);
          setActive(-1);
          setOpen(true);
        }}
        onKeyDown={press}
        onBlur={() => {
          choose(undefined);
          // Half a word is no filter: what is in force stands here again.
          if (types !== undefined) setText(handedOn.current);
        }}
      />
      <div className="type-menu" hidden={!isOpen}>
        {isOpen && shown.length === 0 && types !== undefined && (
          <p className="type-none" role="status">
            No type of event is called so.
          </p>
        )}
        {/* The field keeps the focus; the list is read out by what it points to. */}
        <ul id={`${id}-list`} role="listbox" aria-label="Types of events" className="type-list">
          {isOpen &&
            shown.map((type, index) => (
              <li
                key={type.event_type}
                id={`${id}-${index}`}
                role="option"
                aria-selected={index === active}
                className="type-item"
                ref={index === active ? intoView : null}
                onMouseDown={(event) => event.preventDefault()}
                onClick={() => choose(type)}
              >
                <span className="type-name">
                  <SeverityMark severity={type.severity} />
                  {type.event_type}
                </span>
                <span className="type-meaning">{type.meaning}</span>
              </li>
            ))}
        </ul>
      </div>
    </div>
  );
}

function intoView(item: HTMLElement | null): void {
  item?.scrollIntoView({ block: "nearest" });
}

/** Those whose name has the words stand before those whose meaning has them. A whole type is no search: then all are shown. */
function typesThatFit(types: readonly EventType[], text: string, chosen: string): EventType[] {
  const words = text === chosen ? [] : text.toLowerCase().split(/\s+/);
  const has = (where: string): boolean => words.every((word) => where.toLowerCase().includes(word));
  const byName = types.filter(({ event_type: name }) => has(name));
  return [...byName, ...types.filter((type) => !byName.includes(type) && has(`${type.event_type} ${type.meaning}`))];
}
