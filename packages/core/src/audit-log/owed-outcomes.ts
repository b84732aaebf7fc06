/**
 * Outcomes that must be recorded: the intent of an act is on record, the act is over, and the log does not take the row
 * that says how it ended (a full disk). It is written as soon as the log takes it. Who asked is told meanwhile what was
 * done, by `unrecorded`, never that nothing was.
 *
 * Each is tried again until it is written, so it is there exactly once; one that keeps failing holds up no other. When Core
 * stops nobody waits any more: what cannot be written then is closed by reconciliation at the next start, as after a crash.
 * Callers keep ids, sizes and digests in what waits here, no contents.
 */
import { CoreError, toCoreError } from "@opensentience/protocol";

/** Between two rounds of attempts, in ms. */
const RETRY_MS = 1_000;
/** Attempts of one round that may fail: on a full disk all of them would, one after the other. */
const MAX_FAILURES = 8;
/** SECURITY: a disk that is full now and then must not fill Core's memory; pinned by "owes no more than so many outcomes". */
export const MOST_OWED = 1_000;

/** True once it is on record, false when Core stops before. Never rejects. */
export type Owed = Promise<boolean>;

type Waiting = { what: string; write: () => unknown; settle: (isOnRecord: boolean) => void };

export class OwedOutcomes {
  readonly #onFault: (what: string, error: unknown) => void;
  readonly #waiting: Waiting[] = [];
  #isStopping = false;
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> = Promise.resolve();

  constructor(onFault: (what: string, error: unknown) => void) {
    this.#onFault = onFault;
  }

  /** Whether no act may begin that could end here: its intent has to be refused then. */
  get isFull(): boolean {
    return this.#waiting.length >= MOST_OWED;
  }

  /** Writes it now; undefined when that went well. `write` does all or nothing; `what`: for Core's log. */
  record(what: string, write: () => void): Owed | undefined {
    try {
      write();
      return undefined;
    } catch (error) {
      return this.add(what, write, error);
    }
  }

  /** `write` failed with `error` just now. */
  add(what: string, write: () => unknown, error: unknown): Owed {
    this.#onFault(`${what} could not be recorded yet`, error);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#waiting.push({ what, write, settle: resolve });
    if (this.#isStopping) resolve(false);
    else this.#schedule();
    return promise;
  }

  /** Core stops: whoever waits is let go at once. */
  letGo(): void {
    this.#isStopping = true;
    clearTimeout(this.#timer);
    for (const { settle } of this.#waiting) settle(false);
  }

  /** A last attempt each, after `letGo`. Whether everything is on record then. */
  async settle(): Promise<boolean> {
    await this.#round;
    await this.#tryAll(Infinity);
    for (const { what } of this.#waiting) this.#onFault(what, "is not on record; the next start of Core closes it");
    return this.#waiting.length === 0;
  }

  #schedule(): void {
    if (this.#isStopping || this.#waiting.length === 0) return;
    this.#timer ??= setTimeout(() => {
      this.#round = this.#tryAll(MAX_FAILURES).then(() => {
        this.#timer = undefined;
        this.#schedule();
      });
    }, RETRY_MS).unref();
  }

  /** In the order in which they came; those that fail come last the next time. */
  async #tryAll(maxFailures: number): Promise<void> {
    const failed: Waiting[] = [];
    for (let left = this.#waiting.length; left > 0 && failed.length < maxFailures; left--) {
      const [one] = this.#waiting;
      if (one === undefined) break;
      const isWritten = await isDone(one.write);
      this.#waiting.shift();
      if (isWritten) one.settle(true);
      else failed.push(one);
    }
    this.#waiting.push(...failed);
  }
}

async function isDone(write: () => unknown): Promise<boolean> {
  try {
    await write();
    return true;
  } catch {
    return false;
  }
}

/** What to tell of an act whose outcome is not on record: `message` says what was done and what was not. */
export function unrecorded(
  message: string,
  options: { details?: Record<string, unknown>; cause?: unknown } = {},
): CoreError {
  return new CoreError("audit.outcome_unrecorded", message, { nextStep: "opensentience audit list", ...options });
}

/** What an act failed by whose failure is not on record yet; its agent is held until then. */
export function notYetRecorded(error: unknown): CoreError {
  const { code, message, details, nextStep } = toCoreError(error);
  const until = `${message}; this is not on record yet: until it is, the agent is shown as it last was on record, and nothing else is done with it`;
  return new CoreError(code, until, { details, cause: error, ...(nextStep === undefined ? {} : { nextStep }) });
}
