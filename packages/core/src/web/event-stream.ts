/** `GET /api/v1/events`: one listener of the event hub, from its request to the end of its connection or session. */
import type { ServerResponse } from "node:http";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { CoreError, EVENT_TOPICS, type EventTopic } from "@opensentience/protocol";
import type { Asked } from "./acts.ts";
import { rightOf } from "./request.ts";
import type { Domain } from "./domain.ts";
import type { Subscription } from "./event-hub.ts";
import type { LiveEvents } from "./live-events.ts";

const EVENT_STREAM = "text/event-stream";
const MAX_STREAMS = 128;
const MAX_RUNS = 8;
/** What may wait for a listener that does not read. All wait for the same memory, but for no longer than this. */
const MAX_BACKLOG_BYTES = 1024 * 1024;

/** Throws `usage.invalid`, `run.not_found`, `web.too_many_streams`, `core.degraded`. */
export function openStream(context: Asked, domain: Domain): Response {
  const { live } = domain;
  if (live === null)
    throw new CoreError("core.degraded", "Core runs without its database", { nextStep: "opensentience core status" });
  const subscription = subscriptionOf(context);
  // Who asks for the head alone gets no stream, which would have no end.
  if (context.req.method === "HEAD") return new Response(null, { headers: { "content-type": EVENT_STREAM } });
  if (live.hub.size >= MAX_STREAMS)
    throw new CoreError("web.too_many_streams", `${MAX_STREAMS} event streams are open`, {
      nextStep: "opensentience audit tail -f",
    });
  const { outgoing, caller } = context.env;
  // SECURITY: a stream must not outlive the right to it; pinned by
  // "are many, each with secrets of its own; signing out ends one".
  const ended = rightOf(caller, domain.page?.access.tokenEnded);
  connect(outgoing, live, subscription, domain.instanceId, context.req.header("last-event-id"), ended);
  return RESPONSE_ALREADY_SENT;
}

function connect(
  outgoing: ServerResponse,
  live: LiveEvents,
  subscription: Subscription,
  instanceId: string,
  lastEventId: string | undefined,
  ended: AbortSignal | undefined,
): void {
  // The head goes out with the first event: until then a refusal is still a proper answer.
  let isOpen = false;
  const send = (bytes: Buffer): boolean => {
    if (outgoing.destroyed || outgoing.writableEnded) return false;
    if (!isOpen) {
      isOpen = true;
      outgoing.writeHead(200, { "content-type": EVENT_STREAM, connection: "close" });
    }
    // SECURITY: who opens streams and reads none of them would fill Core's memory; pinned by
    // "a listener that does not read loses its stream, and nobody else notices".
    if (outgoing.writableLength > MAX_BACKLOG_BYTES) {
      outgoing.destroy();
      return false;
    }
    outgoing.write(bytes);
    return true;
  };
  const leave = live.listen({ subscription, send }, instanceId, lastEventId);
  const end = (): void => void outgoing.end();
  if (ended?.aborted === true) end();
  ended?.addEventListener("abort", end, { once: true });
  outgoing.once("close", () => {
    ended?.removeEventListener("abort", end);
    leave();
  });
}

function subscriptionOf(context: Asked): Subscription {
  const refused = (message: string): CoreError =>
    new CoreError("usage.invalid", `query: ${message}`, { nextStep: "opensentience help" });
  const topics = new Set((context.req.query("topics") ?? EVENT_TOPICS.join(",")).split(","));
  const known = new Set(EVENT_TOPICS.filter((topic) => topics.has(topic)));
  if (known.size !== topics.size) throw refused(`topics are some of ${EVENT_TOPICS.join(", ")}`);
  const runIds = new Set(context.req.queries("run_id") ?? []);
  if (runIds.size > MAX_RUNS) throw refused(`at most ${MAX_RUNS} runs can be watched on one stream`);
  const key = JSON.stringify([[...known], [...runIds].toSorted()]);
  return { topics: known satisfies Set<EventTopic>, runIds, key };
}
