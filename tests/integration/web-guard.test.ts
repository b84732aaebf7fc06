/** The guard of the web page's door, rule by rule, byte by byte: what is refused and what is not. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CoreHome, newHome } from "../support/core-home.ts";
import { asSignedIn, expectPolicy, expectRefusal, homeWithPage, KINDS } from "../support/page-checks.ts";
import { PageClient, proof, requestText, type SignedIn } from "../support/page-client.ts";

let home: CoreHome;
let dispose: () => Promise<void>;
let page: PageClient;
let me: SignedIn;
beforeAll(async () => {
  ({ home, dispose } = await homeWithPage());
  page = await PageClient.of(home);
  me = await page.signIn();
});
afterAll(() => dispose());

describe("a host that is not exactly ours", () => {
  const hosts: [string, (port: number) => string[]][] = [
    ["another name", (port) => [`evil.example:${port}`]],
    ["a name that begins like ours", (port) => [`127.0.0.1.evil.example:${port}`]],
    ["a name that ends like ours", (port) => [`evil-127.0.0.1:${port}`]],
    ["another address of loopback", (port) => [`127.0.0.2:${port}`]],
    ["the address as one number", (port) => [`2130706433:${port}`]],
    ["the address in hexadecimal", (port) => [`0x7f.0.0.1:${port}`]],
    ["every address", (port) => [`0.0.0.0:${port}`]],
    ["another port", (port) => [`127.0.0.1:${port === 1 ? 2 : port - 1}`]],
    ["a port that begins like ours", (port) => [`127.0.0.1:${port}0`]],
    ["no port", () => ["127.0.0.1"]],
    ["an empty port", () => ["127.0.0.1:"]],
    ["IPv6, which is not bound", (port) => [`[::1]:${port}`]],
    ["a dot at its end", (port) => [`localhost.:${port}`]],
    ["capitals", (port) => [`LOCALHOST:${port}`]],
    ["a user before it", (port) => [`x@127.0.0.1:${port}`]],
    ["a path behind it", (port) => [`127.0.0.1:${port}/`]],
    ["two hosts in one", (port) => [`127.0.0.1:${port}, evil.example`]],
    ["malformed", () => ["[::1"]],
    ["malformed, with spaces", (port) => [`127.0.0.1 :${port}`]],
    ["empty", () => [""]],
    ["doubled", (port) => [`127.0.0.1:${port}`, `127.0.0.1:${port}`]],
    ["doubled, ours first", (port) => [`127.0.0.1:${port}`, "evil.example"]],
    ["doubled, ours last", (port) => ["evil.example", `127.0.0.1:${port}`]],
    ["missing", () => []],
  ];
  test.each(hosts)("is refused without a detail: %s", async (_name, given) => {
    for (const [, method, target] of KINDS) {
      const lines = given(page.port).map((host) => `host: ${host}\r\n`);
      const others = Object.entries({ ...asSignedIn(me, method), connection: "close" }).map(
        ([name, value]) => `${name}: ${value}\r\n`,
      );
      expectRefusal(await page.raw(`${method} ${target} HTTP/1.1\r\n${[...lines, ...others].join("")}\r\n`), 421, "");
    }
  });

  test("without one, as HTTP/1.0 allows, is refused as well", async () => {
    expectRefusal(await page.raw("GET / HTTP/1.0\r\n\r\n"), 421, "");
  });

  test("the two that are ours are not", async () => {
    for (const host of [`127.0.0.1:${page.port}`, `localhost:${page.port}`])
      expect((await page.ask("GET", "/", { host })).status).toBe(200);
  });
});

describe("an origin that is not exactly ours", () => {
  const origins: [string, (host: string) => Record<string, string>][] = [
    ["another site", () => ({ origin: "https://evil.example" })],
    ["a site that begins like ours", (host) => ({ origin: `http://${host}.evil.example` })],
    ["a site that ends like ours", (host) => ({ origin: `http://evil.example/http://${host}` })],
    ["another port of this address", () => ({ origin: "http://127.0.0.1:1" })],
    ["a longer port", (host) => ({ origin: `http://${host}7` })],
    ["no port", () => ({ origin: "http://127.0.0.1" })],
    ["another scheme", (host) => ({ origin: `https://${host}` })],
    [
      "our other name, whose port another program may hold",
      (host) => ({ origin: `http://localhost:${host.split(":")[1]}` }),
    ],
    ["null", () => ({ origin: "null" })],
    ["a path behind it", (host) => ({ origin: `http://${host}/` })],
    ["capitals", (host) => ({ origin: `HTTP://${host}` })],
    ["a file", () => ({ origin: "file://" })],
    ["two in one", (host) => ({ origin: `http://${host}, http://evil.example` })],
    ["doubled", (host) => ({ origin: `http://${host}`, Origin: `http://${host}` })],
    ["a fetch of another site", () => ({ "sec-fetch-site": "cross-site" })],
    ["a fetch of another port", () => ({ "sec-fetch-site": "same-site" })],
    ["a fetch from an unknown place", () => ({ "sec-fetch-site": "from-space" })],
    ["doubled fetch metadata", () => ({ "sec-fetch-site": "same-origin", "Sec-Fetch-Site": "same-origin" })],
    [
      "our origin, but a fetch of another site",
      (host) => ({ origin: `http://${host}`, "sec-fetch-site": "cross-site" }),
    ],
  ];
  test.each(origins)("is refused: %s", async (_name, headers) => {
    for (const [, method, target] of KINDS)
      expectRefusal(
        await page.ask(method, target, { headers: { ...asSignedIn(me, method), ...headers(page.host) } }),
        403,
        "web.origin_refused",
      );
  });

  test("ours is not, nor is what a person typed", async () => {
    for (const headers of [
      { origin: `http://${page.host}`, "sec-fetch-site": "same-origin" },
      { "sec-fetch-site": "none" },
    ])
      expect((await page.ask("GET", "/api/v1/agents", { headers: { ...headers, ...proof(me) } })).status).toBe(200);
  });
});

describe("a link of another page", () => {
  const FOLLOWED = {
    accept: "text/html,application/xhtml+xml,*/*;q=0.8",
    "sec-fetch-site": "cross-site",
    "sec-fetch-mode": "navigate",
    "sec-fetch-dest": "document",
    "sec-fetch-user": "?1",
  };

  test("a link of another page is refused with words for a person, the same for everybody", async () => {
    const texts = new Set<string>();
    for (const site of ["cross-site", "same-site"])
      for (const headers of [{}, { cookie: me.cookie }, proof(me)])
        for (const target of ["/", "/api/v1/agents", "/nothing?q=<script>alert(1)</script>"]) {
          const answer = await page.ask("GET", target, {
            headers: { ...FOLLOWED, "sec-fetch-site": site, ...headers },
          });
          expect(answer.status).toBe(403);
          const said = Object.fromEntries(answer.headers);
          expect(said).toMatchObject({
            "content-type": "text/html; charset=utf-8",
            "content-security-policy": expect.stringMatching(/^default-src 'none'; (?!.*(-src|unsafe)).*sandbox$/),
            "cache-control": "no-store",
            "x-frame-options": "DENY",
            "x-content-type-options": "nosniff",
          });
          expect(said).not.toHaveProperty("set-cookie");
          texts.add(answer.text);
        }
    expect(texts.size).toBe(1);
    const [text = ""] = texts;
    expect(text).toContain("<code>opensentience open</code>");
    expect(text).not.toMatch(/<script|<style|<a |<img|<link|<form|[a-z]+=.*(https?:|javascript:)| on\w+=/i);
    for (const secret of [String(page.port), page.token, me.cookie]) expect(text).not.toContain(secret);
  });

  test.each<[string, string, Record<string, string>]>([
    ["a frame", "GET", { "sec-fetch-dest": "iframe" }],
    ["a fetch", "GET", { "sec-fetch-mode": "cors", "sec-fetch-dest": "empty" }],
    ["what takes no HTML", "GET", { accept: "application/json" }],
    ["a form", "POST", { "content-type": "application/json" }],
    ["a page with an origin", "GET", { origin: "https://evil.example" }],
    ["a doubled mode", "GET", { "Sec-Fetch-Mode": "navigate" }],
  ])("is JSON for everything else: %s", async (_what, method, headers) => {
    expectRefusal(await page.ask(method, "/", { headers: { ...FOLLOWED, ...headers } }), 403, "web.origin_refused");
  });

  test("and every other refusal is JSON for a navigation too", async () => {
    const typed = { ...FOLLOWED, "sec-fetch-site": "none" };
    expectRefusal(await page.ask("GET", "/api/v1/agents", { headers: typed }), 401, "web.not_signed_in");
    expectRefusal(await page.ask("GET", "/", { headers: FOLLOWED, host: "evil.example" }), 421, "");
  });
});

describe("a target that could be read in two ways", () => {
  test.each([
    ["/assets/../api/v1/agents"],
    ["/assets/%2e%2e/api/v1/agents"],
    ["/assets/%2E%2E/api/v1/agents"],
    ["/assets/..\\api/v1/agents"],
    ["/./"],
    ["//evil.example/"],
    ["/\\evil.example/"],
    ["http://127.0.0.1/"],
    ["http://evil.example/"],
    ["*"],
    ["/#/agents"],
  ])("is refused: %s", async (target) => {
    expectRefusal(await page.ask("GET", target), 400, "web.request_refused");
  });

  test.each([
    ["/assets/%2e%2e%2fsecret.txt"],
    ["/assets/..%2fsecret.txt"],
    ["/assets/..%5csecret.txt"],
    ["/assets/.env"],
    ["/%61ssets/none.js"],
  ])("reaches nothing that is not public: %s", async (target) => {
    expectRefusal(await page.ask("GET", target), 401, "web.not_signed_in");
    expectRefusal(await page.ask("GET", target, { headers: proof(me) }), 404, "http.not_found");
  });
});

describe("a method that is none of ours", () => {
  test.each([["OPTIONS"], ["TRACE"], ["PROPFIND"], ["LOCK"], ["QUERY"]])(
    "%s is refused on every kind of route",
    async (method) => {
      for (const [, , target] of KINDS) {
        const answer = await page.ask(method, target, { headers: proof(me) });
        expectRefusal(answer, 405, "web.method_refused");
        expect(answer.headers.get("allow")).toBe("GET, HEAD, POST");
      }
    },
  );

  test("a tunnel is refused, and a preflight gets no permission", async () => {
    const tunnel = await page.raw(requestText("CONNECT", "evil.example:443", { host: page.host }));
    expect(tunnel.status).toBe(405);
    expectPolicy(tunnel);
    const preflight = await page.ask("OPTIONS", "/api/v1/core/stop", {
      headers: {
        origin: `http://${page.host}`,
        "access-control-request-method": "POST",
        "access-control-request-private-network": "true",
      },
    });
    expectRefusal(preflight, 405, "web.method_refused");
  });

  test("those that exist, on a route that has none of them, find nothing", async () => {
    for (const method of ["PUT", "PATCH", "DELETE"])
      expectRefusal(
        await page.ask(method, "/api/v1/agents", { headers: asSignedIn(me, "POST"), body: "{}" }),
        404,
        "http.not_found",
      );
  });
});

describe("a state change that is not JSON", () => {
  test.each([
    ["a form", "application/x-www-form-urlencoded"],
    ["a form with files", "multipart/form-data; boundary=x"],
    ["text, as a beacon sends it", "text/plain"],
    ["a type that begins like it", "application/json-patch+json"],
    ["text with JSON as a parameter", "text/plain; application/json"],
    ["two types", "text/plain, application/json"],
    ["no type", ""],
  ])("is refused: %s", async (_name, type) => {
    for (const method of ["POST", "PUT", "PATCH", "DELETE"])
      for (const target of ["/api/v1/core/stop", "/sign-in"])
        expectRefusal(
          await page.ask(method, target, { headers: { ...asSignedIn(me, "POST"), "content-type": type }, body: "{}" }),
          415,
          "web.type_refused",
        );
  });

  test("a character set is no other type", async () => {
    const answer = await page.change(
      "/api/v1/audit/checkpoint",
      me,
      {},
      { "content-type": "Application/JSON ; charset=utf-8" },
    );
    expect(answer.status).toBe(200);
  });
});

describe("a caller whom nobody knows", () => {
  const CLOSED = KINDS.filter(
    ([, , target]) => !["/", "/healthz", "/sign-in"].includes(target) && !target.startsWith("/assets/"),
  );

  test("reaches only what is public", async () => {
    for (const [, , target] of [
      ...CLOSED,
      ["", "", "/readyz"],
      ["", "", "/api/v1/openapi.json"],
      ["", "", "/api/v1/session"],
      ["", "", "/index.html"],
      ["", "", "/favicon.ico"],
    ] as const)
      for (const method of ["GET", "HEAD"]) {
        const answer = await page.ask(method, target);
        if (method === "GET") expectRefusal(answer, 401, "web.not_signed_in");
        expect([answer.status, answer.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
      }
    for (const target of ["/", "/healthz", "/assets/index-1a2B_3c.js"])
      expect((await page.ask("GET", target)).status).toBe(200);
  });

  test("a token that is not exactly ours is refused, even beside a session", async () => {
    const fresh = await newHome();
    const other = await PageClient.of(fresh);
    const { token } = other;
    const session = proof(await other.signIn());
    const wrong = [
      "Bearer ",
      "Bearer 0000000000000000000000000000000000000000000",
      "Basic dXNlcjpwYXNz",
      token,
      `Bearer ${token.slice(0, -1)}`,
      `Bearer ${token}x`,
      `Bearer ${token}, Bearer ${token}`,
    ];
    for (const authorization of wrong)
      expectRefusal(
        await other.ask("GET", "/api/v1/agents", { headers: { authorization, ...session } }),
        401,
        "web.token_refused",
      );
    expectRefusal(
      await other.ask("GET", "/api/v1/agents", { headers: { authorization: wrong[1] ?? "" } }),
      401,
      "web.token_refused",
    );
    await fresh.dispose();
  });

  test("the token in the address, a cookie or a body counts for nothing", async () => {
    const { token } = page;
    for (const target of [
      `/api/v1/agents?token=${token}`,
      `/api/v1/agents?access_token=${token}`,
      `/metrics?authorization=Bearer%20${token}`,
    ])
      expectRefusal(await page.ask("GET", target), 401, "web.not_signed_in");
    for (const cookie of [`token=${token}`, `${me.cookie.split("=")[0]}=${token}`])
      expectRefusal(
        await page.ask("GET", "/api/v1/agents", { headers: proof({ ...me, cookie }) }),
        401,
        "web.not_signed_in",
      );
  });

  test("the token as a bearer token opens everything, and needs no secret of a page", async () => {
    const headers = { authorization: `Bearer ${page.token}` };
    for (const target of ["/api/v1/agents", "/metrics", "/readyz"])
      expect((await page.ask("GET", target, { headers })).status).toBe(200);
    const change = await page.ask("POST", "/api/v1/discovery/scan", {
      headers: { ...headers, "content-type": "application/json" },
      body: "{}",
    });
    expect(change.status).toBe(200);
    expectPolicy(change);
  });

  test.each([
    ["none", undefined],
    ["an empty one", (cookie: string) => `${cookie.split("=")[0]}=`],
    ["one that was changed", (cookie: string) => `${cookie}x`],
    ["one that was cut", (cookie: string) => cookie.slice(0, -1)],
    ["of another Core", (cookie: string) => cookie.replace(/_[0-9a-f]+=/, "_000000000000=")],
    ["in capitals", (cookie: string) => cookie.toUpperCase()],
  ])("a session that is not exactly ours: %s", async (_name, changed) => {
    const headers: Record<string, string> = changed === undefined ? {} : proof({ ...me, cookie: changed(me.cookie) });
    expectRefusal(await page.ask("GET", "/api/v1/agents", { headers }), 401, "web.not_signed_in");
  });
});
