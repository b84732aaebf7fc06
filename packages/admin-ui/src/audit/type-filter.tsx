import { Autocomplete } from "@base-ui/react/autocomplete";
import { queryOptions, useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { call } from "../api/client.ts";
import type { ResponseOf } from "../api/routes.ts";
import { SeverityMark } from "./audit-marks.tsx";

type EventType = ResponseOf<"list_audit_types">["items"][number];

const typesQuery = queryOptions({
  queryKey: ["audit-types"],
  queryFn: ({ signal }) => call("list_audit_types", {}, signal),
  staleTime: Infinity,
});

const NONE: EventType[] = [];

type Props = { value: string; onChange: (type: string) => void };

/** The types that there are, by any part of their name or meaning. Core is asked only once a whole one stands here. */
export function TypeFilter({ value, onChange }: Props) {
  const types = useQuery(typesQuery).data?.items;
  const [text, setText] = useState(value);
  const [isOpen, setOpen] = useState(false);
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
    // The list has nothing more to offer, and while it stands open nothing behind it is read out.
    setOpen(false);
    onChange(wanted);
  }, [text, types, onChange]);
  return (
    <div className="field-inline type-filter">
      <Autocomplete.Root
        items={types ?? NONE}
        value={text}
        onValueChange={setText}
        itemToStringValue={(item: EventType) => item.event_type}
        filter={(item: EventType, query: string) => query === value || fits(item, query)}
        open={isOpen}
        onOpenChange={setOpen}
        openOnInputClick
      >
        <Autocomplete.Input
          aria-label="Event type"
          className="input"
          placeholder="Event type"
          spellCheck={false}
          autoComplete="off"
          onBlur={() => types !== undefined && setText(handedOn.current)}
        />
        <Autocomplete.Portal>
          <Autocomplete.Positioner className="menu-place" align="start" sideOffset={4}>
            <Autocomplete.Popup className="menu type-menu">
              <Autocomplete.Empty className="type-none">No type of event is called so.</Autocomplete.Empty>
              <Autocomplete.List className="type-list">
                {(item: EventType) => (
                  <Autocomplete.Item key={item.event_type} className="type-item" value={item}>
                    <span className="type-name">
                      <SeverityMark severity={item.severity} />
                      {item.event_type}
                    </span>
                    <span className="type-meaning">{item.meaning}</span>
                  </Autocomplete.Item>
                )}
              </Autocomplete.List>
            </Autocomplete.Popup>
          </Autocomplete.Positioner>
        </Autocomplete.Portal>
      </Autocomplete.Root>
    </div>
  );
}

function fits({ event_type: name, meaning }: EventType, query: string): boolean {
  const text = `${name} ${meaning}`.toLowerCase();
  return query
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}
