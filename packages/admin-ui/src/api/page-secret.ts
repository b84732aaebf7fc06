/**
 * The secret of the page: the half of a session that its cookie is worth nothing without. Core tells it once, at sign-in,
 * and it goes with every request in a header, never in a cookie or an address.
 *
 * It lies in this origin's storage, which all tabs share and no other port can read; every request reads it there, so
 * that what one tab does to it holds for all. The cookie in turn is out of reach of scripts: who gets at one of the two,
 * by a fault in the page or by a server on another port, has nothing.
 */

/** Its name there; a change of it in one tab is an event in the others. */
export const PAGE_SECRET_KEY = "opensentience-session";

/** Beside it, where a tab ended the session by an act: which one, for the others to say. */
export const SESSION_END_KEY = "opensentience-session-end";
const SESSION_ENDS = ["signed-out", "token-changed"] as const;
export type SessionEnd = (typeof SESSION_ENDS)[number];

/** Where the browser keeps nothing for this page: holds for this tab, until it is loaded again. */
let held: string | undefined;

/** Empty where there is none. */
export function pageSecret(): string {
  if (held !== undefined) return held;
  try {
    return localStorage.getItem(PAGE_SECRET_KEY) ?? "";
  } catch {
    return "";
  }
}

export function keepPageSecret(secret: string): void {
  try {
    localStorage.setItem(PAGE_SECRET_KEY, secret);
    localStorage.removeItem(SESSION_END_KEY);
    held = undefined;
  } catch {
    held = secret;
  }
}

/** Only that one: another tab may have signed in since. */
export function forgetPageSecret(secret: string): void {
  if (held === secret) held = undefined;
  try {
    if (localStorage.getItem(PAGE_SECRET_KEY) === secret) localStorage.removeItem(PAGE_SECRET_KEY);
  } catch {
    // There is none, then.
  }
}

/** To be told before the secret goes, so that a tab that misses the secret finds it. */
export function tellSessionEnd(end: SessionEnd): void {
  try {
    localStorage.setItem(SESSION_END_KEY, end);
  } catch {
    // The other tabs share nothing with this one, then.
  }
}

/** Undefined where no tab ended the session: Core did, or the time. */
export function sessionEnd(): SessionEnd | undefined {
  try {
    return SESSION_ENDS.find((end) => end === localStorage.getItem(SESSION_END_KEY));
  } catch {
    return undefined;
  }
}

/** Whether this browser keeps things for this page, as a session needs. */
export function hasStorage(): boolean {
  try {
    localStorage.setItem(`${PAGE_SECRET_KEY}-test`, "");
    localStorage.removeItem(`${PAGE_SECRET_KEY}-test`);
    return true;
  } catch {
    return false;
  }
}
