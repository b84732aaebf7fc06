/** Who is signed in, in all tabs of a browser, and what the page says when something of a session is missing. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasChromium, visit, type Visit } from "../support/browser.ts";
import { type CoreHome, newHome } from "../support/core-home.ts";

const NO_STORAGE = `Object.defineProperty(globalThis, "localStorage", {
  get() { throw new DOMException("denied", "SecurityError"); },
});`;

describe.skipIf(!hasChromium)("the page", () => {
  let home: CoreHome;
  beforeAll(async () => {
    home = await newHome();
  });
  afterAll(() => home.dispose());

  const signedIn = (page: Page): Promise<void> => page.getByRole("navigation", { name: "Screens" }).waitFor();
  const signedOut = (page: Page): Promise<void> => page.getByText("opensentience open").first().waitFor();
  const stored = (page: Page): Promise<string | null> =>
    page.evaluate<string | null>("localStorage.getItem('opensentience-session')");
  const reasons = async (): Promise<unknown[]> =>
    (
      await home.json<{ items: { metadata: Record<string, unknown> }[] }>(["audit", "list", "--type", "web.signed_out"])
    ).items.map(({ metadata }) => metadata["reason"]);
  const done = async (ada: Visit): Promise<void> => {
    expect(ada.faults).toEqual([]);
    await ada.context.close();
  };

  test("keeps its secret in the storage of its own origin: in no cookie, and in no address", async () => {
    const ada = await visit(home);
    const addresses: string[] = [];
    const headers: Record<string, string>[] = [];
    ada.context.on("request", (request) => {
      addresses.push(request.url());
      headers.push(request.headers());
    });
    const page = await ada.open();
    await page.getByText("Live").first().waitFor();
    const secret = (await stored(page)) ?? "";
    expect(secret).toMatch(/^[\w-]{43}$/);
    expect(JSON.stringify(await ada.context.cookies())).not.toContain(secret);
    expect(addresses.join(" ")).not.toContain(secret);
    expect(headers.some((sent) => sent["x-csrf-token"] === secret)).toBe(true);
    expect(await page.evaluate("document.cookie")).toBe("");
    await done(ada);
  });

  test("is signed in in a new tab at once, and signing out in one leaves nothing in any", async () => {
    const ada = await visit(home);
    const [one, two] = [await ada.open(), await ada.tab()];
    await two.goto(await ada.address());
    await signedIn(two);
    await two.getByRole("link", { name: "Settings" }).click();
    await two.getByRole("button", { name: "Sign out" }).click();
    for (const page of [one, two]) {
      await signedOut(page);
      expect(await stored(page)).toBe(null);
    }
    // Who did not press it is told what happened; and where to find the token.
    await one.getByText("You signed out in another tab.").waitFor();
    await two.getByText("Sign in with a link from your terminal").waitFor();
    await two.getByText("state/web.token").waitFor();
    await one.reload();
    await one.getByText("Sign in with a link from your terminal").waitFor();
    // The next session ends in another way, and is not said to have ended in that one.
    await one.goto(await ada.link());
    await signedIn(one);
    await one.evaluate("localStorage.removeItem('opensentience-session')");
    // Not by a press: whatever the page asks for by itself may end it sooner, and take the link away.
    await one.evaluate("location.hash = '#/doctor'");
    await one.getByText("Your session ended: Core was started anew").waitFor();
    await done(ada);
  });

  test("takes a link that was used before kindly where somebody is signed in, in the same tab and in a new one", async () => {
    const ada = await visit(home);
    const link = await ada.link();
    const page = await ada.tab();
    await page.goto(link);
    await signedIn(page);
    const secret = await stored(page);
    const other = await ada.tab();
    for (const at of [page, other]) {
      await at.goto(link);
      await at.locator(".notes").getByText("You are signed in all the same").waitFor();
      await signedIn(at);
      expect(at.url()).not.toContain("code");
    }
    expect(await stored(page)).toBe(secret);
    await done(ada);
  });

  test("goes on with a fresh link in all tabs, and the session before is over", async () => {
    const ada = await visit(home);
    const [one, two] = [await ada.open(), await ada.open()];
    await two.goto(await ada.link());
    for (const page of [one, two]) {
      await signedIn(page);
      await page.getByRole("link", { name: "Settings" }).click();
      await page.getByText("This session").waitFor();
    }
    expect((await reasons()).slice(0, 2)).toEqual(["signed_in_again", "signed_in_again"]);
    await done(ada);
  });

  test("whose secret is gone asks for a sign-in, which ends the session that was left", async () => {
    const ada = await visit(home);
    const page = await ada.open();
    const before = (await reasons()).length;
    await page.evaluate("localStorage.clear()");
    await page.reload();
    await page.getByText("Sign in with a link from your terminal").waitFor();
    expect((await reasons()).length).toBe(before);
    await page.goto(await ada.link());
    await signedIn(page);
    expect((await reasons())[0]).toBe("signed_in_again");
    await done(ada);
  });

  test("where the browser keeps nothing is signed in for one tab, and says so", async () => {
    const ada = await visit(home);
    await ada.context.addInitScript(NO_STORAGE);
    const page = await ada.tab();
    await page.goto(await ada.address());
    await page.getByText("Your browser keeps nothing for this page").waitFor();
    await page.goto(await ada.link());
    await signedIn(page);
    await page.getByText("Live").first().waitFor();
    await page.reload();
    await page.getByText("Your browser keeps nothing for this page").waitFor();
    expect(await page.getByRole("navigation", { name: "Screens" }).count()).toBe(0);
    await done(ada);
  });

  test("where the browser takes no cookie says that, and not that the link was wrong", async () => {
    const ada = await visit(home);
    await ada.context.route("**/sign-in", async (route) => {
      const response = await route.fetch();
      const { "set-cookie": _cookie, ...headers } = response.headers();
      await ada.context.clearCookies();
      await route.fulfill({ response, headers });
    });
    const page = await ada.tab();
    await page.goto(await ada.link());
    await page.getByText("your browser did not send its cookie back").waitFor();
    // No document has the page's own codes.
    expect(await page.getByText("page.cookie_refused").count()).toBe(0);
    expect(await stored(page)).toBe(null);
    await done(ada);
  });

  test("under localhost stands at 127.0.0.1 before anybody can sign in", async () => {
    const ada = await visit(home);
    const { port } = new URL(await ada.address());
    const page = await ada.context.newPage();
    const link = await ada.link();
    await page.goto(link.replace("127.0.0.1", "localhost"));
    await signedIn(page);
    expect(new URL(page.url()).host).toBe(`127.0.0.1:${port}`);
    expect((await ada.context.cookies()).map(({ domain }) => domain)).toEqual(["127.0.0.1"]);
    await done(ada);
  });
});
