/** The page's own routes: its files, and the exchange of a code or token for a session. */
import { CoreError, signInBody, type SessionJson, type SignInJson, type SignInLinkJson } from "@opensentience/protocol";
import { SYSTEM_ACT, unrecorded, type Act } from "../audit-log/audit-log.ts";
import { killPoint } from "../host/kill-point.ts";
import { CODE_MS, type SignIn } from "./access.ts";
import { actOf, actorOf, type Asked } from "./acts.ts";
import type { Domain, Page } from "./domain.ts";
import type { Caller } from "./guard.ts";
import type { Input } from "./handlers.ts";
import type { PageFile } from "./page-files.ts";
import { checkLength, readJson } from "./request.ts";
import type { Session, SessionEnd } from "./sessions.ts";

const COOKIE = "HttpOnly; SameSite=Strict; Path=/";
const IMMUTABLE = "public, max-age=31536000, immutable";

/**
 * SECURITY: a browser may take `localhost` to [::1], where another user can hold our port: a session under that name would
 * be theirs to read, cookie and storage both; pinned by "under localhost stands at 127.0.0.1 before anybody can sign in".
 */
export function answerIndex(context: Asked, { url }: Pick<Page, "url">, file: PageFile): Response {
  const isTyped = context.req.header("sec-fetch-dest") === "document";
  if (isTyped && url.startsWith("http://127.0.0.1") && context.req.header("host")?.startsWith("localhost") === true)
    return new Response(null, { status: 307, headers: { location: url } });
  return fileAnswer(context, file, "no-store");
}

/** Undefined where there is no such file. */
export function answerAsset(context: Asked, file: PageFile | undefined): Response | undefined {
  return file === undefined ? undefined : fileAnswer(context, file, IMMUTABLE);
}

/** What is no JSON has a better answer than that. */
function noJson(error: unknown): undefined {
  if (error instanceof CoreError && error.code === "usage.invalid") return undefined;
  throw error;
}

function fileAnswer(context: Asked, file: PageFile, caching: string): Response {
  const headers = { "cache-control": caching, etag: file.etag };
  if (context.req.header("if-none-match") === file.etag) return new Response(null, { status: 304, headers });
  return new Response(file.bytes, { headers: { ...headers, "content-type": file.type } });
}

/**
 * A code or a token. SECURITY: whoever is on this machine may send it, and to take a large body apart holds everybody up.
 * Pinned by "a sign-in with a large body is refused before it is read".
 */
const MAX_SIGN_IN_BYTES = 4096;

/** Throws `usage.invalid`, `web.sign_in_refused`, `web.too_many_attempts`, `audit.unavailable`. */
export async function signIn(context: Asked, domain: Domain): Promise<Response> {
  const { access } = pageOf(domain);
  checkLength(context, MAX_SIGN_IN_BYTES);
  const given = signInBody.safeParse(await readJson(context, MAX_SIGN_IN_BYTES).catch(noJson));
  if (!given.success)
    throw new CoreError("usage.invalid", 'the body is {"code": "…"} or {"token": "…"}', {
      nextStep: "opensentience open",
    });
  const { incoming, caller } = context.env;
  access.checkSignIn(given.data as SignIn, () => domain.page?.peerUser(incoming.socket));
  // Of this browser, whether its page still has the secret or lost it.
  const before = caller.kind === "session" ? caller.session : caller.kind === "nobody" ? caller.cookieOf : null;
  if (before !== null)
    endSession(domain, before, "signed_in_again", actOf(context, domain, { kind: "session", session: before }));
  const { session, cookie, pageSecret } = access.sessions.begin((begun) =>
    domain.record({
      type: "web.signed_in",
      act: actOf(context, domain, { kind: "session", session: begun }),
      subject: domain.subject,
      metadata: {
        session: begun.id,
        method: "code" in given.data ? "code" : "token",
        expires_at: begun.expiresAt,
      },
    }),
  );
  const seconds = Math.max(0, Math.floor((Date.parse(session.expiresAt) - Date.now()) / 1000));
  context.header("set-cookie", `${access.cookieName}=${cookie}; Max-Age=${seconds}; ${COOKIE}`);
  const answer: SignInJson = { csrf_token: pageSecret, ...sessionJson(domain, { kind: "session", session }) };
  return context.json(answer);
}

/** Throws `usage.invalid` where there is no session to end. */
export function signOut(domain: Domain, { caller, act, setHeader }: Input): { signed_out: true } {
  if (caller.kind !== "session")
    throw new CoreError("usage.invalid", "the request belongs to no session", { nextStep: "opensentience open" });
  setHeader("set-cookie", `${pageOf(domain).access.cookieName}=; Max-Age=0; ${COOKIE}`);
  endSession(domain, caller.session, "signed_out", act);
  return { signed_out: true };
}

/** Throws `web.socket_only`: a session that could make links would outlive its end. */
export function makeLink(domain: Domain, caller: Caller, isForBrowser: boolean): SignInLinkJson {
  const { access, url, browserUser } = pageOf(domain);
  if (caller.kind !== "operator")
    throw new CoreError("web.socket_only", "links are made on the control socket", { nextStep: "opensentience open" });
  const user = isForBrowser ? browserUser : null;
  return { url: `${url}#code=${access.makeCode(user)}`, for_browser: user !== null, valid_ms: CODE_MS };
}

/** It ends whether or not that can be recorded: less access needs no record to be right. */
function endSession(domain: Domain, session: Session, reason: SessionEnd, act: Act): void {
  pageOf(domain).access.sessions.end(session);
  recordEnd(domain, session, reason, act);
}

export function recordEnd(
  domain: Pick<Domain, "record" | "subject">,
  session: Session,
  reason: SessionEnd,
  act: Act,
): void {
  domain.record({ type: "web.signed_out", act, subject: domain.subject, metadata: { session: session.id, reason } });
}

/** The subject of what is done to it: the same for every Core of this home. */
const TOKEN = { type: "core", id: "web.token" } as const;
const ROTATED = { type: "web.token_rotated", subject: TOKEN } as const;

/** Every session ends; nobody is signed in by it. Throws `web.disabled`, `audit.unavailable`, `audit.outcome_unrecorded`. */
export async function rotateToken(domain: Domain, act: Act): Promise<{ sessions_ended: number; token_path: string }> {
  const { access, tokenPath } = pageOf(domain);
  const own = { ...act, causationId: domain.record({ ...ROTATED, act, outcome: "unknown" }) };
  killPoint("token.intent_recorded");
  const ended = access.sessions.endAll();
  try {
    await access.replaceToken();
  } catch (error) {
    void domain.audit?.owed.record("that the token was not replaced", () => {
      domain.record({ ...ROTATED, act: own, outcome: "failed" });
    });
    throw error;
  }
  killPoint("token.replaced");
  const owed = [
    ...ended.map((session) => (): void => recordEnd(domain, session, "token_rotated", own)),
    (): void => void domain.record({ ...ROTATED, act: own, metadata: { sessions_ended: ended.length } }),
  ].map((write) => domain.audit?.owed.record("the new token of the page", write));
  if (owed.some((one) => one !== undefined))
    throw unrecorded(`the token in ${tokenPath} is a new one and every session has ended, which is not on record yet`);
  return { sessions_ended: ended.length, token_path: tokenPath };
}

/** Before the door opens: whatever an earlier Core that was lost in the middle left, the token of before is void. */
export async function finishRotation(domain: Domain): Promise<void> {
  const begun = domain.services?.audit.newestAbout(TOKEN);
  if (begun?.outcome !== "unknown") return;
  const { event_id: causationId, correlation_id: correlationId } = begun;
  await pageOf(domain).access.replaceToken();
  domain.record({ ...ROTATED, act: { ...SYSTEM_ACT, correlationId, causationId }, metadata: { sessions_ended: 0 } });
}

/** SECURITY: neither secret of the session is told again: who has one must not get the other; pinned by "the session's own route tells no secret". */
export function sessionJson(domain: Domain, caller: Caller): SessionJson {
  const session = caller.kind === "session" ? caller.session : undefined;
  return {
    instance_id: domain.instanceId,
    actor: actorOf(caller, domain).id,
    expires_at: session?.expiresAt ?? null,
  };
}

/** Throws `web.disabled`. */
function pageOf(domain: Domain): Page {
  if (domain.page !== null) return domain.page;
  throw new CoreError("web.disabled", "the web page is switched off", {
    nextStep: "opensentience core restart --set web.enabled=true",
  });
}
