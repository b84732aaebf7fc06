import { auditWhy } from "@opensentience/protocol";
import { queryOptions, useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { call } from "../api/client.ts";
import { Skeleton } from "../ui/empty-note.tsx";
import { Breakable } from "../ui/breakable.tsx";
import { OutsideText } from "../ui/outside-text.tsx";
import { ProblemBox } from "../ui/problem-box.tsx";
import { clockTime, milliseconds } from "../ui/time.tsx";
import { OutcomeBadge } from "./audit-marks.tsx";

const MOST = 200;

const timelineQuery = (correlationId: string) =>
  queryOptions({
    queryKey: ["audit-timeline", correlationId],
    queryFn: ({ signal }) => call("list_audit", { query: { correlation_id: correlationId, limit: MOST } }, signal),
  });

/** Everything that one act led to, in order, with the time between. */
export function AuditTimeline({ correlationId, current }: { correlationId: string; current: string }) {
  const { data, error, isPending } = useQuery(timelineQuery(correlationId));
  const events = data?.items.toReversed() ?? [];
  const start = Date.parse(events[0]?.at ?? "");
  return (
    <section aria-labelledby="timeline">
      <h3 className="small-title" id="timeline">
        The whole act
      </h3>
      {isPending && <Skeleton rows={3} label="Loading the act" />}
      {error !== null && <ProblemBox problem={error} />}
      <ol className="timeline">
        {events.map((event) => (
          <li
            key={event.event_id}
            className={`timeline-event severity-${event.severity}`}
            aria-current={event.event_id === current ? "true" : undefined}
          >
            <span className="timeline-time">
              {event === events[0] ? clockTime(event.at) : `+${milliseconds(Date.parse(event.at) - start)}`}
            </span>
            <Link href={`/audit/${event.event_id}`}>
              <Breakable text={event.event_type} />
            </Link>
            <OutcomeBadge outcome={event.outcome} />
            {auditWhy(event) !== null && (
              <span className="timeline-why">
                <OutsideText text={auditWhy(event) ?? ""} />
              </span>
            )}
          </li>
        ))}
      </ol>
      <p className="small">
        <Link href={`/audit?correlation_id=${encodeURIComponent(correlationId)}`}>Show only this act in the list</Link>
        {data !== undefined && data.next !== null && <span className="muted"> (the newest {MOST} are shown here)</span>}
      </p>
    </section>
  );
}
