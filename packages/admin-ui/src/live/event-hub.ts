/**
 * The one event stream of a browser and who listens to it. Browsers allow six connections per host over HTTP/1.1, so
 * ten open tabs must not hold ten streams. The hub runs in a SharedWorker (events-worker.ts), or in the page itself
 * where there is none.
 *
 * The stream's query names the runs whose output somebody watches. When that set changes, the new stream is opened
 * before the old one is closed, and what both deliver is handed on once, by its id.
 * A stream that was refused is not opened again by the hub: a page asks Core about the session first, then says so, with
 * the secret of the page, which a worker cannot read for itself.
 */
import type { StreamEventJson } from "@opensentience/protocol";
import type { ServerSentEvent } from "../api/server-sent-events.ts";
import { EventStream, type StreamState } from "./event-stream.ts";

export type EventName = StreamEventJson["event"];

/** `text` is the event's data as it came: a page reads it, the worker has no need to. */
export type HubMessage =
  | { kind: "event"; name: EventName; text: string }
  | { kind: "state"; state: "open" | "retrying" | "refused" };
export type HubRequest = { kind: "watch"; runIds: string[] } | { kind: "open"; secret: string } | { kind: "leave" };
export type Listener = (message: HubMessage) => void;

const TOPICS = "catalog,runs,audit,metrics";
/** More runs than that are not watched at once; the last asked for win. */
const MAX_RUNS = 8;
const OVERLAP_MS = 500;
const MAX_SEEN = 2_000;

const SAID = { open: "open", connecting: "retrying", refused: "refused" } as const satisfies Partial<
  Record<StreamState, string>
>;

export class EventHub {
  readonly #listeners = new Map<Listener, string[]>();
  #stream: EventStream | undefined;
  /** Of `#stream`. */
  #query = "";
  #secret = "";
  #seen = new Set<string>();

  handle(listener: Listener, request: HubRequest): void {
    if (request.kind === "leave") this.#listeners.delete(listener);
    else if (request.kind === "watch") this.#listeners.set(listener, request.runIds);
    else this.#listeners.set(listener, this.#listeners.get(listener) ?? []);
    this.#connect(request.kind === "open" ? request.secret : undefined);
  }

  /** `secret` is given where a page knows that there is a session. */
  #connect(secret: string | undefined): void {
    if (this.#listeners.size === 0) return this.#close();
    const runIds = [...new Set([...this.#listeners.values()].flat())].slice(-MAX_RUNS).toSorted();
    const asked = new URLSearchParams({ topics: runIds.length === 0 ? TOPICS : `${TOPICS},logs` });
    for (const runId of runIds) asked.append("run_id", runId);
    const query = asked.toString();
    const isAsked = secret !== undefined;
    const isRefused = this.#stream === undefined || this.#stream.state === "refused";
    const isSame = query === this.#query && (!isAsked || secret === this.#secret);
    if (isRefused ? !isAsked : isSame) {
      if (isAsked && this.#stream?.state === "open") this.#tell({ kind: "state", state: "open" });
      return;
    }
    this.#query = query;
    this.#secret = secret ?? this.#secret;
    this.#open();
  }

  #open(): void {
    const before = this.#stream;
    // Whoever listens already has what `hello` would tell; only a stream after a silence says it again.
    const isSwitch = before?.state === "open";
    const lastEventId = isSwitch ? "" : (before?.lastEventId ?? "");
    let isFirst = true;
    const stream = new EventStream(this.#query, this.#secret, lastEventId, {
      onState: (state) => {
        // What the old stream still has on its way is let in.
        if (before !== undefined) setTimeout(() => before.close(), state === "open" ? OVERLAP_MS : 0);
        if (stream === this.#stream) this.#tell({ kind: "state", state: SAID[state] });
      },
      onEvent: (event) => {
        const isHello = event.name === "hello";
        const isKnown = isHello ? isSwitch && isFirst : this.#isSeen(event.id);
        if (isHello) isFirst = false;
        if (!isKnown) this.#hand(event);
      },
    });
    this.#stream = stream;
  }

  #hand({ name, data }: ServerSentEvent): void {
    this.#tell({ kind: "event", name: name as EventName, text: data });
  }

  /** Each event has an id of its own, the same on every stream. */
  #isSeen(id: string): boolean {
    if (id === "") return false;
    if (this.#seen.has(id)) return true;
    this.#seen.add(id);
    if (this.#seen.size > MAX_SEEN) this.#seen = new Set([...this.#seen].slice(-MAX_SEEN / 2));
    return false;
  }

  #close(): void {
    this.#stream?.close();
    this.#stream = undefined;
    this.#query = "";
    this.#secret = "";
  }

  #tell(message: HubMessage): void {
    for (const listener of this.#listeners.keys()) listener(message);
  }
}
