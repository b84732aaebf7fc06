/**
 * What the guard refuses, as rows of the audit log. A hostile page can send thousands of requests in a second, and each
 * row of severity `security` is sealed by a signature: the first of a kind are recorded one by one, the rest as a
 * number once in a while.
 */
import type { CoreError } from "@opensentience/protocol";

/** Of one code, one by one, in one window; what comes then is counted. */
const ONE_BY_ONE = 10;
const WINDOW_MS = 60_000;

type Kind = { recorded: number; counted: number; timer: NodeJS.Timeout; error: CoreError };

export type RecordDenial = (error: CoreError, requestId: string | null, count: number) => void;

export class Denials {
  readonly #record: RecordDenial;
  readonly #kinds = new Map<string, Kind>();

  /** `requestId` is null and `count` over 1 where several are told of at once. */
  constructor(record: RecordDenial) {
    this.#record = record;
  }

  note(error: CoreError, requestId: string): void {
    let kind = this.#kinds.get(error.code);
    if (kind === undefined) {
      const timer = setTimeout(() => this.#close(error.code), WINDOW_MS).unref();
      kind = { recorded: 0, counted: 0, timer, error };
      this.#kinds.set(error.code, kind);
    }
    if (kind.recorded < ONE_BY_ONE) {
      kind.recorded += 1;
      this.#record(error, requestId, 1);
    } else kind.counted += 1;
  }

  /** Before Core stops: nothing that was counted is lost. */
  flush(): void {
    for (const code of this.#kinds.keys()) this.#close(code);
  }

  #close(code: string): void {
    const kind = this.#kinds.get(code);
    if (kind === undefined) return;
    clearTimeout(kind.timer);
    this.#kinds.delete(code);
    if (kind.counted > 0) this.#record(kind.error, null, kind.counted);
  }
}
