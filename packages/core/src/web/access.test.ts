/** Codes, the token and sessions in time; over HTTP they are tried in tests/integration/web-sign-in.test.ts. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Access, newToken, type AccessDeps } from "./access.ts";
import { digestOf, isSameSecret, type SessionEnd } from "./sessions.ts";

const MINUTE_MS = 60_000;
const IDLE_MS = 10 * MINUTE_MS;
const MAX_MS = 60 * MINUTE_MS;

let ended: [string, SessionEnd][];
let token: string;
let written: string[];
let access: Access;
beforeEach(() => {
  vi.useFakeTimers();
  ended = [];
  written = [];
  token = newToken();
  access = made({});
});
afterEach(() => {
  vi.useRealTimers();
});

function made(changes: Partial<AccessDeps>): Access {
  return new Access({
    instanceId: "core_01a20389-8f95-7765-84fa-9f061f0d9d76",
    token,
    limits: { idleMs: IDLE_MS, maxMs: MAX_MS },
    writeToken: async (next) => void written.push(next),
    onExpired: ({ id }, reason) => void ended.push([id, reason]),
    ...changes,
  });
}

const nobody = (): undefined => undefined;
const isUsed = ({ cookie, pageSecret }: ReturnType<typeof begin>): boolean => {
  const found = access.sessions.find(cookie);
  return found !== undefined && access.sessions.isProven(found, pageSecret);
};
const begin = (): ReturnType<Access["sessions"]["begin"]> => access.sessions.begin(() => {});
const refused = expect.objectContaining({ code: "web.sign_in_refused" }) as Error;
const held = expect.objectContaining({ code: "web.too_many_attempts" }) as Error;

test("a code works once, and for a minute", () => {
  const [first, second] = [access.makeCode(null), access.makeCode(null)];
  access.checkSignIn({ code: first }, nobody);
  expect(() => access.checkSignIn({ code: first }, nobody)).toThrow(refused);
  vi.advanceTimersByTime(MINUTE_MS - 1);
  access.checkSignIn({ code: second }, nobody);
  const third = access.makeCode(null);
  vi.advanceTimersByTime(MINUTE_MS);
  expect(() => access.checkSignIn({ code: third }, nobody)).toThrow(refused);
});

test("a code that was handed to a browser signs in no other user", () => {
  for (const [peer, isRight] of [
    [1000, true],
    [0, true],
    [1001, false],
    [undefined, false],
  ] as const) {
    const code = access.makeCode(1000);
    const signIn = (): void => access.checkSignIn({ code }, () => peer);
    if (isRight) expect(signIn).not.toThrow();
    else expect(signIn).toThrow(refused);
    // Used up, whatever came of it.
    expect(() => access.checkSignIn({ code }, () => 1000)).toThrow(refused);
    vi.advanceTimersByTime(MINUTE_MS);
  }
});

test("ten wrong ones, and the rest is not looked at for a while, but for a right code", () => {
  for (let count = 0; count < 10; count += 1) expect(() => access.checkToken("x")).toThrow(/not the token/);
  expect(() => access.checkToken(token)).toThrow(held);
  expect(() => access.checkSignIn({ token }, nobody)).toThrow(held);
  expect(() => access.checkSignIn({ code: "x" }, nobody)).toThrow(held);
  access.checkSignIn({ code: access.makeCode(null) }, nobody);
  vi.advanceTimersByTime(6_000);
  access.checkToken(token);
  expect(() => access.checkToken("x")).toThrow(/not the token/);
  expect(() => access.checkToken(token)).toThrow(held);
});

test("right ones are never held up by their number", () => {
  expect(() => {
    for (let count = 0; count < 1_000; count += 1) access.checkToken(token);
  }).not.toThrow();
});

test("a session that is used lives to its end, one that is not ends before", () => {
  const used = begin();
  const unused = begin();
  for (let minute = 0; minute < 59; minute += 1) {
    vi.advanceTimersByTime(MINUTE_MS);
    expect(isUsed(used)).toBe(true);
    // Who has the cookie alone keeps no session alive.
    access.sessions.find(unused.cookie);
    expect(access.sessions.size).toBe(minute < 9 ? 2 : 1);
  }
  expect([unused.session.ended.aborted, used.session.ended.aborted]).toEqual([true, false]);
  // Nobody asks: its streams end all the same.
  vi.advanceTimersByTime(MINUTE_MS);
  expect(used.session.ended.aborted).toBe(true);
  expect(ended).toEqual([
    [unused.session.id, "idle"],
    [used.session.id, "expired"],
  ]);
});

test("a session is proven by the secret that was made with its cookie, and by nothing else", () => {
  const [mine, other] = [begin(), begin()];
  const found = access.sessions.find(mine.cookie);
  expect(found?.id).toBe(mine.session.id);
  const given = [mine.pageSecret, other.pageSecret, mine.cookie, mine.session.id, "", `${mine.pageSecret}x`];
  expect(given.map((secret) => access.sessions.isProven(mine.session, secret))).toEqual([
    true,
    ...given.slice(1).map(() => false),
  ]);
  expect(access.sessions.find(mine.pageSecret)).toBeUndefined();
  expect(JSON.stringify([mine.session, ...Object.values(mine.session)])).not.toContain(mine.pageSecret);
  access.sessions.end(mine.session);
  expect(access.sessions.isProven(mine.session, mine.pageSecret)).toBe(false);
});

test("a clock that was set forward ends sessions, one that was set back keeps none alive", () => {
  const forward = begin();
  vi.setSystemTime(Date.now() + MAX_MS);
  expect(access.sessions.find(forward.cookie)).toBeUndefined();
  const back = begin();
  vi.setSystemTime(Date.now() - 10 * MAX_MS);
  vi.advanceTimersByTime(IDLE_MS);
  expect(access.sessions.find(back.cookie)).toBeUndefined();
});

test("of too many sessions the one that was not used for longest ends", () => {
  const first = begin();
  const second = begin();
  vi.advanceTimersByTime(1);
  expect(isUsed(first)).toBe(true);
  for (let count = 2; count < 65; count += 1) begin();
  expect(ended).toEqual([[second.session.id, "too_many"]]);
  expect(access.sessions.find(first.cookie)).toBeDefined();
});

test("a new token ends codes and what streams for the old one, but not before it is in its file", async () => {
  const code = access.makeCode(null);
  const { tokenEnded } = access;
  await access.replaceToken();
  expect([written.length, tokenEnded.aborted, access.tokenEnded.aborted]).toEqual([1, true, false]);
  access.checkToken(written[0] ?? "");
  expect(() => access.checkToken(token)).toThrow(/not the token/);
  expect(() => access.checkSignIn({ code }, nobody)).toThrow(refused);
  const failing = made({ writeToken: () => Promise.reject(new Error("no space")) });
  await expect(failing.replaceToken()).rejects.toThrow("no space");
  failing.checkToken(token);
});

test("a session that cannot be recorded is none", () => {
  const begun = (): unknown =>
    access.sessions.begin(() => {
      throw new Error("full");
    });
  expect(begun).toThrow("full");
  expect(access.sessions.size).toBe(0);
});

test("secrets of any length are compared by digests of one length", () => {
  const digest = digestOf("secret");
  expect(digest.length).toBe(32);
  expect(["secret", "secre", "secrets", "", "s".repeat(10_000)].map((given) => isSameSecret(given, digest))).toEqual([
    true,
    false,
    false,
    false,
    false,
  ]);
});
