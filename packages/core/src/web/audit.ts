/** Audit events as a stream: everything that is there, then, with `follow`, what comes. */
import type { AuditEventJson, CloudEventJson } from "@opensentience/protocol";
import type { AuditFilter, AuditLog } from "../audit-log/audit-log.ts";

export async function* followAudit(
  audit: AuditLog,
  filter: AuditFilter,
  options: { tail: number | undefined; follow: boolean; signal: AbortSignal },
): AsyncIterable<AuditEventJson> {
  let after = options.tail === undefined ? 0 : audit.tailStart(filter, options.tail);
  let wake = (): void => {};
  const unsubscribe = audit.onAppend(() => wake());
  options.signal.addEventListener("abort", () => wake(), { once: true });
  try {
    while (!options.signal.aborted) {
      const { seq: head } = audit.head;
      const events = audit.after(filter, after);
      for (const event of events) yield event;
      after = events.at(-1)?.seq ?? Math.max(after, head);
      if (events.length > 0) continue;
      if (!options.follow) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (options.signal.aborted || audit.head.seq > head) resolve();
      });
    }
  } finally {
    unsubscribe();
  }
}

export async function* cloudEvents(events: AsyncIterable<AuditEventJson>): AsyncIterable<CloudEventJson> {
  for await (const event of events) yield toCloudEvent(event);
}

/** CloudEvents 1.0: what other systems read; nothing of the event is lost, it is the `data`. */
function toCloudEvent(event: AuditEventJson): CloudEventJson {
  return {
    specversion: "1.0",
    id: event.event_id,
    source: "/opensentience/core",
    type: `org.opensentience.${event.event_type}`,
    subject: `${event.subject_type}/${event.subject_id}`,
    time: event.at,
    datacontenttype: "application/json",
    data: event,
  };
}
