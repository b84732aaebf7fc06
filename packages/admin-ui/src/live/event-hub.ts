/**
 * The one event stream of a browser and who listens to it. Browsers allow six connections per host over HTTP/1.1, so
 * ten open tabs must not hold ten streams. The hub runs in a SharedWorker (events-worker.ts), or in the page itself
 * where there is none.
 *
 * The stream's address names the runs whose output somebody watches. When that set changes, the new stream is opened
 * before the old one is closed, and what both deliver is handed on once, by its id.
 * A stream that was refused is not opened again by the hub: a page asks Core about the session first, then says so.
 */
import type { StreamEventJson } from "@opensentience/protocol";

export type EventName = StreamEventJson["event"];
const EVENT_NAMES: readonly EventName[] = ["hello", "catalog", "runs", "audit", "metrics", "log", "reset"];

/** `text` is the event's data as it came: a page reads it, the worker has no need to. */
export type HubMessage =
  | { kind: "event"; name: EventName; text: string }
  | { kind: "state"; state: "open" | "retrying" | "refused" };
export type HubRequest = { kind: "watch"; runIds: string[] } | { kind: "open" } | { kind: "leave" };
export type Listener = (message: HubMessage) => void;

const TOPICS = "catalog,runs,audit,metrics";
/** More runs than that are not watched at once; the last asked for win. */
const MAX_RUNS = 8;
const OVERLAP_MS = 500;
const MAX_SEEN = 2_000;

export class EventHub {
  readonly #listeners = new Map<Listener, string[]>();
  #source: EventSource | undefined;
  #address = "";
  #seen = new Set<string>();

  handle(listener: Listener, request: HubRequest): void {
    if (request.kind === "leave") this.#listeners.delete(listener);
    else if (request.kind === "watch") this.#listeners.set(listener, request.runIds);
    else this.#listeners.set(listener, this.#listeners.get(listener) ?? []);
    this.#connect(request.kind === "open");
  }

  #connect(isAsked: boolean): void {
    if (this.#listeners.size === 0) return this.#close();
    const runIds = [...new Set([...this.#listeners.values()].flat())].slice(-MAX_RUNS).toSorted();
    const query = new URLSearchParams({ topics: runIds.length === 0 ? TOPICS : `${TOPICS},logs` });
    for (const runId of runIds) query.append("run_id", runId);
    const address = `/api/v1/events?${query.toString()}`;
    const isRefused = this.#source?.readyState === EventSource.CLOSED;
    if (address === this.#address && this.#source !== undefined && !(isAsked && isRefused)) {
      if (isAsked && this.#source.readyState === EventSource.OPEN) this.#tell({ kind: "state", state: "open" });
      return;
    }
    if (isRefused && !isAsked) return;
    this.#address = address;
    this.#open(address);
  }

  #open(address: string): void {
    const before = this.#source;
    // Whoever listens already has what `hello` would tell; only a stream after a silence says it again.
    const isSwitch = before?.readyState === EventSource.OPEN;
    const source = new EventSource(address);
    this.#source = source;
    source.addEventListener("open", () => {
      // What the old stream still has on its way is let in.
      if (before !== undefined) setTimeout(() => before.close(), OVERLAP_MS);
      if (source === this.#source) this.#tell({ kind: "state", state: "open" });
    });
    source.addEventListener("error", () => {
      before?.close();
      if (source !== this.#source) return;
      this.#tell({ kind: "state", state: source.readyState === EventSource.CLOSED ? "refused" : "retrying" });
    });
    let isFirst = true;
    for (const name of EVENT_NAMES) {
      source.addEventListener(name, ({ data, lastEventId }: MessageEvent<string>) => {
        const isKnown = name === "hello" ? isSwitch && isFirst : this.#isSeen(lastEventId);
        if (name === "hello") isFirst = false;
        if (!isKnown) this.#tell({ kind: "event", name, text: data });
      });
    }
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
    this.#source?.close();
    this.#source = undefined;
    this.#address = "";
  }

  #tell(message: HubMessage): void {
    for (const listener of this.#listeners.keys()) listener(message);
  }
}
