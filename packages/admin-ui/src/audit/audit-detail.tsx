import { auditWhy } from "@opensentience/protocol";
import { Dialog } from "@base-ui/react/dialog";
import { queryOptions, useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { call } from "../api/client.ts";
import type { ResponseOf } from "../api/routes.ts";
import { agentPath } from "../shell/hash-location.ts";
import { Badge } from "../ui/badge.tsx";
import { Breakable } from "../ui/breakable.tsx";
import { Button } from "../ui/button.tsx";
import { CopyButton } from "../ui/copy-button.tsx";
import { Skeleton } from "../ui/empty-note.tsx";
import { OutsideText } from "../ui/outside-text.tsx";
import { ProblemBox } from "../ui/problem-box.tsx";
import { fullTime } from "../ui/time.tsx";
import { AuditTimeline } from "./audit-timeline.tsx";
import { OutcomeBadge } from "./audit-marks.tsx";

type AuditEvent = ResponseOf<"get_audit">;

const eventQuery = (eventId: string) =>
  queryOptions({
    queryKey: ["audit-event", eventId],
    queryFn: ({ signal }) => call("get_audit", { params: { event_id: eventId } }, signal),
  });

/** One event in full, and the act that it belongs to, from its first event to its last. */
export function AuditDetail({ eventId, onClose }: { eventId: string; onClose: () => void }) {
  const { data: event, error, isPending } = useQuery(eventQuery(eventId));
  return (
    // The list stays in reach beside it: another row takes the place of this one.
    <Dialog.Root open modal={false} disablePointerDismissal onOpenChange={(isOpen) => !isOpen && onClose()}>
      <Dialog.Portal>
        <Dialog.Popup className="drawer">
          <div className="drawer-head">
            <Dialog.Title className="dialog-title">
              {event === undefined ? "Audit event" : <Breakable text={event.event_type} />}
            </Dialog.Title>
            <Button kind="quiet" icon="cross" aria-label="Close the event" onClick={onClose} />
          </div>
          {isPending && <Skeleton rows={6} label="Loading the event" />}
          {error !== null && <ProblemBox problem={error} />}
          {event !== undefined && <EventFacts event={event} />}
          {event !== undefined && event.correlation_id !== null && (
            <AuditTimeline correlationId={event.correlation_id} current={event.event_id} />
          )}
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function EventFacts({ event }: { event: AuditEvent }) {
  const why = auditWhy(event);
  const said = event.metadata?.["message"];
  const message = typeof said === "string" && said !== why ? said : null;
  return (
    <>
      <div className="agent-badges">
        <OutcomeBadge outcome={event.outcome} />
        <Badge tone={event.severity === "info" ? "calm" : event.severity === "warn" ? "warn" : "bad"}>
          {event.severity}
        </Badge>
      </div>
      <dl className="facts">
        <dt>No.</dt>
        <dd>{event.seq}</dd>
        <dt>When</dt>
        <dd>{fullTime(event.at)}</dd>
        <dt>By</dt>
        <dd>
          <OutsideText text={`${event.actor_id} (${event.actor_type})`} />
        </dd>
        <dt>About</dt>
        <dd>
          {event.subject_type === "agent" ? (
            <Link href={agentPath(event.subject_id)}>
              <OutsideText text={event.subject_id} />
            </Link>
          ) : (
            <OutsideText text={`${event.subject_type} ${event.subject_id}`} />
          )}
        </dd>
        {why !== null && (
          <>
            <dt>Why</dt>
            <dd>
              <OutsideText text={why} lines />
              {message !== null && (
                <p className="muted">
                  <OutsideText text={message} lines />
                </p>
              )}
            </dd>
          </>
        )}
        <dt>Id</dt>
        <dd>
          <code>{event.event_id}</code>
          <CopyButton text={event.event_id} label="Copy the id" />
        </dd>
        <dt>Hash</dt>
        <dd>
          <code className="hash">
            <Breakable text={event.row_hash} />
          </code>
        </dd>
      </dl>
      <h3 className="small-title">Recorded with it</h3>
      {event.metadata === null ? (
        <p className="muted">Its metadata was erased; the chain of hashes is still whole.</p>
      ) : (
        <pre className="block" tabIndex={0} aria-label="Metadata as JSON">
          <OutsideText text={JSON.stringify(event.metadata, null, 2)} lines />
        </pre>
      )}
    </>
  );
}
