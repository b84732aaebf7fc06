/**
 * Who is signed in. The cookie itself is out of reach of any script; the page knows only what Core says of the session.
 *
 * A page is opened by a link with a one-time code behind the `#`, which leaves the address bar before anything else
 * happens. A session ends with sign-out (in any tab), with the token's rotation, in time, or with Core; then every tab
 * shows the sign-in screen and keeps its place.
 */
import type { SessionJson } from "@opensentience/protocol";
import { adoptSession, call, requestSession } from "../api/client.ts";
import { Problem, toProblem } from "../api/problem.ts";
import { Store } from "../live/store.ts";

export type SessionState =
  | { state: "checking" }
  | { state: "unreachable" }
  /** `ended`: there was a session in this page before. */
  | { state: "signed-out"; ended: boolean; problem: Problem | null; busy: boolean }
  | { state: "signed-in"; session: SessionJson };

export const sessionStore = new Store<SessionState>({ state: "checking" });

const RETRY_MS = 1_500;
const otherTabs = new BroadcastChannel("opensentience-session");
let hadSession = false;
let retry: ReturnType<typeof setTimeout> | undefined;

const whenSignedIn = new Set<() => void>();

/** Calls `act` each time that Core was asked and knows the session. */
export function onSession(act: () => void): void {
  whenSignedIn.add(act);
}

/** Once, when the page starts. */
export function openSession(): void {
  otherTabs.addEventListener("message", () => void checkSession());
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
    signedIn(await call("get_session"));
  } catch (thrown) {
    const problem = toProblem(thrown);
    if (problem.status === 401) signedOut();
    else if (problem.code === "page.unreachable") {
      if (sessionStore.get().state !== "signed-in") sessionStore.set({ state: "unreachable" });
      retry = setTimeout(() => void checkSession(), RETRY_MS);
    } else sessionStore.set({ state: "signed-out", ended: hadSession, problem, busy: false });
  }
}

export async function signIn(secret: { code: string } | { token: string }): Promise<void> {
  sessionStore.set({ state: "signed-out", ended: false, problem: null, busy: true });
  try {
    signedIn(await requestSession(secret));
    otherTabs.postMessage("signed-in");
  } catch (thrown) {
    sessionStore.set({ state: "signed-out", ended: false, problem: toProblem(thrown), busy: false });
  }
}

export async function signOut(): Promise<void> {
  await call("sign_out");
  hadSession = false;
  signedOut();
  otherTabs.postMessage("signed-out");
}

/** Ends every session, this one too; the answer is of no use to a page. */
export async function rotateToken(): Promise<void> {
  await call("rotate_token");
  signedOut();
  otherTabs.postMessage("signed-out");
}

function signedIn(session: SessionJson): void {
  hadSession = true;
  adoptSession(session.csrf_token ?? "", signedOut);
  const now = sessionStore.get();
  const isSame = now.state === "signed-in" && now.session.csrf_token === session.csrf_token;
  if (!isSame) sessionStore.set({ state: "signed-in", session });
  for (const act of whenSignedIn) act();
}

function signedOut(): void {
  adoptSession("", () => {});
  sessionStore.set({ state: "signed-out", ended: hadSession, problem: null, busy: false });
}
