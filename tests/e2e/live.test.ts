/** Several tabs, several people and the command line at once: no page shows for long what is no longer so. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { goTo, hasChromium, visit } from "../support/browser.ts";
import { type CoreHome, newHome } from "../support/core-home.ts";
import { shownAt } from "../support/shown-at.ts";
import { smallAgentAt } from "../support/small-agent.ts";

const AGENT = "com.example.live";
const OTHER = "com.example.other";
/** After the change was made, until the page shows it. */
const AT_ONCE = { timeout: 3_000 };
/** From the commit of a change until it stands on every page. */
const WITHIN_MS = 1_000;

describe.skipIf(!hasChromium)("pages that are open at once", () => {
  let home: CoreHome;
  beforeAll(async () => {
    home = await newHome();
    await smallAgentAt(home, AGENT, "enabled", { name: "Live one" });
  }, 120_000);
  afterAll(() => home.dispose());

  const row = (page: Page, agentId = AGENT) => page.getByRole("listitem").filter({ hasText: agentId });

  /** When the page could have known: the first event of the type since then, or the last one. Made right before its commit. */
  async function committedAt(type: string, since: number, which: "first" | "last"): Promise<number> {
    const { items } = await home.json<{ items: { seq: number; at: string }[] }>(["audit", "list", "--type", type]);
    const events = items.filter(({ seq }) => seq > since);
    return Date.parse(events.at(which === "first" ? -1 : 0)?.at ?? "");
  }

  async function newestSeq(): Promise<number> {
    return (await home.json<{ items: { seq: number }[] }>(["audit", "list", "--limit", "1"])).items[0]?.seq ?? 0;
  }

  test("show what the command line and others do, each within a second of its commit", async ({ annotate }) => {
    const [ada, ben] = [await visit(home), await visit(home)];
    const list = await ada.open();
    const [agent, log] = [await ben.open(`/agents/${AGENT}`), await ben.open("/audit")];
    const inRow = (text: string): string =>
      `document.querySelector(".agent-row:has([href*='${AGENT}'])")?.textContent.includes("${text}")`;
    const inHead = (text: string): string => `document.querySelector(".agent-head")?.textContent.includes("${text}")`;
    const inLog = (type: string, seq: number): string =>
      `[...document.querySelectorAll("button.audit-row")].some((row) =>
        row.textContent.includes("${type}") && Number(row.querySelector(".audit-seq").textContent) > ${seq})`;
    const byCli =
      (verb: string, ...rest: string[]) =>
      (): Promise<unknown> =>
        home.json(["agents", verb, AGENT, ...rest]);
    const byPage = (): Promise<void> =>
      row(list)
        .getByRole("button", { name: `Stop ${AGENT}` })
        .click();
    type Act = { name: string; type: string; act: () => Promise<unknown>; shows: string; which?: "first" };
    const acts: Act[] = [
      // It counts as running from the record of the intent on; a stop, when its end is recorded.
      { name: "run", type: "agent.run_started", act: byCli("run"), shows: "Running", which: "first" },
      { name: "stop in another page", type: "agent.run_stopped", act: byPage, shows: "Stopped" },
      { name: "revoke", type: "agent.permissions_revoked", act: byCli("revoke"), shows: "Installed" },
      { name: "enable", type: "agent.enabled", act: byCli("enable", "--all"), shows: "Stopped" },
    ];
    await row(list).getByText("Approved").waitFor();
    await agent.getByRole("button", { name: "Run", exact: true }).waitFor();
    await log.locator("button.audit-row").first().waitFor();
    const best = new Map(acts.map(({ name }) => [name, Number.POSITIVE_INFINITY]));
    // A machine that does much else at once may be late; three times in a row nothing is to blame but the page.
    for (let round = 0; round < 3 && Math.max(...best.values()) >= WITHIN_MS; round += 1)
      for (const { name, type, act, shows, which } of acts) {
        const since = await newestSeq();
        const seen = await Promise.all([
          shownAt(list, inRow(shows)),
          shownAt(agent, inHead(shows)),
          shownAt(log, inLog(type, since)),
        ]);
        await act();
        const shown = Math.max(...(await Promise.all(seen.map((one) => one()))));
        const took = shown - (await committedAt(type, since, which ?? "last"));
        best.set(name, Math.min(best.get(name) ?? took, took));
      }
    await annotate([...best].map(([name, took]) => `${name}: ${Math.round(took)} ms`).join(", "));
    for (const [name, took] of best) expect(took, name).toBeLessThan(WITHIN_MS);
    expect([...ada.faults, ...ben.faults]).toEqual([]);
    await ada.context.close();
    await ben.context.close();
  });

  test("show agents that come and go, and say in their names what runs", async () => {
    const ada = await visit(home);
    const [list, log] = [await ada.open(), await ada.open("/audit")];
    await smallAgentAt(home, OTHER, "installed", { name: "Another" });
    await row(list, OTHER).getByRole("button", { name: "Build" }).waitFor(AT_ONCE);
    await home.json(["agents", "run", AGENT]);
    await expect.poll(() => list.title()).toContain("(1)");
    await home.json(["agents", "stop", AGENT]);
    await log.getByText("agent.installed").first().waitFor();
    await home.json(["agents", "remove", OTHER, "--yes"]);
    await log.getByText("agent.removed").first().waitFor(AT_ONCE);
    await row(list).getByText("Stopped").waitFor();
    expect(ada.faults).toEqual([]);
    await ada.context.close();
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
