/** The output of runs that somebody watches: each followed once, however many watch it. */
import type { Launcher } from "../launcher/launcher.ts";
import { followLog, type LogRecord } from "../logs/logs.ts";

const TOGETHER_MS = 100;
/** Of one event. */
const MAX_RECORDS = 1_000;
const MAX_BYTES = 256 * 1024;
/** So many full events in a row, and what was not read yet is skipped: nobody reads that fast, and live means now. */
const MAX_FULL = 5;

type Send = (runId: string, records: readonly LogRecord[], isSkipped: boolean) => void;
type Followed = { watchers: number; controller: AbortController };

export class FollowedLogs {
  readonly #launcher: Launcher;
  readonly #send: Send;
  readonly #followed = new Map<string, Followed>();

  constructor(launcher: Launcher, send: Send) {
    this.#launcher = launcher;
    this.#send = send;
  }

  /** From now on; call the answer to stop. Of a run that has ended nothing comes. */
  watch(runId: string, onFault: (what: string, error: unknown) => void): () => void {
    const followed = this.#followed.get(runId) ?? this.#follow(runId, onFault);
    followed.watchers += 1;
    return () => {
      followed.watchers -= 1;
      if (followed.watchers === 0) this.#end(runId, followed);
    };
  }

  #follow(runId: string, onFault: (what: string, error: unknown) => void): Followed {
    const followed = { watchers: 0, controller: new AbortController() };
    this.#followed.set(runId, followed);
    this.#read(runId, followed.controller.signal)
      .catch((error: unknown) => onFault(`the output of ${runId} could not be followed`, error))
      .finally(() => this.#end(runId, followed));
    return followed;
  }

  #end(runId: string, followed: Followed): void {
    followed.controller.abort();
    if (this.#followed.get(runId) === followed) this.#followed.delete(runId);
  }

  async #read(runId: string, signal: AbortSignal): Promise<void> {
    const { log_path: path } = this.#launcher.get(runId);
    if (path === null) return;
    const batch = new Batch((records, isSkipped) => this.#send(runId, records, isSkipped));
    let isOver = false;
    while (!isOver && !signal.aborted) {
      isOver = true;
      const isLive = (): boolean => this.#launcher.isLive(runId);
      for await (const record of followLog(path, { tail: 0, signal, isLive })) {
        await batch.add(record);
        if (!batch.isBehind) continue;
        batch.skip();
        isOver = false;
        break;
      }
    }
    batch.end();
  }
}

/** Collects for a moment, then hands on; who adds too much waits for that moment. */
class Batch {
  readonly #send: (records: readonly LogRecord[], isSkipped: boolean) => void;
  #records: LogRecord[] = [];
  #bytes = 0;
  #full = 0;
  #isSkipped = false;
  #timer: NodeJS.Timeout | undefined;
  #sent = Promise.withResolvers<void>();

  constructor(send: (records: readonly LogRecord[], isSkipped: boolean) => void) {
    this.#send = send;
  }

  get isBehind(): boolean {
    return this.#full >= MAX_FULL;
  }

  async add(record: LogRecord): Promise<void> {
    this.#records.push(record);
    this.#bytes += record.line.length;
    this.#timer ??= setTimeout(() => this.#flush(), TOGETHER_MS);
    if (this.#records.length < MAX_RECORDS && this.#bytes < MAX_BYTES) return;
    this.#full += 1;
    await this.#sent.promise;
  }

  skip(): void {
    this.#full = 0;
    this.#isSkipped = true;
  }

  end(): void {
    this.#flush();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const isFull = this.#records.length >= MAX_RECORDS || this.#bytes >= MAX_BYTES;
    if (!isFull) this.#full = 0;
    if (this.#records.length > 0) {
      this.#send(this.#records, this.#isSkipped);
      this.#isSkipped = false;
    }
    [this.#records, this.#bytes] = [[], 0];
    this.#sent.resolve();
    this.#sent = Promise.withResolvers<void>();
  }
}
