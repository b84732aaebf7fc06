/** The page's end of the event stream: one connection to the hub, and who in the page wants to hear what. */
import type { StreamEventJson } from "@opensentience/protocol";
import { pageSecret } from "../api/page-secret.ts";
import { checkSession, onSession } from "../session/session.ts";
import { EventHub, type EventName, type HubMessage, type HubRequest } from "./event-hub.ts";
import { Store } from "./store.ts";

/** `lost`: nothing arrives at the moment, what is shown may be old. */
export const connectionStore = new Store<"connecting" | "live" | "lost">("connecting");

const REFUSED_MS = 500;

type EventData<N extends EventName> = Extract<StreamEventJson, { event: N }>["data"];
type Handler = (data: never) => void;

const handlers = new Map<EventName, Set<Handler>>();
const watchedRuns = new Map<symbol, string>();
let send: ((request: HubRequest) => void) | undefined;

/** Once, when the page starts: the stream is asked for whenever there is a session, until it is there. */
export function openEvents(): void {
  onSession(() => {
    send ??= connect();
    send({ kind: "open", secret: pageSecret() });
    if (watchedRuns.size > 0) sendWatched();
  });
}

/** Calls `handler` with the data of each event of that name until the answer is called. */
export function onEvent<N extends EventName>(name: N, handler: (data: EventData<N>) => void): () => void {
  const all = handlers.get(name) ?? new Set();
  handlers.set(name, all.add(handler));
  return () => all.delete(handler);
}

/** Asks for the `log` events of a run until the answer is called. */
export function watchRun(runId: string): () => void {
  const key = Symbol(runId);
  watchedRuns.set(key, runId);
  sendWatched();
  return () => {
    watchedRuns.delete(key);
    sendWatched();
  };
}

function sendWatched(): void {
  send?.({ kind: "watch", runIds: [...new Set(watchedRuns.values())] });
}

function connect(): (request: HubRequest) => void {
  if (typeof SharedWorker === "undefined") {
    const hub = new EventHub();
    return (request) => hub.handle(receive, request);
  }
  const { port } = new SharedWorker(new URL("./events-worker.ts", import.meta.url), { type: "module" });
  port.addEventListener("message", ({ data }: MessageEvent<HubMessage>) => receive(data));
  port.start();
  const lock = `opensentience-tab-${crypto.randomUUID()}`;
  // Held for as long as the tab lives: the worker waits for it to know when the tab is gone.
  void navigator.locks.request(lock, () => {
    port.postMessage({ kind: "hello", lock });
    return new Promise(() => {});
  });
  window.addEventListener("pagehide", () => port.postMessage({ kind: "leave" }));
  window.addEventListener("pageshow", ({ persisted }) => {
    if (persisted) void checkSession();
  });
  return (request) => port.postMessage(request);
}

function receive(message: HubMessage): void {
  if (message.kind === "event") {
    const data = JSON.parse(message.text) as never;
    for (const handler of handlers.get(message.name) ?? []) handler(data);
    return;
  }
  if (message.state === "open") return connectionStore.set("live");
  connectionStore.set("lost");
  // Another Core, no session, or too many streams: only Core knows which.
  if (message.state === "refused") setTimeout(() => void checkSession(), REFUSED_MS);
}
