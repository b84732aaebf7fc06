/**
 * One event stream, opened again by itself for as long as Core is silent: what a browser's EventSource does, with the
 * secret of the page in a header, which that cannot send. Who comes back says what it had last, and gets the rest.
 */
import { requestEvents } from "../api/client.ts";
import { type ServerSentEvent, serverSentEvents } from "../api/server-sent-events.ts";

const RETRY_MS = 1_000;

/** `refused`: Core answered, but with no stream; it is not asked again. */
export type StreamState = "connecting" | "open" | "refused" | "closed";

export type StreamListener = {
  onState: (state: Exclude<StreamState, "closed">) => void;
  onEvent: (event: ServerSentEvent) => void;
};

export class EventStream {
  readonly #query: string;
  readonly #secret: string;
  readonly #listener: StreamListener;
  readonly #closing = new AbortController();
  #state: StreamState = "connecting";
  #lastEventId: string;

  /** `lastEventId` is empty for a stream that begins with now. */
  constructor(query: string, secret: string, lastEventId: string, listener: StreamListener) {
    this.#query = query;
    this.#secret = secret;
    this.#lastEventId = lastEventId;
    this.#listener = listener;
    void this.#run();
  }

  get state(): StreamState {
    return this.#state;
  }

  get lastEventId(): string {
    return this.#lastEventId;
  }

  /** Nothing is told after that. */
  close(): void {
    this.#state = "closed";
    this.#closing.abort();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    for (;;) {
      const isRefused = await this.#read().catch(() => false);
      if (signal.aborted) return;
      this.#tell(isRefused ? "refused" : "connecting");
      if (isRefused) return;
      await pause(RETRY_MS, signal);
      if (signal.aborted) return;
    }
  }

  /** Whether it was refused; false when it ended. Throws when it broke, or Core did not answer. */
  async #read(): Promise<boolean> {
    const { signal } = this.#closing;
    const response = await requestEvents(this.#query, this.#secret, this.#lastEventId, signal);
    if (response === undefined) return true;
    if (signal.aborted) return false;
    this.#tell("open");
    for await (const event of serverSentEvents(response)) {
      if (signal.aborted) return false;
      if (event.id !== "") this.#lastEventId = event.id;
      this.#listener.onEvent(event);
    }
    return false;
  }

  #tell(state: Exclude<StreamState, "closed">): void {
    this.#state = state;
    this.#listener.onState(state);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
