/** Several tabs, several people and the command line at once: no page shows for long what is no longer so. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { goTo, hasChromium, visit } from "../support/browser.ts";
import { type CoreHome, newHome } from "../support/core-home.ts";
import { smallAgentAt } from "../support/small-agent.ts";

const AGENT = "com.example.live";
const OTHER = "com.example.other";
/** After the change was made, until the page shows it. */
const AT_ONCE = { timeout: 3_000 };

describe.skipIf(!hasChromium)("pages that are open at once", () => {
  let home: CoreHome;
  beforeAll(async () => {
    home = await newHome();
    await smallAgentAt(home, AGENT, "enabled", { name: "Live one" });
  }, 120_000);
  afterAll(() => home.dispose());

  const row = (page: Page, agentId = AGENT) => page.getByRole("listitem").filter({ hasText: agentId });

  test("show what the command line and others do, each within a second", async () => {
    const [ada, ben] = [await visit(home), await visit(home)];
    const [one, two] = [await ada.open(), await ben.open(`/agents/${AGENT}`)];
    await row(one).getByText("Approved").waitFor();
    await two.getByRole("button", { name: "Run", exact: true }).waitFor();
    await home.json(["agents", "run", AGENT]);
    const startedAt = performance.now();
    await row(one).getByText("Running").waitFor(AT_ONCE);
    await two.getByRole("button", { name: "Restart" }).waitFor(AT_ONCE);
    expect(performance.now() - startedAt).toBeLessThan(3_000);
    expect(await one.title()).toContain("(1)");
    await row(one)
      .getByRole("button", { name: `Stop ${AGENT}` })
      .click();
    await two.getByRole("button", { name: "Run", exact: true }).waitFor(AT_ONCE);
    await two.getByText("Stopped").first().waitFor(AT_ONCE);
    await smallAgentAt(home, OTHER, "installed", { name: "Another" });
    await row(one, OTHER).getByRole("button", { name: "Build" }).waitFor(AT_ONCE);
    await goTo(two, "/audit");
    await two.getByText("agent.installed").first().waitFor();
    await home.json(["agents", "remove", OTHER, "--yes"]);
    await two.getByText("agent.removed").first().waitFor(AT_ONCE);
    expect([...ada.faults, ...ben.faults]).toEqual([]);
    await ada.context.close();
    await ben.context.close();
  });

  test("say clearly why a conflicting act cannot be", async () => {
    const ada = await visit(home);
    const page = await ada.open(`/agents/${AGENT}`);
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await page.getByRole("alertdialog").waitFor();
    await home.json(["agents", "run", AGENT]);
    await page.getByRole("alertdialog").getByRole("button", { name: "Run", exact: true }).click();
    await page.getByText("launcher.already_running").waitFor();
    await page.getByRole("alertdialog").getByText(`opensentience agents stop ${AGENT}`).waitFor();
    await home.json(["agents", "stop", AGENT]);
    expect(ada.faults).toEqual([]);
    await ada.context.close();
  });

  test("are ten tabs of one browser on one stream, which outlives the tab that began it", async () => {
    const ada = await visit(home);
    // Requests of a tab itself; those of the worker that all of them share are not among them.
    const streams: string[] = [];
    ada.context.on("request", (request) => {
      if (request.url().includes("/api/v1/events")) streams.push(request.url());
    });
    const begun = await ada.open();
    const address = await ada.address();
    const more = Array.from({ length: 9 }, async () => {
      const tab = await ada.tab();
      await tab.goto(address);
      return tab;
    });
    const tabs = [begun, ...(await Promise.all(more))];
    for (const tab of tabs) await row(tab).getByText("Stopped").waitFor();
    await home.json(["agents", "run", AGENT]);
    for (const tab of tabs) await row(tab).getByText("Running").waitFor(AT_ONCE);
    expect(streams).toEqual([]);
    await tabs[0]?.close();
    const left = tabs.slice(1);
    await home.json(["agents", "stop", AGENT]);
    for (const tab of left) await row(tab).getByText("Stopped").waitFor(AT_ONCE);
    // One of them leaves the session: all of them are signed out, and one link brings all of them back.
    const [first, second] = [left[0] as Page, left[1] as Page];
    await goTo(second, `/agents/${AGENT}/permissions`);
    await goTo(first, "/settings");
    await first.getByRole("button", { name: "Sign out" }).click();
    for (const tab of left) await tab.getByText("opensentience open").waitFor();
    await first.goto(await ada.link());
    await second.getByRole("tab", { name: "Permissions", selected: true }).waitFor();
    expect(ada.faults).toEqual([]);
    await ada.context.close();
  });

  test("are live in a browser without shared workers too", async () => {
    const ada = await visit(home);
    await ada.context.addInitScript("delete globalThis.SharedWorker");
    const page = await ada.open();
    await row(page).getByText("Stopped").waitFor();
    await home.json(["agents", "run", AGENT]);
    await row(page).getByText("Running").waitFor(AT_ONCE);
    await home.json(["agents", "stop", AGENT]);
    await row(page).getByText("Stopped").waitFor(AT_ONCE);
    expect(ada.faults).toEqual([]);
    await ada.context.close();
  });

  test("outlive a restart of Core: they say how to sign in, and come back to the same place", async () => {
    const ada = await visit(home, { width: 360 });
    const page = await ada.open(`/agents/${AGENT}/manifest`);
    await page.getByRole("tab", { name: "Manifest", selected: true }).waitFor();
    await page.getByText("Live").first().waitFor();
    const before = await ada.address();
    await home.json(["core", "stop"]);
    await page.getByText("Core does not answer at the moment").waitFor();
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(360);
    await home.json(["core", "start"], { env: { OPENSENTIENCE_WEB_PORT: new URL(before).port } });
    expect(await ada.address()).toBe(before);
    await page.getByText("Your session ended").waitFor();
    await page.getByText("opensentience open").waitFor();
    const other = await ada.tab();
    await other.goto(await ada.link());
    await page.getByRole("tab", { name: "Manifest", selected: true }).waitFor();
    await page.getByText("What Core reads in it").waitFor();
    await home.json(["agents", "run", AGENT]);
    await page.getByRole("button", { name: "Restart" }).waitFor(AT_ONCE);
    await home.json(["agents", "stop", AGENT]);
    const silent = ada.faults.filter((fault) => !fault.includes("ERR_"));
    expect(silent).toEqual([]);
    await ada.context.close();
  });
});
