/**
 * Idempotency keys: a call with a key that its caller used before gives the outcome of the first one, not a second effect.
 * Kept in memory for a while and up to a size, and gone with Core: contents of calls are never stored.
 */
import { CoreError } from "@opensentience/protocol";
import type { Owed } from "../audit-log/audit-log.ts";

/** How long an outcome is remembered, in ms. */
const KEPT_MS = 600_000;
const MAX_KEPT = 1_000;
/** Of all that are kept; one output alone may be 3 MiB. */
const MAX_BYTES = 33_554_432;

/** `bytes`: of the outcome, once there is one. */
type Entry<T> = { inputDigest: string; outcome: Promise<T>; atMs: number; bytes: number };

/** The act was carried out and came to `value`, which nobody is given before it is `recorded`. `audit.outcome_unrecorded`. */
export class OwedAnswer<T> extends CoreError {
  readonly value: T;
  readonly recorded: Owed;

  constructor(
    message: string,
    { value, recorded }: { value: T; recorded: Owed },
    options: { details: Record<string, unknown>; nextStep: string; cause: unknown },
  ) {
    super("audit.outcome_unrecorded", message, options);
    this.value = value;
    this.recorded = recorded;
  }
}

type FirstOrAgain<T> = { act: () => Promise<T>; repeat: (outcome: Promise<T>) => Promise<T> };

export class RecordedOutcomes<T> {
  readonly #entries = new Map<string, Entry<T>>();
  readonly #sizeOf: (outcome: T) => number;
  #bytes = 0;

  /** `sizeOf` an outcome, in bytes. */
  constructor(sizeOf: (outcome: T) => number) {
    this.#sizeOf = sizeOf;
  }

  /**
   * What `repeat` makes of the outcome recorded for `key`, or the outcome of `act`. A key whose call was refused before it was sent (`act` rejects) is free
   * again; one whose outcome is owed is not, and has that outcome once it is on record. Throws `tool.invalid_input` when the key came with another input.
   */
  once(key: string, inputDigest: string, { act, repeat }: FirstOrAgain<T>): Promise<T> {
    const nowMs = performance.now();
    this.#forget(nowMs);
    const known = this.#entries.get(key);
    if (known !== undefined) {
      if (known.inputDigest === inputDigest) return repeat(known.outcome);
      throw new CoreError("tool.invalid_input", "the idempotency key was used with another input");
    }
    const outcome = act();
    const entry = { inputDigest, outcome, atMs: nowMs, bytes: 0 };
    this.#entries.set(key, entry);
    outcome.then(
      (value) => this.#grow(key, entry, this.#sizeOf(value)),
      (error: unknown) =>
        error instanceof OwedAnswer ? this.#await(key, entry, error as OwedAnswer<T>) : this.#drop(key, entry),
    );
    return outcome;
  }

  /** Until then whoever comes with the key is told the same. */
  #await(key: string, entry: Entry<T>, { value, recorded }: OwedAnswer<T>): void {
    this.#grow(key, entry, this.#sizeOf(value));
    void recorded.then((isOnRecord) => {
      if (isOnRecord) entry.outcome = Promise.resolve(value);
    });
  }

  /** SECURITY: who calls with keys must not fill Core's memory with outputs. Pinned by "large outcomes go sooner". */
  #grow(key: string, entry: Entry<T>, bytes: number): void {
    if (this.#entries.get(key) !== entry) return;
    entry.bytes = bytes;
    this.#bytes += bytes;
    for (const [oldest, one] of this.#entries) {
      if (this.#bytes <= MAX_BYTES) return;
      // One that is under way holds nothing yet, and must not happen twice.
      if (one.bytes > 0) this.#drop(oldest, one);
    }
  }

  /** Oldest first, which is the order of a Map. */
  #forget(nowMs: number): void {
    for (const [key, entry] of this.#entries) {
      if (this.#entries.size < MAX_KEPT && nowMs - entry.atMs < KEPT_MS) return;
      this.#drop(key, entry);
    }
  }

  #drop(key: string, entry: Entry<T>): void {
    if (this.#entries.get(key) !== entry) return;
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
  }
}
