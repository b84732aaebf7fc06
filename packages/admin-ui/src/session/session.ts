/**
 * Who is signed in. A session is two secrets: the cookie, which is out of reach of any script, and the page's own, which
 * lies in this origin's storage for all tabs (api/page-secret.ts). Whether both are there, only Core can say.
 *
 * A page is opened by a link with a one-time code behind the `#`, which leaves the address bar before anything else
 * happens. A session ends with sign-out (in any tab), with the token's rotation, in time, or with Core; then every tab
 * shows the sign-in screen and keeps its place.
 */
import type { SessionJson } from "@opensentience/protocol";
import { call, findCore, isNoSession, onSessionRefused, requestSession } from "../api/client.ts";
import {
  forgetPageSecret,
  keepPageSecret,
  PAGE_SECRET_KEY,
  pageSecret,
  SESSION_END_KEY,
  type SessionEnd,
  sessionEnd,
  tellSessionEnd,
} from "../api/page-secret.ts";
import { Problem, toProblem } from "../api/problem.ts";
import { Store } from "../live/store.ts";
import { announce } from "../shell/announcer.tsx";

export type SessionState =
  | { state: "checking" }
  | { state: "unreachable" }
  /** `ended`: there was a session in this page before; what ended it, where a tab of this browser did. */
  | { state: "signed-out"; ended: false | SessionEnd | "unknown"; problem: Problem | null; busy: boolean }
  | { state: "signed-in"; session: SessionJson };

export const sessionStore = new Store<SessionState>({ state: "checking" });

const RETRY_MS = 1_500;
const LINK_REFUSED = new Set(["web.sign_in_refused", "web.too_many_attempts"]);
let hadSession = false;
let retry: ReturnType<typeof setTimeout> | undefined;

const whenSignedIn = new Set<() => void>();

/** Calls `act` each time that Core was asked and knows the session. */
export function onSession(act: () => void): void {
  whenSignedIn.add(act);
}

const whenSignedOut = new Set<() => void>();

/** Calls `act` each time that the person ended the session, in whichever tab: nothing that was read may stay behind the sign-in. */
export function onSignedOut(act: () => void): void {
  whenSignedOut.add(act);
}

/** Once, when the page starts. */
export function openSession(): void {
  onSessionRefused(refused);
  window.addEventListener("storage", ({ key }) => {
    if (key === PAGE_SECRET_KEY || key === SESSION_END_KEY || key === null) void checkSession();
  });
  window.addEventListener("hashchange", () => {
    const code = takeCode();
    if (code !== null) void signIn({ code });
  });
  const code = takeCode();
  if (code === null) void checkSession();
  else void signIn({ code });
}

/** SECURITY: the code must not stay in the address bar or the history; pinned by "a sign-in link leaves no code in the address". */
function takeCode(): string | null {
  const found = /^#code=([^&]*)$/.exec(location.hash)?.[1];
  if (found === undefined) return null;
  history.replaceState(null, "", "#/");
  return decodeURIComponent(found);
}

/** Asks Core about the session; while Core does not answer, again and again. */
export async function checkSession(): Promise<void> {
  clearTimeout(retry);
  try {
    if (pageSecret() !== "") return signedIn(await call("get_session"));
    // Without it there is no session to ask for: only whether Core is there.
    await findCore();
    signedOut();
  } catch (thrown) {
    const problem = toProblem(thrown);
    // What that means `refused` has said.
    if (isNoSession(problem)) return;
    if (problem.code === "page.unreachable") {
      if (sessionStore.get().state !== "signed-in") sessionStore.set({ state: "unreachable" });
      retry = setTimeout(() => void checkSession(), RETRY_MS);
    } else sessionStore.set({ state: "signed-out", ended: endOfSession(), problem, busy: false });
  }
}

export async function signIn(given: { code: string } | { token: string }): Promise<void> {
  // Whoever is signed in and opens a link goes on to look at what is there.
  if (sessionStore.get().state !== "signed-in")
    sessionStore.set(
      "code" in given ? { state: "checking" } : { state: "signed-out", ended: false, problem: null, busy: true },
    );
  try {
    const { csrf_token: secret } = await requestSession(given);
    keepPageSecret(secret);
    signedIn(await call("get_session"));
  } catch (thrown) {
    const problem = toProblem(thrown);
    if (LINK_REFUSED.has(problem.code) && (await isSignedInAnyway())) return;
    sessionStore.set({
      state: "signed-out",
      ended: false,
      problem: isNoSession(problem) && !LINK_REFUSED.has(problem.code) ? cookieLost() : problem,
      busy: false,
    });
  }
}

/** A link that was used before, or lies in the history: nobody has to sign in who is signed in. */
async function isSignedInAnyway(): Promise<boolean> {
  if (pageSecret() === "") return false;
  await checkSession();
  if (sessionStore.get().state !== "signed-in") return false;
  announce("That link was used before, or is over a minute old. You are signed in all the same.");
  return true;
}

/** Core gave both secrets, and knows only one of them a moment later. */
function cookieLost(): Problem {
  return new Problem({
    code: "page.cookie_refused",
    detail:
      "Core signed you in, but your browser did not send its cookie back. Cookies may be blocked for this address, or another program on it may have set too many.",
    details: {},
    next_step: "Allow cookies for 127.0.0.1 and delete those that are there, then sign in again.",
    status: 0,
  });
}

export async function signOut(): Promise<void> {
  const secret = pageSecret();
  await call("sign_out");
  hadSession = false;
  tellSessionEnd("signed-out");
  forgetPageSecret(secret);
  signedOut("signed-out");
}

/** Ends every session, this one too; the answer is of no use to a page. */
export async function rotateToken(): Promise<void> {
  const secret = pageSecret();
  await call("rotate_token");
  tellSessionEnd("token-changed");
  forgetPageSecret(secret);
  signedOut("token-changed");
}

function signedIn(session: SessionJson): void {
  hadSession = true;
  const now = sessionStore.get();
  const isSame = now.state === "signed-in" && now.session.actor === session.actor;
  if (!isSame) sessionStore.set({ state: "signed-in", session });
  for (const act of whenSignedIn) act();
}

/** Another tab may have signed in since: then that session is the one to ask for. */
function refused(secret: string): void {
  forgetPageSecret(secret);
  if (pageSecret() === "") signedOut();
  else void checkSession();
}

/** `by`: what the person did in this tab; what was done in another one stands in the storage. */
function signedOut(by?: SessionEnd): void {
  const ended = endOfSession();
  sessionStore.set({ state: "signed-out", ended, problem: null, busy: false });
  if (by !== undefined || ended === "signed-out" || ended === "token-changed") for (const act of whenSignedOut) act();
}

function endOfSession(): false | SessionEnd | "unknown" {
  return hadSession && (sessionEnd() ?? "unknown");
}
