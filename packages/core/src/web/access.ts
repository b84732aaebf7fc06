/**
 * Who may use the web page: the token of this home, one-time codes, and the sessions that either of them begins.
 *
 * The token stands in `state/web.token`, which the operator alone can read; a code is made for somebody who already is
 * on the control socket, lives a minute and works once. Guessing either is hopeless (256 bits); wrong ones are limited
 * all the same, so that trying costs Core nothing. A right code always passes: nobody can lock the operator out by
 * trying wrong ones.
 */
import { CoreError, shortId } from "@opensentience/protocol";
import { digestOf, isSameSecret, newSecret, Sessions, type Session, type SessionEnd } from "./sessions.ts";

export const CODE_MS = 60_000;
const MAX_CODES = 64;
/** Wrong tokens and codes in a row before the rest is not looked at, and how fast that is forgotten. */
const ATTEMPTS = 10;
const ATTEMPT_EVERY_MS = 6_000;
const TOKEN = /^[A-Za-z0-9_-]{43}$/;

export type SignIn = { code: string } | { token: string };

export type AccessDeps = {
  instanceId: string;
  /** As it stands in the file; anything else than a token of ours is replaced when Core starts. */
  token: string;
  limits: { idleMs: number; maxMs: number };
  /** Replaces the file. */
  writeToken: (token: string) => Promise<void>;
  /** Nobody asked for it: the session came to its end by itself. */
  onExpired: (session: Session, reason: SessionEnd) => void;
};

type Code = { digest: Buffer; madeMs: number; forUser: number | null };

export class Access {
  readonly cookieName: string;
  readonly sessions: Sessions;
  readonly #deps: AccessDeps;
  #tokenDigest: Buffer;
  #tokenEnd = new AbortController();
  #codes: Code[] = [];
  #attempts = ATTEMPTS;
  #attemptsAtMs = performance.now();

  constructor(deps: AccessDeps) {
    this.#deps = deps;
    this.#tokenDigest = digestOf(deps.token);
    // SECURITY: cookies are shared by all ports of an address: two Cores on one machine must not end each other's
    // sessions, and a new Core must not be sent the secrets of one before it as its own.
    // Pinned by "of two Cores of one address keep apart: each cookie has its Core in its name".
    this.cookieName = `opensentience_${shortId(deps.instanceId)}`;
    this.sessions = new Sessions(deps.limits, deps.onExpired);
  }

  /** Aborted when the token of now is replaced: what streams for who showed it ends. */
  get tokenEnded(): AbortSignal {
    return this.#tokenEnd.signal;
  }

  /** Throws `web.token_refused`, `web.too_many_attempts`. */
  checkToken(token: string): void {
    this.#limitAttempts();
    if (isSameSecret(token, this.#tokenDigest)) return;
    this.#attempts -= 1;
    throw new CoreError("web.token_refused", "that is not the token of this Core", { nextStep: "opensentience open" });
  }

  /**
   * A code for one sign-in within a minute. With `forUser` only a program of that user (or root) may use it: such a
   * code is handed to a browser in its arguments, which everybody on the machine can read.
   */
  makeCode(forUser: number | null): string {
    const code = newSecret();
    this.#codes = [...this.#freshCodes(), { digest: digestOf(code), madeMs: performance.now(), forUser }].slice(
      -MAX_CODES,
    );
    return code;
  }

  /**
   * Throws `web.sign_in_refused`, `web.too_many_attempts`. `peer` is the user at the other end of the connection, if
   * that can be told; asked for only where it matters.
   */
  checkSignIn(given: SignIn, peer: () => number | undefined): void {
    if ("code" in given) {
      const code = this.#takeCode(given.code);
      if (code !== undefined && isFor(code, peer)) return;
    }
    this.#limitAttempts();
    if ("token" in given && isSameSecret(given.token, this.#tokenDigest)) return;
    this.#attempts -= 1;
    throw new CoreError("web.sign_in_refused", "that code or token does not sign in", {
      nextStep: "opensentience open",
    });
  }

  /** When the file cannot be written, the old token goes on to be right. Codes that were made before are void. */
  async replaceToken(): Promise<void> {
    this.#codes = [];
    const token = newSecret();
    await this.#deps.writeToken(token);
    this.#tokenDigest = digestOf(token);
    this.#tokenEnd.abort();
    this.#tokenEnd = new AbortController();
  }

  #takeCode(given: string): Code | undefined {
    const fresh = this.#freshCodes();
    const found = fresh.find(({ digest }) => isSameSecret(given, digest));
    // Used once, whatever comes of it.
    this.#codes = fresh.filter((code) => code !== found);
    return found;
  }

  #freshCodes(): Code[] {
    return this.#codes.filter(({ madeMs }) => performance.now() - madeMs < CODE_MS);
  }

  #limitAttempts(): void {
    const nowMs = performance.now();
    this.#attempts = Math.min(ATTEMPTS, this.#attempts + (nowMs - this.#attemptsAtMs) / ATTEMPT_EVERY_MS);
    this.#attemptsAtMs = nowMs;
    if (this.#attempts >= 1) return;
    throw new CoreError("web.too_many_attempts", "too many wrong tokens or codes; the next is looked at in a while", {
      nextStep: "opensentience open",
    });
  }
}

/** A token that this Core could have made; anything else in the file is not trusted to be one. */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

export function newToken(): string {
  return newSecret();
}

/**
 * SECURITY: somebody else on the machine reads the code in the browser's arguments and is faster than the browser;
 * pinned by "a code that was handed to a browser signs in no other user".
 */
function isFor({ forUser }: Code, peer: () => number | undefined): boolean {
  if (forUser === null) return true;
  const user = peer();
  return user === forUser || user === 0;
}
