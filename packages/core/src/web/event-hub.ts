/**
 * Events on their way to everybody who listens. Each is written as text once, and what goes out together is one piece
 * of memory for all who asked for the same: fifty listeners cost fifty writes, not fifty times the work.
 *
 * What went out lately is kept for a listener that comes back (`Last-Event-ID`). Where something is missing in between,
 * it is told `reset` and reads everything again; it is never left with a hole that it does not know of.
 */
import { randomBytes } from "node:crypto";
import type { EventTopic } from "@opensentience/protocol";

/** Kept for those who come back. */
const MAX_KEPT_BYTES = 4 * 1024 * 1024;
const MAX_KEPT = 5_000;

type Frame = { number: number; topic: EventTopic; runId: string | null; bytes: Buffer };

/** `key` stands for topics and runs: listeners with the same key get the same bytes. */
export type Subscription = { topics: ReadonlySet<EventTopic>; runIds: ReadonlySet<string>; key: string };
/** `send` answers false when it cannot go on, and is then asked no more. */
export type Listener = { subscription: Subscription; send: (bytes: Buffer) => boolean };

export class EventHub {
  /** Numbers of another Core, or of this one before a pause, mean nothing here. */
  readonly #epoch = randomBytes(4).toString("hex");
  readonly #listeners = new Set<Listener>();
  #kept: Frame[] = [];
  #keptBytes = 0;
  #waiting: Frame[] = [];
  #number = 0;
  /** Everything after this number is in `#kept`. */
  #completeSince = 0;

  get size(): number {
    return this.#listeners.size;
  }

  /** Goes out with the next `flush`. */
  publish(topic: EventTopic, name: string, data: unknown, runId: string | null = null): void {
    this.#number += 1;
    const bytes = this.#bytes(this.#number, name, JSON.stringify(data));
    this.#waiting.push({ number: this.#number, topic, runId, bytes });
  }

  flush(): void {
    const frames = this.#waiting;
    if (frames.length === 0) return;
    this.#waiting = [];
    this.#keep(frames);
    const bundles = new Map<string, Buffer>();
    for (const listener of this.#listeners) {
      const { subscription } = listener;
      let bundle = bundles.get(subscription.key);
      if (bundle === undefined) {
        bundle = bundleFor(frames, subscription);
        bundles.set(subscription.key, bundle);
      }
      if (bundle.length > 0 && !listener.send(bundle)) this.#listeners.delete(listener);
    }
  }

  /** To all, whatever they listen to; not kept. */
  sendAll(bytes: Buffer): void {
    for (const listener of this.#listeners) if (!listener.send(bytes)) this.#listeners.delete(listener);
  }

  /**
   * `hello` first, then what was missed since `lastEventId`, or `reset` where that is not known any more. `lastEventId`
   * is undefined for a listener that comes for the first time.
   */
  add(listener: Listener, hello: unknown, lastEventId: string | undefined): void {
    this.flush();
    const missed = lastEventId === undefined ? [] : this.#after(lastEventId);
    // Numbered as what came before it all: who leaves in the middle of the rest gets the rest again.
    const before = missed?.[0] === undefined ? this.#number : missed[0].number - 1;
    const first = [this.#bytes(before, "hello", JSON.stringify(hello))];
    if (missed === undefined) first.push(this.#bytes(this.#number, "reset", "{}"));
    else first.push(bundleFor(missed, listener.subscription));
    if (listener.send(Buffer.concat(first))) this.#listeners.add(listener);
  }

  remove(listener: Listener): void {
    this.#listeners.delete(listener);
  }

  /** From here on something may be missing, or what was sent must not be sent again: who comes back is told `reset`. */
  forget(): void {
    this.#number += 1;
    this.#completeSince = this.#number;
    this.#kept = [];
    this.#keptBytes = 0;
  }

  /** Everybody reads everything again. */
  reset(): void {
    this.#waiting = [];
    this.forget();
    this.sendAll(this.#bytes(this.#number, "reset", "{}"));
  }

  #after(lastEventId: string): Frame[] | undefined {
    const [epoch, number = ""] = lastEventId.split("-");
    const last = Number(number);
    if (epoch !== this.#epoch || !/^\d{1,15}$/.test(number)) return undefined;
    if (last < this.#completeSince || last > this.#number) return undefined;
    return this.#kept.filter((frame) => frame.number > last);
  }

  #keep(frames: readonly Frame[]): void {
    for (const frame of frames) {
      this.#kept.push(frame);
      this.#keptBytes += frame.bytes.length;
    }
    let gone = 0;
    while (this.#keptBytes > MAX_KEPT_BYTES || this.#kept.length - gone > MAX_KEPT) {
      const oldest = this.#kept[gone];
      if (oldest === undefined) break;
      this.#keptBytes -= oldest.bytes.length;
      this.#completeSince = oldest.number;
      gone += 1;
    }
    if (gone > 0) this.#kept = this.#kept.slice(gone);
  }

  #bytes(number: number, name: string, data: string): Buffer {
    return Buffer.from(`id: ${this.#epoch}-${number}\nevent: ${name}\ndata: ${data}\n\n`);
  }
}

function bundleFor(frames: readonly Frame[], { topics, runIds }: Subscription): Buffer {
  const wanted = frames.filter(({ topic, runId }) => topics.has(topic) && (runId === null || runIds.has(runId)));
  return wanted.length === 1 && wanted[0] !== undefined
    ? wanted[0].bytes
    : Buffer.concat(wanted.map(({ bytes }) => bytes));
}
