/**
 * Sessions of the web page: in memory only, so they end with Core at the latest. Each has two secrets, handed out once
 * and known to Core as digests alone: its cookie, which no script can read but which the browser sends to every port of
 * this address, and the page's own, which the page keeps in the storage of its origin, where no other port can read it.
 * Neither is worth anything without the other.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { newId, shortId } from "@opensentience/protocol";

/** Far more than an operator has browsers; beyond it the one that was not used for longest ends. */
const MAX_SESSIONS = 64;

export type SessionEnd = "signed_out" | "expired" | "idle" | "signed_in_again" | "token_rotated" | "too_many";

export type Session = {
  /** Names it in the audit log; gives nobody access. */
  readonly id: string;
  readonly expiresAt: string;
  /** Aborted when it ends: what streams for it ends, too. */
  readonly ended: AbortSignal;
};

type Kept = Session & { key: string; pageDigest: Buffer; begun: Moment; used: Moment; controller: AbortController };

/** The monotonic clock stands still while the machine sleeps, the other may be set: whichever says more counts. */
type Moment = { monotonicMs: number; wallMs: number };

export class Sessions {
  readonly #limits: { idleMs: number; maxMs: number };
  readonly #onExpired: (session: Session, reason: SessionEnd) => void;
  /** By digest of the cookie. */
  readonly #kept = new Map<string, Kept>();
  #timer: NodeJS.Timeout | undefined;

  constructor(limits: { idleMs: number; maxMs: number }, onExpired: (session: Session, reason: SessionEnd) => void) {
    this.#limits = limits;
    this.#onExpired = onExpired;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** Neither secret is kept. `prepare` may throw, then there is no session. */
  begin(prepare: (session: Session) => void): { session: Session; cookie: string; pageSecret: string } {
    const [cookie, pageSecret] = [newSecret(), newSecret()];
    const controller = new AbortController();
    const begun = now();
    const kept: Kept = {
      id: shortId(newId("ses")),
      key: digestOf(cookie).toString("hex"),
      pageDigest: digestOf(pageSecret),
      expiresAt: new Date(begun.wallMs + this.#limits.maxMs).toISOString(),
      ended: controller.signal,
      begun,
      used: begun,
      controller,
    };
    prepare(kept);
    if (this.#kept.size >= MAX_SESSIONS) this.#expire(leastUsed(this.#kept.values()), "too_many");
    this.#kept.set(kept.key, kept);
    this.#watch();
    return { session: kept, cookie, pageSecret };
  }

  /** The live session that the cookie names, which proves nothing and is no use of it: see `isProven`. */
  find(cookie: string): Session | undefined {
    const kept = this.#kept.get(digestOf(cookie).toString("hex"));
    if (kept === undefined) return undefined;
    const end = this.#due(kept);
    if (end !== undefined) {
      this.#expire(kept, end);
      return undefined;
    }
    return kept;
  }

  /** Whether the page's secret belongs to the session that a cookie named; if so, that counts as use. */
  isProven(session: Session, pageSecret: string): boolean {
    const kept = [...this.#kept.values()].find((one) => one === session);
    if (kept === undefined || !isSameSecret(pageSecret, kept.pageDigest)) return false;
    kept.used = now();
    return true;
  }

  end(session: Session): void {
    for (const kept of this.#kept.values()) if (kept === session) this.#remove(kept);
  }

  endAll(): Session[] {
    const all = [...this.#kept.values()];
    for (const kept of all) this.#remove(kept);
    return all;
  }

  #remove(kept: Kept): void {
    this.#kept.delete(kept.key);
    kept.controller.abort();
  }

  #expire(kept: Kept | undefined, reason: SessionEnd): void {
    if (kept === undefined) return;
    this.#remove(kept);
    this.#onExpired(kept, reason);
  }

  #due(kept: Kept): SessionEnd | undefined {
    if (since(kept.begun) >= this.#limits.maxMs) return "expired";
    return since(kept.used) >= this.#limits.idleMs ? "idle" : undefined;
  }

  /** A stream sends nothing that could show that its session is over its time, so somebody has to look. */
  #watch(): void {
    clearTimeout(this.#timer);
    if (this.#kept.size === 0) return;
    const { idleMs, maxMs } = this.#limits;
    const left = [...this.#kept.values()].map(({ begun, used }) =>
      Math.min(maxMs - since(begun), idleMs - since(used)),
    );
    this.#timer = setTimeout(
      () => {
        for (const kept of this.#kept.values()) {
          const end = this.#due(kept);
          if (end !== undefined) this.#expire(kept, end);
        }
        this.#watch();
      },
      Math.max(1, Math.ceil(Math.min(...left))),
    ).unref();
  }
}

export function newSecret(): string {
  return randomBytes(32).toString("base64url");
}

export function digestOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** SECURITY: how long a comparison takes must not tell how much of a guess was right; both sides are digests of one length; pinned by "secrets of any length are compared by digests of one length". */
export function isSameSecret(given: string, digest: Buffer): boolean {
  return timingSafeEqual(digestOf(given), digest);
}

function now(): Moment {
  return { monotonicMs: performance.now(), wallMs: Date.now() };
}

function since(moment: Moment): number {
  return Math.max(performance.now() - moment.monotonicMs, Date.now() - moment.wallMs);
}

function leastUsed(all: Iterable<Kept>): Kept | undefined {
  return [...all].toSorted((a, b) => a.used.monotonicMs - b.used.monotonicMs)[0];
}
