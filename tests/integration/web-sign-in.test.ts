/** Signing in to the web page and out of it: links, the token, sessions, and what is recorded of them. */
import { lstatSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CoreHome, eventually, newHome } from "../support/core-home.ts";
import { expectPolicy } from "../support/page-checks.ts";
import { PageClient, proof, signedIn, type SignedIn } from "../support/page-client.ts";
import { Following } from "../support/terminal.ts";

type Event = {
  event_type: string;
  actor_type: string;
  actor_id: string;
  outcome: string;
  causation_id: string | null;
  metadata: Record<string, unknown>;
};

let home: CoreHome;
let page: PageClient;
beforeAll(async () => {
  home = await newHome();
  page = await PageClient.of(home);
});
afterAll(() => home.dispose());

async function events(type: string, from = home): Promise<Event[]> {
  return (await from.json<{ items: Event[] }>(["audit", "list", "--type", type])).items;
}

async function isSignedIn(me: SignedIn, at = page): Promise<boolean> {
  const { status } = await at.ask("GET", "/api/v1/session", { headers: proof(me) });
  expect([200, 401]).toContain(status);
  return status === 200;
}

describe("a link", () => {
  test("signs in once; the session says who it is, and its cookie is out of reach of scripts and other sites", async () => {
    const code = await page.code();
    const answer = await page.postSignIn({ code });
    const me = signedIn(answer);
    const { instance_id } = await home.json<{ instance_id: string }>(["core", "status"]);
    expect(answer.headers.get("set-cookie")).toMatch(
      new RegExp(
        `^opensentience_${instance_id.slice(-12)}=[\\w-]{43}; Max-Age=\\d+; HttpOnly; SameSite=Strict; Path=/$`,
      ),
    );
    const told = { csrf_token: me.csrf, instance_id, actor: expect.stringMatching(/^uid:\d+.* web:[0-9a-f]{12}$/) };
    expect(JSON.parse(answer.text)).toEqual({ ...told, expires_at: expect.any(String) });
    const again = await page.ask("GET", "/api/v1/session", { headers: proof(me) });
    const { csrf_token: _secret, ...session } = JSON.parse(answer.text) as Record<string, unknown>;
    expect(JSON.parse(again.text)).toEqual(session);
    expect([again.status, again.headers.get("set-cookie")]).toEqual([200, undefined]);
    const second = await page.postSignIn({ code });
    expect([second.status, second.headers.get("set-cookie")]).toEqual([401, undefined]);
    expect(JSON.parse(second.text)).toMatchObject({ code: "web.sign_in_refused", next_step: "opensentience open" });
    const [signIn] = await events("web.signed_in");
    expect(signIn).toMatchObject({ actor_id: told.actor, metadata: { session: me.session, method: "code" } });
    expect(signIn?.causation_id).toBe(answer.headers.get("x-request-id"));
    expect((await events("security.denied"))[0]?.metadata).toMatchObject({ code: "web.sign_in_refused" });
    expect(JSON.stringify(await events("security.denied"))).not.toContain(code);
    expect(home.coreLog()).not.toContain(code);
  });

  test("a sign-in with a large body is refused before it is read", async () => {
    const code = await page.code();
    const large = await page.postSignIn({ code, more: Array.from({ length: 1_500 }, () => []) } as { code: string });
    expect([large.status, JSON.parse(large.text)]).toMatchObject([422, { code: "http.body_too_large" }]);
    expect((await page.postSignIn({ code })).status).toBe(200);
  });

  test("is printed by serve as well", async () => {
    const other = await newHome();
    const serving = new Following(other, ["serve", "--json"]);
    const [line = ""] = await serving.until(/socket_path/);
    const { web_url, sign_in_url } = JSON.parse(line) as { web_url: string; sign_in_url: string };
    expect(sign_in_url).toMatch(new RegExp(`^${web_url}#code=[\\w-]{43}$`));
    const at = await PageClient.of(other);
    expect(at.url).toBe(web_url);
    signedIn(await at.postSignIn({ code: sign_in_url.split("code=")[1] }));
    expect((await serving.interrupt()).code).toBe(0);
    await other.dispose();
  });

  test("is handed to the browser where there is one, and that code is good for this user", async () => {
    const folder = join(home.operatorHome, "bin");
    const seen = join(home.operatorHome, "opened");
    mkdirSync(folder);
    const launcher = `#!/bin/sh\nprintf '%s' "$1" > ${seen}\n`;
    writeFileSync(join(folder, "xdg-open"), launcher, { mode: 0o755 });
    const env = { PATH: `${folder}:${home.env["PATH"]}`, DISPLAY: ":0" };
    expect(await home.json(["open"], { env })).toEqual({ url: page.url, opened: true, valid_ms: 60_000 });
    signedIn(await page.postSignIn({ code: readFileSync(seen, "utf8").split("code=")[1] }));
    // One that fails, or none to show it on: the link is printed.
    writeFileSync(join(folder, "xdg-open"), "#!/bin/sh\nexit 3\n", { mode: 0o755 });
    const printed = { url: expect.stringContaining("#code="), opened: false, valid_ms: 60_000 };
    expect(await home.json(["open"], { env })).toEqual(printed);
    expect(await home.json(["open"], { env: { PATH: env.PATH } })).toEqual(printed);
  });

  test("is made for the owner of the socket only", async () => {
    const me = await page.signIn();
    for (const headers of [proof(me), { authorization: `Bearer ${page.token}` }]) {
      const answer = await page.ask("POST", "/api/v1/session/link", {
        headers: { "content-type": "application/json", ...headers },
        body: "{}",
      });
      expect([answer.status, JSON.parse(answer.text)]).toEqual([
        403,
        expect.objectContaining({ code: "web.socket_only" }),
      ]);
    }
  });
});

describe("the token", () => {
  test("stands in a file of the operator's alone, signs in, and is nowhere else", async () => {
    const { token } = page;
    expect(token).toMatch(/^[\w-]{43}$/);
    expect(lstatSync(join(home.folder, "state/web.token")).mode & 0o777).toBe(0o600);
    signedIn(await page.postSignIn({ token }));
    expect((await events("web.signed_in"))[0]?.metadata).toMatchObject({ method: "token" });
    const status = await home.cli(["core", "status", "--json"]);
    const list = await home.cli(["audit", "list", "--json"]);
    for (const text of [home.coreLog(), status.stdout, list.stdout]) expect(text).not.toContain(token);
    await home.json(["core", "restart"]);
    page = await PageClient.of(home);
    expect(page.token).toBe(token);
  });

  test("that is wrong, or no token at all, does not sign in", async () => {
    const wrong: [string, unknown, number, string][] = [
      ["a wrong code", { code: "0".repeat(43) }, 401, "web.sign_in_refused"],
      ["a wrong token", { token: "0".repeat(43) }, 401, "web.sign_in_refused"],
      ["an empty token", { token: "" }, 401, "web.sign_in_refused"],
      ["nothing", {}, 400, "usage.invalid"],
      ["both", { code: "x", token: "x" }, 400, "usage.invalid"],
      ["a number", { code: 1 }, 400, "usage.invalid"],
      ["a list of tokens", { token: ["x"] }, 400, "usage.invalid"],
      ["too much", { token: "x".repeat(4_000) }, 400, "usage.invalid"],
      ["far too much", { token: "x".repeat(10_000) }, 422, "http.body_too_large"],
      ["text", "x", 400, "usage.invalid"],
    ];
    for (const [name, body, status, code] of wrong) {
      const answer = await page.postSignIn(body);
      expect(answer.headers.get("set-cookie"), name).toBeUndefined();
      expect([answer.status, JSON.parse(answer.text)], name).toEqual([status, expect.objectContaining({ code })]);
    }
  });

  test("tried out ten times, is looked at no more for a while; a link still signs in", async () => {
    const own = await newHome();
    const at = await PageClient.of(own);
    const wrong = { headers: { authorization: "Bearer hunter2" } };
    for (let count = 0; count < 10; count += 1) expect((await at.ask("GET", "/metrics", wrong)).status).toBe(401);
    for (const answer of [await at.ask("GET", "/metrics", wrong), await at.postSignIn({ token: at.token })]) {
      expect([answer.status, answer.headers.get("retry-after")]).toEqual([429, "60"]);
      expect(JSON.parse(answer.text)).toMatchObject({ code: "web.too_many_attempts" });
    }
    await at.signIn();
    const recorded = (await events("security.denied", own)).map(({ metadata }) => metadata);
    expect(recorded.filter(({ code }) => code === "web.token_refused").length).toBe(10);
    expect(recorded.map(({ code }) => code)).toContain("web.too_many_attempts");
    expect(JSON.stringify(recorded)).not.toContain("hunter2");
    await own.dispose();
  });

  test("rotated, ends every session and stream, signs nobody in, and the old one is worth nothing", async () => {
    await home.json(["core", "rotate-token"]);
    const before = page.token;
    const [me, other] = [await page.signIn(), await page.signIn()];
    const streams = [await page.stream("", proof(other)), await page.stream("", { authorization: `Bearer ${before}` })];
    expect(streams.map(({ status }) => status)).toEqual([200, 200]);
    const answer = await page.change("/api/v1/session/rotate-token", me);
    expect([answer.status, answer.headers.get("set-cookie")]).toEqual([200, undefined]);
    expect(JSON.parse(answer.text)).toEqual({ sessions_ended: 2, token_path: join(home.folder, "state/web.token") });
    for (const stream of streams) await stream.end();
    expect([await isSignedIn(me), await isSignedIn(other)]).toEqual([false, false]);
    expect(page.token).not.toBe(before);
    expect((await page.postSignIn({ token: before })).status).toBe(401);
    expect(lstatSync(join(home.folder, "state/web.token")).mode & 0o777).toBe(0o600);
    signedIn(await page.postSignIn({ token: page.token }));
    const [done, intent] = await events("web.token_rotated");
    expect([intent?.outcome, done?.outcome, done?.metadata]).toEqual(["unknown", "ok", { sessions_ended: 2 }]);
    const ends = (await events("web.signed_out")).map(({ metadata }) => metadata["reason"]);
    expect(ends.slice(0, 2)).toEqual(["token_rotated", "token_rotated"]);
    const byCommand = page.token;
    await home.json(["core", "rotate-token"]);
    expect(page.token).not.toBe(byCommand);
  });

  test("is made anew where somebody put something else in its place", async () => {
    const path = join(home.folder, "state/web.token");
    const other = join(home.operatorHome, "other");
    writeFileSync(other, "a".repeat(43));
    const planted = [
      () => symlinkSync(other, path),
      () => writeFileSync(path, "password\n", { mode: 0o600 }),
      () => writeFileSync(path, "x".repeat(100_000), { mode: 0o600 }),
    ];
    for (const plant of planted) {
      await home.json(["core", "stop"]);
      rmSync(path);
      plant();
      page = await PageClient.of(home);
      expect(lstatSync(path)).toMatchObject({ mode: 0o100600 });
      expect(page.token).toMatch(/^[\w-]{43}$/);
      signedIn(await page.postSignIn({ token: page.token }));
    }
    expect(readFileSync(other, "utf8")).toBe("a".repeat(43));
    expect(home.coreLog().match(/state\/web\.token .* was replaced/g)?.length).toBe(3);
  });
});

describe("sessions", () => {
  test("are many, each with secrets of its own; signing out ends one", async () => {
    const [me, other] = [await page.signIn(), await page.signIn()];
    expect(new Set([me.cookie, other.cookie, me.csrf, other.csrf]).size).toBe(4);
    const stream = await page.stream("", proof(me));
    const left = await page.change("/api/v1/session/sign-out", me);
    expect([left.status, JSON.parse(left.text)]).toEqual([200, { signed_out: true }]);
    expect(left.headers.get("set-cookie")).toMatch(
      /^opensentience_[0-9a-f]{12}=; Max-Age=0; HttpOnly; SameSite=Strict; Path=\/$/,
    );
    await stream.end();
    expect([await isSignedIn(me), await isSignedIn(other)]).toEqual([false, true]);
    expect((await events("web.signed_out"))[0]).toMatchObject({
      actor_id: expect.stringContaining(`web:${me.session}`),
      metadata: { session: me.session, reason: "signed_out" },
    });
  });

  test("what streams ends with the session or the token that opened it", async () => {
    const [me, other] = [await page.signIn(), await page.signIn()];
    const follow = async (by: Record<string, string>): Promise<Socket> => {
      const socket = await page.open();
      const headers = Object.entries({ host: page.host, ...by }).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.write(`GET /api/v1/audit/export?follow=true HTTP/1.1\r\n${headers.join("")}\r\n`);
      await once(socket, "data");
      return socket.resume();
    };
    const bearer = { authorization: `Bearer ${page.token}` };
    const [mine, others, ofToken] = [await follow(proof(me)), await follow(proof(other)), await follow(bearer)];
    const ended = once(mine, "close");
    await page.change("/api/v1/session/sign-out", me);
    await ended;
    expect([others.closed, ofToken.closed]).toEqual([false, false]);
    const bothEnded = Promise.all([once(others, "close"), once(ofToken, "close")]);
    await home.json(["core", "rotate-token"]);
    await bothEnded;
  });

  test("of one browser follow one another: signing in again ends the one before", async () => {
    const me = await page.signIn();
    const next = signedIn(await page.postSignIn({ code: await page.code() }, proof(me)));
    expect([await isSignedIn(me), await isSignedIn(next)]).toEqual([false, true]);
    // Also where the page lost its secret: nobody could use that session any more.
    const last = signedIn(await page.postSignIn({ code: await page.code() }, { cookie: next.cookie }));
    expect([await isSignedIn(next), await isSignedIn(last)]).toEqual([false, true]);
    expect((await events("web.signed_out"))[0]).toMatchObject({
      actor_id: expect.stringContaining(`web:${next.session}`),
      metadata: { session: next.session, reason: "signed_in_again" },
    });
  });

  test("what is done in one is recorded with its name, the request as the cause", async () => {
    const me = await page.signIn();
    const answer = await page.change("/api/v1/agents/install", me, { git_url: "https://u:p@example.com/x.git" });
    expect(answer.status).toBe(403);
    expect((await events("security.denied"))[0]).toMatchObject({
      actor_type: "human",
      actor_id: expect.stringMatching(new RegExp(`^uid:${process.getuid?.()}\\(.*\\) web:${me.session}$`)),
      causation_id: answer.headers.get("x-request-id"),
    });
  });

  test("of two Cores of one address keep apart: each cookie has its Core in its name", async () => {
    const other = await newHome();
    const second = await PageClient.of(other);
    const [mine, theirs] = [await page.signIn(), await second.signIn()];
    expect(mine.cookie.split("=")[0]).not.toBe(theirs.cookie.split("=")[0]);
    // A browser sends both to both: ports are nothing to it.
    const cookie = `${theirs.cookie}; ${mine.cookie}`;
    expect([await isSignedIn({ ...mine, cookie }), await isSignedIn({ ...theirs, cookie }, second)]).toEqual([
      true,
      true,
    ]);
    expect([await isSignedIn(theirs), await isSignedIn(mine, second)]).toEqual([false, false]);
    await other.dispose();
  });

  test("cookies of the same name that another program set in front do not shut the operator out", async () => {
    const me = await page.signIn();
    const planted = `${me.cookie.split("=")[0]}=${"A".repeat(43)}; `;
    for (const count of [1, 100])
      expect(await isSignedIn({ ...me, cookie: `${planted.repeat(count)}${me.cookie}` })).toBe(true);
  });

  test("more cookies than Core reads are answered with what to do about them", async () => {
    const me = await page.signIn();
    const cookie = `${me.cookie}; ${"x=y; ".repeat(4_000)}`;
    for (const [method, target] of [
      ["GET", "/"],
      ["GET", "/api/v1/session"],
      ["POST", "/sign-in"],
    ] as const) {
      const answer = await page.ask(method, target, { headers: proof({ ...me, cookie }) });
      expect([answer.status, answer.headers.get("content-type")]).toEqual([431, "text/plain"]);
      expect(answer.text).toMatch(/cookies that other programs.*\nDelete the cookies.*opensentience open\n$/);
      expectPolicy(answer);
    }
    expect(await isSignedIn(me)).toBe(true);
  });

  test("end by themselves, with their streams, and that is recorded", async () => {
    const short = await newHome({ settings: { "web.session_idle_ms": 1_000 } });
    const at = await PageClient.of(short);
    const me = await at.signIn();
    const stream = await at.stream("", proof(me));
    await stream.end();
    expect(await isSignedIn(me, at)).toBe(false);
    const [end] = await events("web.signed_out", short);
    expect(end).toMatchObject({ actor_id: "system:core", metadata: { session: me.session, reason: "idle" } });
    await short.dispose();
  });

  test("end with Core", async () => {
    const me = await page.signIn();
    await home.json(["core", "restart", "--set", `web.port=${page.port}`]);
    expect(await isSignedIn(me)).toBe(false);
  });
});

describe("the port", () => {
  test("that is taken keeps Core from starting, and the message says by whom", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const other = await newHome({ env: { OPENSENTIENCE_WEB_PORT: String(port) } });
    for (const args of [["serve"], ["core", "start"], ["agents", "list"]]) {
      const { code, error } = await other.fails(args);
      expect([code, error.code], args.join(" ")).toEqual([1, "web.port_taken"]);
      expect(error.message).toMatch(
        new RegExp(`port ${port} of 127.0.0.1.* is taken by .*node.* \\(pid ${process.pid}\\)`),
      );
      expect(error.next_step).toBe("opensentience core start --set web.port=0");
    }
    expect(await other.json(["core", "start", "--set", "web.port=0"])).toMatchObject({ running: true });
    server.close();
    await other.dispose();
  });

  test("of a page that is switched off is nobody's", async () => {
    const off = await newHome({ settings: { "web.enabled": false } });
    expect(await off.json(["core", "start"])).toMatchObject({ running: true, web_url: null });
    for (const args of [["open"], ["core", "rotate-token"]]) {
      const { code, error } = await off.fails(args);
      expect([code, error.code, error.next_step]).toEqual([
        1,
        "web.disabled",
        "opensentience core restart --set web.enabled=true",
      ]);
    }
    const { checks } = await off.json<{ checks: { name: string; status: string }[] }>(["doctor"], { codes: [0, 1] });
    expect(checks).toContainEqual(expect.objectContaining({ name: "page", status: "ok" }));
    await off.dispose();
  });

  test("is there for this machine alone, unless somebody asks for the unsafe thing", async () => {
    const doctor = async (of: CoreHome): Promise<unknown> =>
      (await of.json<{ checks: { name: string }[] }>(["doctor"], { codes: [0, 1] })).checks.find(
        ({ name }) => name === "page",
      );
    expect(await doctor(home)).toMatchObject({ status: "ok", message: expect.stringContaining(page.url) });
    await home.json(["core", "restart", "--set", "web.unsafe_bind=0.0.0.0"]);
    page = await PageClient.of(home);
    expect(page.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
    expect(await doctor(home)).toMatchObject({ status: "warn", message: expect.stringContaining("0.0.0.0") });
    // What comes from outside still has to name loopback.
    expect((await page.ask("GET", "/", { host: `0.0.0.0:${page.port}` })).status).toBe(421);
    const { code, error } = await home.fails(["core", "restart", "--set", "web.unsafe_bind=example.com"]);
    expect([code, error.code]).toEqual([1, "config.invalid"]);
  });
});

test("the page goes on while Core stops its agents, and ends with it", async () => {
  const me = await page.signIn();
  const stream = await page.stream("", proof(me));
  expect((await page.change("/api/v1/core/stop", me)).status).toBe(200);
  await stream.end();
  await eventually(async () => (await home.cli(["core", "status"])).code === 5, "Core to be gone");
});
