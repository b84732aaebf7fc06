/** A session is its cookie and the secret of its page: on every route that there is, one of the two opens nothing. */
import { CONTROL_ROUTES, type ControlRoute } from "@opensentience/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CoreHome, eventually, newHome } from "../support/core-home.ts";
import { expectRefusal } from "../support/page-checks.ts";
import { PageClient, proof, type SignedIn } from "../support/page-client.ts";

/** Every route of the API, with something in each place of its path, and what stands beside the API. */
const ROUTES: [string, string][] = [
  ...Object.values(CONTROL_ROUTES as Record<string, ControlRoute>).map(({ method, path }): [string, string] => [
    method.toUpperCase(),
    `/api/v1${path.replaceAll(/\{\w+\}/g, "com.example.none")}`,
  ]),
  ["GET", "/api/v1/openapi.json"],
  ["GET", "/metrics"],
  ["GET", "/readyz"],
  ["GET", "/nothing"],
  ["HEAD", "/api/v1/events"],
  ["DELETE", "/api/v1/agents/com.example.none"],
];

let home: CoreHome;
let page: PageClient;
let me: SignedIn;
let other: SignedIn;
beforeAll(async () => {
  home = await newHome();
  page = await PageClient.of(home);
  [me, other] = [await page.signIn(), await page.signIn()];
});
afterAll(() => home.dispose());

const value = (cookie: string): string => cookie.split("=")[1] ?? "";
const name = (cookie: string): string => cookie.split("=")[0] ?? "";

async function refusedEverywhere(headers: Record<string, string>, status: number, code: string): Promise<void> {
  for (const [method, target] of ROUTES) {
    const isRead = method === "GET" || method === "HEAD";
    const answer = await page.ask(method, target, {
      headers: { ...headers, ...(isRead ? {} : { "content-type": "application/json" }) },
      ...(isRead ? {} : { body: "{}" }),
    });
    expect(answer.status, `${method} ${target}`).toBe(status);
    if (method !== "HEAD") expectRefusal(answer, status, code);
  }
}

describe("the cookie of a session without the secret of its page", () => {
  test.each<[string, () => Record<string, string>]>([
    ["none", () => ({ cookie: me.cookie })],
    ["an empty one", () => ({ cookie: me.cookie, "x-csrf-token": " " })],
    ["of another session", () => ({ cookie: me.cookie, "x-csrf-token": other.csrf })],
    ["the cookie itself", () => ({ cookie: me.cookie, "x-csrf-token": value(me.cookie) })],
    ["the token of the home", () => ({ cookie: me.cookie, "x-csrf-token": page.token })],
    ["cut", () => ({ cookie: me.cookie, "x-csrf-token": me.csrf.slice(0, -1) })],
    ["in capitals", () => ({ cookie: me.cookie, "x-csrf-token": me.csrf.toUpperCase() })],
    ["doubled", () => ({ ...proof(me), "X-CSRF-Token": me.csrf })],
    ["two in one", () => ({ cookie: me.cookie, "x-csrf-token": `${other.csrf}, ${me.csrf}` })],
    ["in a cookie", () => ({ cookie: `${me.cookie}; x-csrf-token=${me.csrf}; csrf_token=${me.csrf}` })],
    ["in headers of other names", () => ({ cookie: me.cookie, "x-xsrf-token": me.csrf, "x-csrf-tokens": me.csrf })],
  ])("opens no route: %s", async (_name, headers) => {
    await refusedEverywhere(headers(), 403, "web.csrf_refused");
  });

  test("opens nothing with the secret in the address, or as a bearer token", async () => {
    for (const query of [`x-csrf-token=${me.csrf}`, `csrf_token=${me.csrf}`])
      expectRefusal(
        await page.ask("GET", `/api/v1/agents?${query}`, { headers: { cookie: me.cookie } }),
        403,
        "web.csrf_refused",
      );
    const headers = { cookie: me.cookie, authorization: `Bearer ${me.csrf}` };
    expectRefusal(await page.ask("GET", "/api/v1/agents", { headers }), 401, "web.token_refused");
  });
});

describe("the secret of a page without its cookie", () => {
  test.each<[string, () => Record<string, string>]>([
    ["none", () => ({ "x-csrf-token": me.csrf })],
    ["the secret itself", () => ({ "x-csrf-token": me.csrf, cookie: `${name(me.cookie)}=${me.csrf}` })],
    ["the secret twice over", () => ({ "x-csrf-token": me.csrf, cookie: `${name(me.cookie)}=${me.csrf}${me.csrf}` })],
    ["of another Core", () => ({ "x-csrf-token": me.csrf, cookie: `opensentience_000000000000=${value(me.cookie)}` })],
  ])("opens no route: %s", async (_name, headers) => {
    await refusedEverywhere(headers(), 401, "web.not_signed_in");
  });
});

test("both of them open it, and of two cookies the one that the secret belongs to", async () => {
  const both = `${other.cookie}; ${me.cookie}`;
  for (const headers of [proof(me), proof({ ...me, cookie: both }), proof({ ...other, cookie: both })])
    expect((await page.ask("GET", "/api/v1/agents", { headers })).status).toBe(200);
  for (const [one, answer] of [
    [me, await page.ask("GET", "/api/v1/session", { headers: proof({ ...me, cookie: both }) })],
    [other, await page.ask("GET", "/api/v1/session", { headers: proof({ ...other, cookie: both }) })],
  ] as const)
    expect((JSON.parse(answer.text) as { actor: string }).actor).toContain(`web:${one.session}`);
});

test("the session's own route tells no secret", async () => {
  const { text, headers } = await page.ask("GET", "/api/v1/session", { headers: proof(me) });
  expect(Object.keys(JSON.parse(text) as object).toSorted()).toEqual(["actor", "expires_at", "instance_id"]);
  expect(headers.get("set-cookie")).toBeUndefined();
  for (const secret of [me.csrf, value(me.cookie)]) expect(text).not.toContain(secret);
});

test("neither secret is in a log, a record or the description of the API", async () => {
  const said = [
    (await home.cli(["audit", "list", "--json", "--limit", "500"])).stdout,
    (await page.ask("GET", "/api/v1/openapi.json", { headers: proof(me) })).text,
    home.coreLog(),
  ];
  for (const text of said) for (const secret of [me.csrf, value(me.cookie)]) expect(text).not.toContain(secret);
});

test("the operator can see that somebody has the cookie", async () => {
  await page.ask("GET", "/api/v1/session", { headers: { cookie: me.cookie } });
  const { items } = await home.json<{ items: { actor_id: string; metadata: { code: string } }[] }>([
    "audit",
    "list",
    "--type",
    "security.denied",
    "--limit",
    "500",
  ]);
  expect(items).toContainEqual(
    expect.objectContaining({
      actor_id: "web:nobody",
      metadata: expect.objectContaining({ code: "web.csrf_refused" }),
    }),
  );
});

test("the cookie alone keeps no session alive", async () => {
  const short = await newHome({ settings: { "web.session_idle_ms": 1_000 } });
  const at = await PageClient.of(short);
  const one = await at.signIn();
  // Asked again and again, far more often than the time in which a session that is used stays.
  await eventually(async () => {
    const { status } = await at.ask("GET", "/api/v1/session", { headers: { cookie: one.cookie } });
    return status === 401;
  }, "the session to end");
  const { items } = await short.json<{ items: { metadata: object }[] }>(["audit", "list", "--type", "web.signed_out"]);
  expect(items[0]?.metadata).toEqual({ session: one.session, reason: "idle" });
  await short.dispose();
});
