import { auditWhy, type AuditEventJson } from "@opensentience/protocol";
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useEffect, useRef } from "react";
import { useMedia } from "../ui/use-media.ts";
import { OutsideText } from "../ui/outside-text.tsx";
import { Time } from "../ui/time.tsx";
import type { AuditPages } from "./audit-pages.ts";
import { OutcomeBadge, SeverityMark } from "./audit-marks.tsx";

const ROW_PX = 32;
const NARROW_ROW_PX = 56;
/** Where a row has no columns, why it ended so gets a line of its own. */
const WHY_LINE_PX = 18;

type Props = { pages: AuditPages; chosen: string | undefined; onChoose: (event: AuditEventJson) => void };

export function AuditRows({ pages, chosen, onChoose }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const isNarrow = useMedia("(max-width: 760px)");
  const rows = useVirtualizer({
    count: pages.count,
    getScrollElement: () => box.current,
    estimateSize: (index) => (isNarrow ? narrowHeight(pages.row(index)) : ROW_PX),
    overscan: 12,
    useFlushSync: false,
  });
  useEffect(() => rows.measure(), [isNarrow, rows]);
  useEffect(() => {
    // How high a row is shows once it is read.
    if (isNarrow) rows.measure();
  }, [isNarrow, rows, pages.isLoading, pages.count]);
  const items = rows.getVirtualItems();
  const from = items[0]?.index ?? 0;
  const to = items.at(-1)?.index ?? 0;
  useEffect(() => pages.show(from, to));
  return (
    <div className="audit-box card card-flush">
      <div className="audit-row audit-header" aria-hidden="true">
        <span>No.</span>
        <span>Time</span>
        <span>Event</span>
        <span>About</span>
        <span>By</span>
        <span>End</span>
        <span>Why</span>
      </div>
      <div ref={box} className="audit-scroll" tabIndex={0} role="region" aria-label="Audit events">
        <ul className="audit-list" style={{ height: rows.getTotalSize() }}>
          {items.map(({ index, key, start, size }) => {
            const event = pages.row(index);
            return (
              <li
                key={key}
                className="audit-place"
                style={{ transform: `translateY(${start}px)`, height: size }}
                aria-posinset={index + 1}
                aria-setsize={-1}
              >
                {event === undefined ? (
                  <span className="audit-row audit-waits" aria-label="Loading">
                    <span className="skeleton-row" />
                  </span>
                ) : (
                  <Row event={event} isChosen={event.event_id === chosen} onChoose={onChoose} />
                )}
              </li>
            );
          })}
        </ul>
      </div>
    </div>
  );
}

function narrowHeight(event: AuditEventJson | undefined): number {
  return NARROW_ROW_PX + (event !== undefined && auditWhy(event) !== null ? WHY_LINE_PX : 0);
}

type RowProps = { event: AuditEventJson; isChosen: boolean; onChoose: (event: AuditEventJson) => void };

/** Drawn once for each event, however often the list moves. */
const Row = memo(function Row({ event, isChosen, onChoose }: RowProps) {
  const why = auditWhy(event) ?? "";
  return (
    <button
      type="button"
      className="audit-row"
      aria-current={isChosen ? "true" : undefined}
      onClick={() => onChoose(event)}
    >
      <span className="audit-seq">{event.seq}</span>
      <span className="audit-time">
        <Time at={event.at} />
      </span>
      <span className="audit-type">
        <SeverityMark severity={event.severity} />
        <OutsideText text={event.event_type} />
      </span>
      <span className="audit-subject">
        <OutsideText text={event.subject_id} />
      </span>
      <span className="audit-actor">
        <OutsideText text={event.actor_id} />
      </span>
      <span className="audit-end">
        <OutcomeBadge outcome={event.outcome} />
      </span>
      {why !== "" && (
        <span className="audit-why">
          <OutsideText text={why} />
        </span>
      )}
    </button>
  );
});
