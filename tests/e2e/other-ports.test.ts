/**
 * Somebody else on the machine: a server on another port of 127.0.0.1, which the browser of a signed-in operator visits.
 * The browser sends it the cookie of our session and takes cookies from it, for it knows no ports there.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { goTo, hasChromium, visit, type Visit } from "../support/browser.ts";
import { type CoreHome, newHome } from "../support/core-home.ts";
import { smallAgentAt } from "../support/small-agent.ts";

const AGENT = "com.example.loot";

/** Each kind of thing that a session may do: method, path, body. */
const WANTED: [string, string, string][] = [
  ["GET", "/api/v1/session", ""],
  ["GET", "/api/v1/agents", ""],
  ["GET", "/api/v1/events", ""],
  ["GET", "/api/v1/audit/export", ""],
  ["GET", "/api/v1/audit/cloudevents", ""],
  ["GET", `/api/v1/agents/${AGENT}/logs`, ""],
  ["GET", "/api/v1/metrics/history", ""],
  ["GET", "/metrics", ""],
  ["POST", `/api/v1/agents/${AGENT}/revoke`, "{}"],
  ["POST", "/api/v1/tools/com.example.loot/any/stream", '{"input":{}}'],
  ["POST", "/api/v1/session/rotate-token", "{}"],
  ["POST", "/api/v1/session/sign-out", "{}"],
];

/** What the page of such a server can try in the operator's browser: `CORE` is our address. */
const ATTEMPTS = `<!doctype html><title>other</title><body><script>
  const core = "CORE";
  for (const path of ["api/v1/session", "api/v1/agents", "api/v1/audit/export", "metrics"]) {
    fetch(core + path, { credentials: "include" }).then((r) => r.text()).then((t) => (document.title = "read " + t), () => {});
    fetch(core + path, { credentials: "include", mode: "no-cors" }).catch(() => {});
  }
  new EventSource(core + "api/v1/events", { withCredentials: true }).onmessage = () => (document.title = "heard");
  const put = (tag, more) => document.body.appendChild(Object.assign(document.createElement(tag), more));
  put("iframe", { src: core });
  put("img", { src: core + "api/v1/agents" });
  put("script", { src: core + "api/v1/agents" });
  put("form", { method: "post", action: core + "api/v1/agents/${AGENT}/revoke", enctype: "text/plain", target: "out" });
  put("iframe", { name: "out" });
  document.forms[0].submit();
  put("a", { href: core + "api/v1/audit/export", download: "loot", id: "file", textContent: "file" });
</script>`;

/** The server of somebody else; `answer` is what it does with the next requests. */
class OtherServer {
  readonly cookies: string[] = [];
  answer: (request: IncomingMessage, response: ServerResponse) => void = (_request, response) => response.end();
  readonly #server: Server = createServer({ maxHeaderSize: 2_000_000 }, (asked, response) => {
    if (asked.headers.cookie !== undefined) this.cookies.push(asked.headers.cookie);
    response.setHeader("content-type", "text/html");
    this.answer(asked, response);
  });

  async open(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

/** A request that is no browser's, with the cookies that one sent. */
async function ask(
  core: string,
  [method, path, body]: (typeof WANTED)[number],
  cookie: string,
): Promise<[number, string]> {
  const type: Record<string, string> = body === "" ? {} : { "content-type": "application/json" };
  const sent = request(new URL(path, core), { method, headers: { cookie, ...type } }).end(body);
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  let text = "";
  for await (const chunk of answer) text += String(chunk);
  return [answer.statusCode ?? 0, text];
}

describe.skipIf(!hasChromium)("a server on another port of this address", () => {
  let home: CoreHome;
  let operator: Visit;
  let page: Page;
  let core: string;
  let there: string;
  const other = new OtherServer();

  beforeAll(async () => {
    home = await newHome();
    await smallAgentAt(home, AGENT, "enabled");
    operator = await visit(home);
    page = await operator.open();
    core = await operator.address();
    there = await other.open();
  }, 120_000);
  afterAll(async () => {
    other.close();
    await operator.context.close();
    await home.dispose();
  });
  const isApproved = async (): Promise<unknown> =>
    (await home.json<{ approval: { status: string } }>(["agents", "info", AGENT])).approval.status;
  const signedIn = (): Promise<void> => page.getByRole("navigation", { name: "Screens" }).waitFor();

  test("the cookie that a server on another port was sent opens nothing", async () => {
    const thief = await operator.context.newPage();
    await thief.goto(there);
    const [cookie = ""] = other.cookies;
    expect(cookie).toMatch(/^opensentience_[0-9a-f]{12}=[\w-]{43}$/);
    for (const wanted of WANTED) {
      const [status, text] = await ask(core, wanted, cookie);
      expect([status, (JSON.parse(text) as { code: string }).code], wanted[1]).toEqual([403, "web.csrf_refused"]);
    }
    expect(await isApproved()).toBe("active");
    await thief.close();
    await page.reload();
    await signedIn();
  });

  test("its page reads nothing of ours, and does nothing, though the browser sends the cookie for it", async () => {
    other.answer = (_request, response) => response.end(ATTEMPTS.replace("CORE", core));
    const thief = await operator.context.newPage();
    const tried: string[] = [];
    const refused: string[] = [];
    thief.on("request", (asked) => asked.url().startsWith(core) && tried.push(asked.url()));
    thief.on("requestfailed", (asked) => asked.url().startsWith(core) && refused.push(asked.url()));
    thief.on("response", (answer) => {
      if (answer.url().startsWith(core) && answer.status() === 403) refused.push(answer.url());
    });
    await thief.goto(there);
    await thief.waitForLoadState("networkidle");
    expect(await thief.title()).toBe("other");
    const saved = thief.waitForResponse((answer) => answer.url().endsWith("/audit/export"));
    await thief.click("#file");
    expect((await saved).status()).toBe(403);
    expect(tried.length).toBeGreaterThan(12);
    // What fails was answered too, with a refusal that the browser does not even show.
    for (const url of new Set(tried)) expect(refused, url).toContain(url);
    expect(await isApproved()).toBe("active");
    await thief.close();
    await page.reload();
    await signedIn();
  });

  test("a link of its page that somebody follows is refused in words that say what to do", async () => {
    other.answer = (_request, response) =>
      response.end(`<!doctype html><title>other</title><a href="${core}">core</a>`);
    const reader = await operator.tab();
    await reader.goto(there);
    const answered = reader.waitForResponse(core);
    await reader.getByRole("link", { name: "core" }).click();
    expect((await answered).status()).toBe(403);
    await reader.getByRole("heading", { name: "This page does not open from a link" }).waitFor();
    await reader.getByText("opensentience open").waitFor();
    await reader.setViewportSize({ width: 360, height: 740 });
    const isWide = "document.documentElement.scrollWidth > innerWidth";
    expect(await reader.evaluate(isWide)).toBe(false);
    // Reloading is refused still, as the text says; what the operator types is not.
    await reader.reload();
    await reader.getByRole("heading", { name: "This page does not open from a link" }).waitFor();
    await reader.goto(core);
    await reader.getByRole("navigation", { name: "Screens" }).waitFor();
    await reader.close();
    expect(operator.faults.splice(0)).toEqual([`request: ${there}`]);
  });

  test("a cookie of the same name that it sets signs the operator out, says so, and does no more", async () => {
    const [cookie = ""] = other.cookies;
    other.answer = (_request, response) => {
      response.setHeader("set-cookie", `${cookie.split("=")[0]}=${"A".repeat(43)}; Path=/`);
      response.end();
    };
    const thief = await operator.context.newPage();
    await thief.goto(there);
    await thief.close();
    // The next thing that is read; by then the page may have noticed by itself.
    await goTo(page, "/doctor");
    await page.getByText("another program on this address replaced the cookie").waitFor();
    expect(await page.getByRole("navigation", { name: "Screens" }).count()).toBe(0);
    await page.goto(await operator.link());
    await signedIn();
  });

  test("a cookie of the same name that it sets for a part of our paths changes nothing", async () => {
    const [cookie = ""] = other.cookies;
    other.answer = (_request, response) => {
      const paths = ["/api", "/api/v1", "/api/v1/agents", "/api/v1/session", "/api/v1/events", "/sign-in"];
      response.setHeader(
        "set-cookie",
        paths.map((path) => `${cookie.split("=")[0]}=${"B".repeat(43)}; Path=${path}`),
      );
      response.end();
    };
    const thief = await operator.context.newPage();
    await thief.goto(there);
    await thief.close();
    await page.reload();
    await signedIn();
    await page.getByText(AGENT).first().waitFor();
    expect((await operator.context.cookies(`${core}api/v1/agents`)).length).toBeGreaterThan(3);
  });

  test("cookies without number are answered with words, and deleting them is all that it takes", async () => {
    other.answer = (asked, response) => {
      response.setHeader(
        "set-cookie",
        Array.from({ length: 60 }, (_, index) => `flood${asked.url}_${index}=${"x".repeat(3_000)}; Path=/`),
      );
      response.end();
    };
    const thief = await operator.context.newPage();
    for (const time of ["1", "2", "3"]) await thief.goto(there + time);
    await thief.close();
    expect((await operator.context.cookies()).length).toBeGreaterThan(100);
    await page.goto(core);
    await page.getByText("Delete the cookies of this address in the browser").waitFor();
    await operator.context.clearCookies();
    await page.reload();
    await page.getByText("Your session ended").or(page.getByText("Sign in with a link")).first().waitFor();
    await page.goto(await operator.link());
    await signedIn();
    expect(operator.faults).toEqual([]);
  });
});
