/** What every answer of the web page's door carries, whatever was asked and however badly, and what is recorded of refusals. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually, type CoreHome } from "../support/core-home.ts";
import { ASSET, asSignedIn, expectPolicy, expectRefusal, homeWithPage, INDEX, KINDS } from "../support/page-checks.ts";
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

describe("what every answer carries", () => {
  test.each(KINDS)("%s", async (_name, method, target) => {
    const answer =
      target === "/api/v1/events"
        ? await page.raw(requestText("HEAD", target, { host: page.host, connection: "close", ...proof(me) }))
        : await page.ask(method, target, {
            headers: asSignedIn(me, method),
            ...(method === "POST" ? { body: "{}" } : {}),
          });
    expectPolicy(answer);
    expect(answer.headers.get("x-request-id")).toMatch(/^call_/);
    const isFile = answer.status === 200 && target.startsWith("/assets/");
    expect(answer.headers.get("cache-control")).toBe(isFile ? "public, max-age=31536000, immutable" : "no-store");
  });

  test("an event stream, too", async () => {
    const stream = await page.stream("", proof(me));
    expect(stream.status).toBe(200);
    expectPolicy({ status: 200, headers: stream.headers, text: "" });
    expect(stream.headers.get("content-type")).toBe("text/event-stream");
    expect(stream.headers.get("cache-control")).toBe("no-store");
    stream.close();
  });

  test("the page is what was built, its files as they are, with their types", async () => {
    const index = await page.ask("GET", "/");
    expect([index.text, index.headers.get("content-type")]).toEqual([INDEX, "text/html; charset=utf-8"]);
    const file = await page.ask("GET", "/assets/index-1a2B_3c.js");
    expect([file.text, file.headers.get("content-type")]).toEqual([ASSET, "text/javascript; charset=utf-8"]);
    const again = await page.ask("GET", "/assets/index-1a2B_3c.js", {
      headers: { "if-none-match": file.headers.get("etag") ?? "" },
    });
    expect([again.status, again.text]).toEqual([304, ""]);
    expectPolicy(again);
  });
});

describe("what is no HTTP gets an answer with the headers, and Core goes on", () => {
  test.each([
    ["garbage", "garbage\r\n\r\n", 400],
    ["TLS", "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003", 400],
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
    ["a bare line feed in a header", "GET / HTTP/1.1\r\nhost: HOST\r\nx: a\nb\r\n\r\n", 400],
    ["a header with a NUL", "GET / HTTP/1.1\r\nhost: HOST\r\nx: a\u0000b\r\n\r\n", 400],
    ["a header name with a space", "GET / HTTP/1.1\r\nhost : HOST\r\n\r\n", 400],
    [
      "a length and chunks",
      "POST /sign-in HTTP/1.1\r\nhost: HOST\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
      400,
    ],
    ["two lengths", "POST /sign-in HTTP/1.1\r\nhost: HOST\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcde", 400],
    ["headers without an end", `GET / HTTP/1.1\r\nhost: HOST\r\nx: ${"a".repeat(20_000)}\r\n\r\n`, 431],
    ["an address without an end", `GET /${"a".repeat(20_000)} HTTP/1.1\r\nhost: HOST\r\n\r\n`, 431],
  ])("%s", async (_name, bytes, status) => {
    const answer = await page.raw(bytes.replaceAll("HOST", page.host));
    expect(answer.status).toBe(status);
    expectPolicy(answer);
    expect((await page.ask("GET", "/healthz")).text).toBe("ok");
  });

  test("an expectation is met with the answer itself", async () => {
    const answer = await page.ask("POST", "/sign-in", {
      headers: { expect: "magic", "content-type": "application/json" },
      body: "{}",
    });
    expectRefusal(answer, 400, "usage.invalid");
  });

  test("a body over 1 MiB is refused", async () => {
    const answer = await page.ask("POST", "/api/v1/discovery/scan", {
      headers: asSignedIn(me, "POST"),
      body: JSON.stringify({ paths: ["x".repeat(1_100_000)] }),
    });
    expectRefusal(answer, 422, "http.body_too_large");
  });
});

test("600 half-sent requests at the page's door keep nobody out, at neither door", async () => {
  const half = requestText(
    "POST",
    "/sign-in",
    { host: page.host, "content-length": "50", "content-type": "application/json" },
    "{",
  );
  const sockets = await Promise.all(Array.from({ length: 600 }, () => page.open()));
  for (const socket of sockets) socket.on("error", () => {}).write(half);
  expect((await page.ask("GET", "/api/v1/session", { headers: proof(me) })).status).toBe(200);
  expect(await home.json(["agents", "list"])).toMatchObject({ items: [] });
  // The oldest made room for those that came after all places were taken.
  await eventually(() => sockets.filter((socket) => socket.closed).length >= 88, "the oldest to be dropped");
  for (const socket of sockets) socket.destroy();
});

describe("the record of refusals", () => {
  type Denial = { actor_type: string; actor_id: string; causation_id: string; metadata: Record<string, unknown> };
  const denials = async (): Promise<Denial[]> =>
    (await home.json<{ items: Denial[] }>(["audit", "list", "--type", "security.denied", "--limit", "500"])).items;

  test("names code and door, whoever asked, and nothing of what was sent", async () => {
    await page.ask("GET", "/", { host: "evil.example" });
    await page.ask("GET", "/", { headers: { origin: "http://evil.example" } });
    await page.change("/api/v1/discovery/scan", me, {}, { "x-csrf-token": "evil.example" });
    const answer = await page.ask("GET", "/api/v1/agents?secret=hunter2", {
      headers: { "x-request": "hunter2" },
      host: `127.0.0.1:${page.port}`,
    });
    expect(answer.status).toBe(401);
    const all = await denials();
    expect(all.map(({ metadata }) => metadata["code"])).toEqual(
      expect.arrayContaining(["web.host_refused", "web.origin_refused", "web.csrf_refused"]),
    );
    expect(all[0]).toMatchObject({
      actor_type: "system",
      actor_id: "web:nobody",
      causation_id: expect.stringMatching(/^call_/),
    });
    expect(JSON.stringify(all)).not.toMatch(/hunter2|evil\.example/);
    expect(home.coreLog()).not.toContain("hunter2");
  });

  test("does not grow with each request of a flood", async () => {
    const before = (await denials()).length;
    await Promise.all(
      Array.from({ length: 200 }, () =>
        page.ask("GET", "/api/v1/agents", { headers: { origin: "https://evil.example" } }),
      ),
    );
    expect((await denials()).length - before).toBeLessThanOrEqual(10);
  });
});
