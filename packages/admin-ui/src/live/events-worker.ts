/** The SharedWorker of all tabs: hands what the one stream delivers to each of them. */
import { EventHub, type HubMessage, type HubRequest } from "./event-hub.ts";

const hub = new EventHub();

/** A tab says `leave` when it can; one that is killed says nothing, but then its lock is free. */
type Hello = { kind: "hello"; lock: string };

self.addEventListener("connect", (event) => {
  const port = (event as MessageEvent).ports[0];
  if (port === undefined) return;
  const listener = (message: HubMessage): void => port.postMessage(message);
  const leave = (): void => hub.handle(listener, { kind: "leave" });
  port.addEventListener("message", ({ data }: MessageEvent<HubRequest | Hello>) => {
    if (data.kind === "hello") void navigator.locks.request(data.lock, leave);
    else hub.handle(listener, data);
  });
  port.start();
});
